import Primitives
import Support
import Testing

extension TestCluster {
  /// The status of a command with `--json`, and what it has printed to standard output, which has to be one line of JSON.
  func json(_ arguments: String...) async throws -> (status: Int32, JSONValue) {
    let process = try BatonProcess(
      arguments + ["--json"], settings: settings, through: ["bash", "-c", "exec \"$0\" \"$@\" 2>/dev/null"])
    let status = await process.wait()
    #expect(process.output.hasSuffix("\n") && process.output.filter(\.isNewline).count == 1, "\(process.output)")
    return (status, (try? JSONValue(json: process.output)) ?? .string(process.output))
  }
}
