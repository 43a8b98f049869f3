import Foundation
import PostgresClient
import Support
import Testing

@Suite("Postgres cancellation")
struct PostgresCancellationTests {
  private let sleep = PostgresStatement("sleep", "/* baton:sleep */ SELECT pg_sleep($1)")
  private let one = PostgresStatement(unprepared: "SELECT 1")

  /// Waits until the server runs as many sleeping statements.
  private func waitForSleepers(_ count: Int, on watcher: PostgresConnection) async throws {
    let sleepers = PostgresStatement(
      "sleepers",
      """
      SELECT count(*) FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event = 'PgSleep'
      """)
    try await eventually("\(count) sleeping statements") {
      try await watcher.query(sleepers).one().decode(0, as: Int.self) == count
    }
  }

  private func withConnections(_ body: (PostgresConnection, PostgresConnection) async throws -> Void) async throws {
    try await withTestDatabase { conninfo in
      let configuration = testConfiguration(conninfo)
      let connection = try await PostgresConnection.connect(configuration, logger: .postgresTests)
      let watcher = try await PostgresConnection.connect(configuration, logger: .postgresTests)
      try await body(connection, watcher)
      await connection.close()
      await watcher.close()
    }
  }

  @Test("cancelling the only task in flight ends its wait, and its statement at the server")
  func alone() async throws {
    try await withConnections { connection, watcher in
      let task = Task { try await connection.query(sleep, [3600.0]) }
      try await waitForSleepers(1, on: watcher)
      task.cancel()
      let error = await #expect(throws: PostgresError.self) { try await task.value }
      #expect(error?.kind == .cancelled)
      try await waitForSleepers(0, on: watcher)
      #expect(try await connection.query(one).count == 1)
    }
  }

  @Test("a request to cancel that nobody answers keeps its connection from nobody for long")
  func silentCancel() async throws {
    try await withTestDatabase { conninfo in
      let server = try #require(URLComponents(string: conninfo)?.port)
      let proxy = try await TCPProxy(to: server)
      let silent = try SilentServer()
      var configuration = testConfiguration(conninfo.replacing(":\(server)/", with: ":\(proxy.port)/"))
      configuration.poolSize = 1
      let pool = PostgresPool(configuration, logger: .postgresTests)
      let watcher = try await PostgresConnection.connect(testConfiguration(conninfo), logger: .postgresTests)
      let task = Task { try await pool.query(sleep, [3600.0]) }
      try await waitForSleepers(1, on: watcher)
      proxy.leadNew(to: Int(silent.port))
      task.cancel()
      _ = await #expect(throws: PostgresError.self) { try await task.value }
      let next = Task { try await pool.query(one) }
      // Until then the request to cancel is on its way.
      try await Task.sleep(for: .seconds(1))
      proxy.leadNew(to: server)
      _ = try? await next.value
      #expect(try await pool.query(one).count == 1)
      await pool.close()
      await watcher.close()
      silent.close()
      await proxy.stop()
    }
  }

  @Test("a cancelled task does not wait for its neighbours, whose statements are not cancelled")
  func besideOthers() async throws {
    try await withConnections { connection, watcher in
      // The first one waits for a lock until the watcher releases it.
      try await watcher.query(PostgresStatement(unprepared: "SELECT pg_advisory_lock(1)"))
      let lock = PostgresStatement("lock", "SELECT pg_advisory_lock_shared(1)")
      let cancelled = Task { try await connection.query(lock) }
      try await eventually("a statement that waits for the lock") {
        try await watcher.query(
          PostgresStatement(
            unprepared: """
              SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'
              """)
        ).count == 1
      }
      async let neighbour = connection.query(sleep, [0.05])
      async let other = connection.query(sleep, [0.05])
      try await Task.sleep(for: .milliseconds(20))
      cancelled.cancel()
      let error = await #expect(throws: PostgresError.self) { try await cancelled.value }
      #expect(error?.kind == .cancelled)
      try await watcher.query(PostgresStatement(unprepared: "SELECT pg_advisory_unlock(1)"))
      // A request to cancel that hit one of them would throw 57014 here.
      #expect(try await neighbour.count == 1)
      #expect(try await other.count == 1)
    }
  }

  @Test("once all callers in flight are cancelled, so is what runs")
  func everybody() async throws {
    try await withConnections { connection, watcher in
      let tasks = (0..<3).map { _ in Task { try await connection.query(sleep, [3600.0]) } }
      try await waitForSleepers(1, on: watcher)
      for task in tasks { task.cancel() }
      for task in tasks { await #expect(throws: PostgresError.self) { try await task.value } }
      // Each of the three runs once the one before was cancelled.
      #expect(try await connection.query(one).count == 1)
      try await waitForSleepers(0, on: watcher)
    }
  }

  @Test("a statement sent after a cancellation is never hit by it")
  func neverTheNext() async throws {
    try await withConnections { connection, _ in
      for _ in 0..<100 {
        let task = Task { try await connection.query(sleep, [0.001]) }
        await Task.yield()
        task.cancel()
        _ = await task.result
        try await connection.query(sleep, [0.0])
      }
    }
  }

  @Test("a task that is cancelled already sends nothing")
  func before() async throws {
    try await withConnections { connection, _ in
      let task = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        try await connection.execute(script: "CREATE TABLE never ()")
      }
      let error = await #expect(throws: PostgresError.self) { try await task.value }
      #expect(error?.kind == .cancelled)
      let isAbsent = try await connection.query(PostgresStatement(unprepared: "SELECT to_regclass('never') IS NULL"))
        .one()
      #expect(try isAbsent.decode(0, as: Bool.self))
    }
  }

  @Test("statement_timeout of the session settings ends a statement with its name")
  func timeout() async throws {
    try await withTestDatabase { conninfo in
      var configuration = testConfiguration(conninfo)
      configuration.sessionSettings = ["statement_timeout": "50", "search_path": #""my schema", public"#]
      let connection = try await PostgresConnection.connect(configuration, logger: .postgresTests)
      let error = await #expect(throws: PostgresError.self) { try await connection.query(sleep, [3600.0]) }
      #expect(error?.sqlState == PostgresSQLState.queryCanceled && error?.statement == "sleep")
      let path = try await connection.query(PostgresStatement(unprepared: "SHOW search_path")).one().decode(
        0, as: String.self)
      #expect(path == #""my schema", public"#)
      await connection.close()
    }
  }
}
