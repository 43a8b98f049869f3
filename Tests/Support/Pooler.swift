internal import Foundation
internal import Glibc

/// How a pooler gives its clients sessions of Postgres.
package enum PoolMode: String, CaseIterable, Sendable {
  case session
  case transaction
  case statement
}

/// Runs the body with a PgBouncer of its own in front of a test's database.
/// - Parameters:
///   - database: the URL of the database behind it.
///   - mode: what a client is given a session for.
///   - body: gets the URL of the same database through the pooler.
package func withPooler<Result>(
  of database: String, _ mode: PoolMode, isolation: isolated (any Actor)? = #isolation,
  _ body: (String) async throws -> Result
) async throws -> Result {
  let port = try BrokerServer.freePort()
  let folder = "/tmp/\(uniqueName("pooler"))"
  // The pooler does not run as root, and writes here.
  try FileManager.default.createDirectory(
    atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o777])
  chmod(folder, 0o777)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  guard let server = URLComponents(string: database), let host = server.host, let user = server.user else {
    throw BrokerCommandFailed(command: "pgbouncer", output: "not the URL of a database")
  }
  try """
  [databases]
  * = host=\(host) port=\(server.port ?? 5432) user=\(user)
  [pgbouncer]
  listen_addr = 127.0.0.1
  listen_port = \(port)
  unix_socket_dir =
  auth_type = any
  pool_mode = \(mode.rawValue)
  ignore_startup_parameters = options, extra_float_digits
  default_pool_size = 20
  logfile = \(folder)/log
  pidfile = \(folder)/pid
  """.write(toFile: "\(folder)/pgbouncer.ini", atomically: false, encoding: .utf8)
  _ = try await runCommand("/usr/sbin/pgbouncer", ["-d", "-u", "nobody", "\(folder)/pgbouncer.ini"])
  defer {
    let text = (try? String(contentsOfFile: "\(folder)/pid", encoding: .utf8)) ?? ""
    if let process = Int32(text.filter(\.isNumber)) { kill(process, SIGKILL) }
  }
  return try await body("postgresql://\(user)@127.0.0.1:\(port)\(server.path)")
}
