internal import Foundation
package import Logging
package import PostgresClient
internal import Resilience

/// Runs the body with a database of its own, which is dropped afterwards even if it is still in use.
///
/// The server is that of `BATON_TEST_DATABASE_URL`, a superuser's URL.
/// - Parameters:
///   - server: another server's URL.
///   - body: gets the URL of the new, empty database.
package func withTestDatabase<Result>(
  on server: String? = nil, isolation: isolated (any Actor)? = #isolation, _ body: (String) async throws -> Result
) async throws -> Result {
  let server = try server ?? postgresTestVariable("BATON_TEST_DATABASE_URL")
  let name = "test_\(UInt64.random(in: .min ... .max))"
  try await runOnServer(server, "CREATE DATABASE \(name)")
  do {
    let result = try await body(databaseURL(server, name))
    try await runOnServer(server, "DROP DATABASE \(name) WITH (FORCE)")
    return result
  } catch {
    // The body's error says more than that of the clean-up.
    try? await runOnServer(server, "DROP DATABASE \(name) WITH (FORCE)")
    throw error
  }
}

/// Runs the body with a connection to a database of its own.
package func withTestConnection<Result>(
  isolation: isolated (any Actor)? = #isolation, _ body: (PostgresConnection) async throws -> Result
) async throws -> Result {
  try await withTestDatabase { conninfo in
    let connection = try await PostgresConnection.connect(
      testConfiguration(conninfo), logger: Logger.postgresTests)
    do {
      let result = try await body(connection)
      await connection.close()
      return result
    } catch {
      await connection.close()
      throw error
    }
  }
}

/// A configuration for tests: patient, so that a busy machine fails no test, and quick to reconnect.
package func testConfiguration(
  _ conninfo: String, applicationName: String = "baton-tests"
) -> PostgresConfiguration {
  var configuration = PostgresConfiguration(conninfo: conninfo, applicationName: applicationName)
  configuration.connectTimeout = .seconds(20)
  configuration.acquireTimeout = .seconds(20)
  configuration.reconnect = .init(base: .milliseconds(10), max: .milliseconds(200))
  return configuration
}

/// The same server's URL with another database.
package func databaseURL(_ server: String, _ name: String) -> String {
  let parts = server.split(separator: "?", maxSplits: 1)
  let query = parts.count > 1 ? "?\(parts[1])" : ""
  let authority = parts[0].split(separator: "/", omittingEmptySubsequences: false).prefix(3).joined(separator: "/")
  return "\(authority)/\(name)\(query)"
}

/// A variable that the test run is given; without it the test fails and says how to get it.
package func postgresTestVariable(_ name: String) throws -> String {
  guard let value = ProcessInfo.processInfo.environment[name], !value.isEmpty else {
    throw MissingTestVariable(name: name)
  }
  return value
}

/// The servers for a test are not there.
package struct MissingTestVariable: Error, CustomStringConvertible {
  /// The missing environment variable.
  package let name: String
  /// What to do.
  package var description: String { "\(name) is not set: run the tests by deploy/local/test, which starts servers" }
}

private func runOnServer(_ server: String, _ sql: String) async throws {
  let connection = try await PostgresConnection.connect(testConfiguration(server), logger: .postgresTests)
  do {
    try await connection.query(PostgresStatement(unprepared: sql))
  } catch {
    await connection.close()
    throw error
  }
  await connection.close()
}

extension Logger {
  /// Logs nothing: a test's promise is in its expectations.
  package static var postgresTests: Logger { Logger(label: "postgres-tests") { _ in SwiftLogNoOpLogHandler() } }
}
