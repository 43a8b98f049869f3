internal import ArgumentParser
internal import FoundationEssentials
internal import Glibc
internal import Primitives
internal import Reviews
internal import Sandbox
internal import WorkerAPI

/// `baton sandbox-agent`: what `baton up --sandbox` runs for each review. Hidden, as it has no other use.
struct SandboxAgentCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sandbox-agent", abstract: "Reviews the pull request of the start on standard input, by rules.",
    discussion: """
      EXAMPLES:
        BATON_AGENT_COMMAND='baton sandbox-agent --api http://127.0.0.1:8081' baton worker
      """,
    shouldDisplay: false)

  @Option(help: "The base URL of the stand-in for GitHub and GitLab.")
  var api: String

  func run() async throws {
    var input: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 * 1_024)
    while case let count = read(STDIN_FILENO, &buffer, buffer.count), count > 0 { input += buffer.prefix(count) }
    guard let start = try? JSONCoding.decode(StartRequest.self, from: input) else {
      throw Failure(.failed, "standard input is no start of a review")
    }
    do {
      try await SandboxAgent(api: api).review(start) { try Output.line($0) }
    } catch let fault as SandboxAgent.Fault {
      throw Failure(.failed, fault.description)
    } catch {
      throw Failure(.failed, "the difference could not be had from \(api): \(error)")
    }
  }

  /// The command that runs this in a shell.
  static func shellCommand(api: String) -> String {
    let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "baton"
    return "exec '\(program.replacing("'", with: "'\\''"))' sandbox-agent --api \(api)"
  }
}
