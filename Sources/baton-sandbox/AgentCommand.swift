internal import ArgumentParser
internal import Glibc
internal import Primitives
internal import Reviews
internal import Sandbox
internal import WorkerAPI

/// `baton-sandbox agent`
struct AgentCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "agent", abstract: "Reviews the pull request of the start on standard input, by rules.",
    discussion: """
      EXAMPLES:
        BATON_AGENT_COMMAND='baton-sandbox agent --api http://127.0.0.1:8081' baton worker
      """)

  @Option(help: "The base URL of `baton-sandbox platforms`.")
  var api: String

  func run() async throws {
    guard let start = try? JSONCoding.decode(StartRequest.self, from: Self.standardInput()) else {
      throw CommandFault("standard input is not the start of a review")
    }
    do {
      try await SandboxAgent(api: api).review(start) { StandardOutput.line($0) }
    } catch let fault as SandboxAgent.Fault {
      throw fault
    } catch {
      throw CommandFault("the difference could not be read from \(api): \(error)")
    }
  }

  private static func standardInput() -> [UInt8] {
    var input: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 * 1_024)
    while case let count = read(STDIN_FILENO, &buffer, buffer.count), count > 0 { input += buffer.prefix(count) }
    return input
  }
}
