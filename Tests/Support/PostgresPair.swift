internal import Foundation

/// A primary and its standby, with streaming replication; both belong to one test.
///
/// The primary commits only what the standby has: a failover then loses nothing that was committed.
package struct PostgresPair: Sendable {
  package let primary: Server
  package let standby: Server
  private let folder: String

  package struct Server: Sendable {
    package let port: Int
    let folder: String
    let script: String

    /// Runs a command of the script for servers.
    func command(_ name: String) async throws {
      _ = try await runCommand(
        "/usr/bin/env", ["PG_ONLY=1", script, name, folder, "5800", "\(port)"])
    }

    /// Runs SQL in psql.
    @discardableResult
    package func sql(_ text: String) async throws -> String {
      try await runCommand(
        "/usr/bin/env",
        ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", text])
    }

    package var url: String { "postgresql://postgres@127.0.0.1:\(port)/postgres" }
  }

  /// Makes both and waits until the standby follows.
  package static func make() async throws -> PostgresPair {
    let script = try postgresTestVariable("BATON_TEST_BROKER_SCRIPT")
    let folder = "/tmp/\(uniqueName("pair"))"
    for name in ["a/pg", "b/pg"] {
      try FileManager.default.createDirectory(
        atPath: "\(folder)/\(name)", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    }
    let ports = [try BrokerServer.freePort(), try BrokerServer.freePort()]
    let pair = PostgresPair(
      primary: Server(port: ports[0], folder: "\(folder)/a", script: script),
      standby: Server(port: ports[1], folder: "\(folder)/b", script: script), folder: folder)
    do {
      try await pair.primary.command("start")
      let backup = """
        for bin in /usr/lib/postgresql/*/bin; do :; done
        exec "$bin/pg_basebackup" -d '\(pair.primary.url)' -D '\(folder)/b/pg/data' -R -X stream -c fast
        """
      _ = try await runCommand("/bin/sh", ["-c", backup])
      try await pair.standby.command("start")
      try await eventually("the standby follows") {
        try await pair.primary.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'").hasPrefix("1")
      }
      try await pair.primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
      try await pair.primary.sql("SELECT pg_reload_conf()")
      try await eventually("the standby is waited for") {
        try await pair.primary.sql("SELECT sync_state FROM pg_stat_replication").hasPrefix("sync")
      }
    } catch {
      await pair.remove()
      throw error
    }
    return pair
  }

  /// The primary is gone at once; the standby still refuses to write.
  package func losePrimary() async throws { try await primary.command("wipe") }

  /// The standby becomes the primary.
  package func promote() async throws { try await standby.sql("SELECT pg_promote(true)") }

  package func remove() async {
    try? await primary.command("wipe")
    try? await standby.command("wipe")
    try? FileManager.default.removeItem(atPath: folder)
  }
}
