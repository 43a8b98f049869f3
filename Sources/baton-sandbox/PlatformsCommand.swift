internal import ArgumentParser
internal import Dispatch
internal import Glibc
internal import Logging
internal import Sandbox
internal import ServiceLifecycle
internal import Telemetry
internal import UnixSignals

/// `baton-sandbox platforms`
struct PlatformsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "platforms", abstract: "Answers as GitHub and GitLab do, from recordings.",
    discussion: """
      Point BATON_GITHUB_API_URL at it, and the instance_url of a GitLab integration.

      EXAMPLES:
        baton-sandbox platforms --port 8081
      """)

  @Option(help: "The port to listen on.")
  var port = 8_081

  @Flag(help: "Stop when standard input ends: with the program that started this one.")
  var untilInputEnds = false

  /// How long each call takes: enough to see reviews being prepared.
  private static let latency: ClosedRange<Duration> = .milliseconds(50) ... .milliseconds(200)

  func validate() throws {
    guard (0...65_535).contains(port) else { throw ValidationError("--port: expected 0 to 65535") }
  }

  func run() async throws {
    let logger = Logger(label: "baton-sandbox") { _ in SwiftLogNoOpLogHandler() }
    let fakePlatform = FakePlatform(port: port, latency: Self.latency, logger: logger) { port in
      StandardOutput.line("listening on http://127.0.0.1:\(port)")
    }
    let group = ServiceGroup(
      services: [NamedService(fakePlatform)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    if untilInputEnds { Self.stopAtEndOfInput(group) }
    try await group.run()
  }

  /// The end of a pipe is seen also when the program that holds its other end was killed.
  private static func stopAtEndOfInput(_ group: ServiceGroup) {
    DispatchQueue.global().async {
      var byte: UInt8 = 0
      while case let count = read(STDIN_FILENO, &byte, 1), count > 0 || count < 0 && errno == EINTR {}
      Task { await group.triggerGracefulShutdown() }
    }
  }
}
