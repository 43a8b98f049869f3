import Foundation
import PostgresClient
import Support
import Testing

// Serialized: each test starts a server of its own, which takes memory and a minute on a busy machine.
@Suite("Postgres restart", .serialized)
struct PostgresRestartTests {
  private let one = PostgresStatement("one", "SELECT 1")

  @Test("pool and listener survive a restart of the server: calls fail or succeed, and afterwards all succeed")
  func restart() async throws {
    try await withOwnPostgres { server in
      let pool = PostgresPool(testConfiguration(server.url), logger: .postgresTests)
      let listener = PostgresListener(testConfiguration(server.url), channels: ["news"], logger: .postgresTests)
      let run = Task { await listener.run() }
      var events = listener.events.makeAsyncIterator()
      #expect(await events.next() == .connected)
      try await pool.query(one)

      let callers = (0..<8).map { _ in
        Task {
          var errors: [any Error] = []
          while !Task.isCancelled {
            do {
              try await pool.withTransaction { try await $0.query(one) }
              try await pool.query(one)
            } catch {
              errors.append(error)
            }
          }
          return errors
        }
      }
      try await server.stop()
      #expect(await events.next() == .lost)
      try await server.start()
      #expect(await events.next() == .connected)
      try await eventually("an answer") { await pool.ping() }
      for caller in callers { caller.cancel() }
      for caller in callers {
        for error in await caller.value {
          let error = try #require(error as? PostgresError)
          #expect(error.isTransient || error.kind == .cancelled, "\(error)")
        }
      }
      #expect(pool.reconnects > 0)
      for _ in 0..<50 { try await pool.query(one) }
      run.cancel()
      await run.value
      await pool.close()
    }
  }

  @Test("a wrong password is refused at once, with its SQLSTATE and without the password")
  func wrongPassword() async throws {
    try await withOwnPostgres { server in
      let admin = try await PostgresConnection.connect(testConfiguration(server.url), logger: .postgresTests)
      try await admin.execute(script: "CREATE ROLE reader LOGIN PASSWORD 'right'")
      try server.write(
        "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n", to: "pg_hba.conf")
      try await admin.query(PostgresStatement(unprepared: "SELECT pg_reload_conf()"))
      func url(_ password: String) -> String {
        server.url.replacingOccurrences(of: "postgres@", with: "reader:\(password)@")
      }
      // The postmaster takes the file in within a moment.
      try await eventually("the new pg_hba.conf") {
        (try? await PostgresConnection.connect(testConfiguration(url("s3cret")), logger: .postgresTests)) == nil
      }
      let pool = PostgresPool(testConfiguration(url("s3cret")), logger: .postgresTests)
      let error = await #expect(throws: PostgresError.self) { try await pool.query(one) }
      #expect(error?.sqlState == "28P01" && error?.conditionName == "invalid_password")
      #expect(error?.kind == .connectionFailed && error?.isTransient == false)
      #expect(error?.description.contains("s3cret") == false && error?.message.contains("s3cret") == false)
      await pool.close()

      let right = try await PostgresConnection.connect(testConfiguration(url("right")), logger: .postgresTests)
      #expect(try await right.query(one).count == 1)
      await right.close()
      await admin.close()
    }
  }
}
