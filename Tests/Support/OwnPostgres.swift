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

  /// The port that it listens on, of 127.0.0.1.
  package var listeningPort: Int { port }

  /// A superuser's URL.
  package var url: String { "postgresql://postgres@127.0.0.1:\(port)/postgres" }

  /// Starts it, on the data that is there; returns when it accepts connections.
  package func start() async throws { try await run("start") }
  /// Stops it in an orderly way.
  package func stop() async throws { try await run("stop") }
  /// Stops it as a crash does: what was not written yet is lost, and the next start recovers the rest.
  package func crash() async throws { try await run("crash") }
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

  /// Turns TLS on with a certificate, and has it read anew what of its settings needs no restart.
  /// - Parameters:
  ///   - clientAuthority: a PEM file; certificates of clients are verified with it.
  ///   - access: the lines of pg_hba.conf; nil leaves them.
  package func useTLS(
    certificate: String, key: String, clientAuthority: String? = nil, access: String? = nil
  ) async throws {
    let authority = clientAuthority == nil ? "" : "ssl_ca_file = 'tls-ca.pem'\n"
    try await useTLS(
      settings: "ssl = on\nssl_cert_file = 'tls.pem'\nssl_key_file = 'tls.key'\n\(authority)",
      files: ["tls.pem": certificate, "tls.key": key, "tls-ca.pem": clientAuthority ?? certificate], access: access)
  }

  /// The same with settings of the test's own.
  /// - Parameter files: by their names in the server's data folder.
  package func useTLS(settings: String, files: [String: String], access: String?) async throws {
    try write(settings, to: "tls.conf")
    if let access { try write(access, to: "pg_hba.conf") }
    let copies = files.map { name, path in
      "rm -f '\(name)'; cp '\(path)' '\(name)'; chmod 600 '\(name)'; chown --reference=PG_VERSION '\(name)'"
    }
    let commands = """
      set -e; cd '\(folder)/pg/data'
      \(copies.joined(separator: "\n"))
      chown --reference=PG_VERSION tls.conf
      grep -q tls.conf postgresql.conf || echo "include 'tls.conf'" >>postgresql.conf
      kill -HUP "$(head -n 1 postmaster.pid)"
      """
    _ = try await runCommand("/bin/sh", ["-c", commands])
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
