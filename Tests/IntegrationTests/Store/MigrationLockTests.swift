import PostgresClient
import ReviewStore
import Support
import Synchronization
import Testing

@Suite("A migration while others work")
struct MigrationLockTests {
  /// Runs the body with a schema whose next step needs `code_reviews` for itself.
  private func withEarlierSchema(_ body: (PostgresPool, String) async throws -> Void) async throws {
    try await withTestDatabase { conninfo in
      let pool = PostgresPool(testConfiguration(conninfo, applicationName: "migrate"), logger: .postgresTests)
      try await pool.withConnection { connection in
        for migration in Migrator.migrations where migration.version < 16 {
          try await connection.execute(script: migration.sql)
        }
        try await connection.execute(
          script: """
            CREATE TABLE baton_migrations (version int PRIMARY KEY, name text NOT NULL,
                                           applied_at timestamptz NOT NULL DEFAULT now());
            INSERT INTO baton_migrations (version, name) VALUES (15, 'before');
            """)
      }
      do {
        try await body(pool, conninfo)
        await pool.close()
      } catch {
        await pool.close()
        throw error
      }
    }
  }

  private func open(_ conninfo: String, as name: String) async throws -> PostgresConnection {
    try await PostgresConnection.connect(
      testConfiguration(conninfo, applicationName: name), logger: .postgresTests)
  }

  @Test("a session that holds the table is named, others do not wait behind the migration, and it goes on afterwards")
  func blocked() async throws {
    try await withEarlierSchema { pool, conninfo in
      let holder = try await open(conninfo, as: "long report")
      try await holder.execute(script: "BEGIN; SELECT count(*) FROM code_reviews")
      let seen = Mutex<[Migrator.Blocker]>([])
      let migrating = Task {
        try await Migrator(pool: pool).migrate { blockers in seen.withLock { $0 += blockers } }
      }
      try await eventually("the migration has named who blocks it") { !seen.withLock { $0.isEmpty } }
      #expect(seen.withLock { $0[0].application } == "long report")
      #expect(seen.withLock { $0[0].processID } == Int(await holder.backendPID))
      // It gives up its place in the line from time to time.
      let reader = try await open(conninfo, as: "reader")
      for _ in 0..<3 { try await reader.query(PostgresStatement(unprepared: "SELECT count(*) FROM code_reviews")) }
      await reader.close()
      try await holder.execute(script: "COMMIT")
      #expect(try await migrating.value.map(\.version).contains(16))
      await holder.close()
    }
  }

  @Test("a migration that gets no lock ends, changes nothing, and says which session to end")
  func givenUp() async throws {
    try await withEarlierSchema { pool, conninfo in
      let holder = try await open(conninfo, as: "long report")
      try await holder.execute(script: "BEGIN; SELECT count(*) FROM code_reviews")
      do {
        _ = try await Migrator(pool: pool, waitMax: .zero).migrate()
        Issue.record("it did not need the table")
      } catch let fault as Migrator.SchemaFault {
        let pid = await holder.backendPID
        #expect(fault.description.contains("long report") && fault.description.contains("pg_terminate_backend(\(pid))"))
      }
      let newest = try await pool.query(PostgresStatement(unprepared: "SELECT max(version) FROM baton_migrations"))
      #expect(try newest[0].decode(0, as: Int32.self) == 15)
      await holder.close()
    }
  }

  @Test("time-outs that the account has do not end a step")
  func timeouts() async throws {
    try await withTestDatabase { conninfo in
      var configuration = testConfiguration(conninfo)
      configuration.sessionSettings = [
        "statement_timeout": "1s", "lock_timeout": "1s", "idle_in_transaction_session_timeout": "1s",
      ]
      let pool = PostgresPool(configuration, logger: .postgresTests)
      let holder = try await open(conninfo, as: "another migrate")
      // What a second migrate waits for.
      try await holder.execute(script: "BEGIN; SELECT pg_advisory_xact_lock(1111577421)")
      let seen = Mutex(false)
      let migrating = Task { try await Migrator(pool: pool).migrate { _ in seen.withLock { $0 = true } } }
      try await eventually("it waits") { seen.withLock { $0 } }
      try await Task.sleep(for: .milliseconds(1_500))
      try await holder.execute(script: "COMMIT")
      #expect(try await migrating.value.count == Migrator.migrations.count)
      await holder.close()
      await pool.close()
    }
  }

  @Test("a search path that leads nowhere, or to another table, is refused with what to do")
  func places() async throws {
    try await withTestStore { test in
      var configuration = testConfiguration(test.conninfo)
      configuration.sessionSettings = ["search_path": "nowhere"]
      let nowhere = PostgresPool(configuration, logger: .postgresTests)
      await #expect(throws: Migrator.SchemaFault.noPlace(path: "nowhere")) {
        try await Migrator(pool: nowhere).migrate()
      }
      await #expect(throws: Migrator.SchemaFault.missing(path: "nowhere")) { try await Migrator(pool: nowhere).check() }
      await nowhere.close()
      try await test.sql("CREATE SCHEMA app")
      try await test.sql("CREATE TABLE app.code_reviews (id int)")
      configuration.sessionSettings = ["search_path": "app,public"]
      let shadowed = PostgresPool(configuration, logger: .postgresTests)
      await #expect(throws: Migrator.SchemaFault.shadowed(table: "code_reviews", by: "code_reviews")) {
        try await Migrator(pool: shadowed).check()
      }
      await shadowed.close()
    }
  }

  @Test("a schema that exists is upgraded in place, whatever comes first in the search path")
  func placeOfUpgrade() async throws {
    try await withEarlierSchema { pool, conninfo in
      try await pool.withConnection { try await $0.execute(script: "CREATE SCHEMA app") }
      var configuration = testConfiguration(conninfo)
      configuration.sessionSettings = ["search_path": "app,public"]
      let later = PostgresPool(configuration, logger: .postgresTests)
      #expect(try await Migrator(pool: later).migrate().map(\.version).contains(16))
      let tables = try await later.query(
        PostgresStatement(unprepared: "SELECT FROM pg_class WHERE relnamespace = 'app'::regnamespace"))
      #expect(tables.isEmpty)
      await later.close()
    }
  }

  @Test("a schema in which every account may create objects is named")
  func openSchema() async throws {
    try await withTestStore { test in
      #expect(try await Migrator(pool: test.pool).schemaOpenToAll() == nil)
      try await test.sql("GRANT CREATE ON SCHEMA public TO PUBLIC")
      #expect(try await Migrator(pool: test.pool).schemaOpenToAll() == "public")
    }
  }
}
