internal import Foundation
internal import Glibc

/// A Postgres server that belongs to one test, which may stop it as it likes.
package struct OwnPostgres: Sendable {
  private let script: String
  private let folder: String
  private let port: Int

  /// Prepares a server on a free port; `start()` starts it.
  package init() throws {
    script = try postgresTestVariable("BATON_TEST_BROKER_SCRIPT")
    port = try BrokerServer.freePort()
    folder = "/tmp/baton-pg-\(UInt32.random(in: 0 ... .max))"
    // The server has a user of its own, who must be able to enter.
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
  }

  /// A superuser's URL.
  package var url: String { "postgresql://postgres@127.0.0.1:\(port)/postgres" }

  /// Starts it, on the data that is there; returns when it accepts connections.
  package func start() async throws { try await run("start") }
  /// Stops it in an orderly way.
  package func stop() async throws { try await run("stop") }
  /// Removes it with its data.
  package func wipe() async throws {
    try? signal(SIGCONT)
    try await run("wipe")
    try FileManager.default.removeItem(atPath: folder)
  }
  /// Replaces a file of its data directory.
  package func write(_ text: String, to file: String) throws {
    try text.write(toFile: "\(folder)/pg/data/\(file)", atomically: false, encoding: .utf8)
  }

  /// Sends a signal to the server and to all its processes: with SIGSTOP it accepts bytes and answers nothing.
  package func signal(_ number: Int32) throws {
    let text = try String(contentsOfFile: "\(folder)/pg/data/postmaster.pid", encoding: .utf8)
    guard let first = text.split(separator: "\n").first, let server = Int32(first) else {
      throw BrokerCommandFailed(command: "signal \(number)", output: text)
    }
    // The server first: it must not start another process in the meantime.
    for process in [server] + Self.children(of: server) { kill(process, number) }
  }

  private static func children(of parent: Int32) -> [Int32] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { Int32($0) }.filter { process in
      let stat = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
      // After the name, which may hold anything: state, then the parent.
      return stat.split(separator: ")").last?.split(separator: " ").dropFirst().first == "\(parent)"
    }
  }

  private func run(_ command: String) async throws {
    var environment = ProcessInfo.processInfo.environment
    environment["PG_ONLY"] = "1"
    _ = try await runCommand(script, [command, folder, "5800", "\(port)"], environment: environment)
  }
}

/// Runs the body with a Postgres server of its own.
package func withOwnPostgres<Result>(
  isolation: isolated (any Actor)? = #isolation, _ body: (OwnPostgres) async throws -> Result
) async throws -> Result {
  let server = try OwnPostgres()
  do {
    try await server.start()
    let result = try await body(server)
    try await server.wipe()
    return result
  } catch {
    try? await server.wipe()
    throw error
  }
}
