import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Connection poolers in front of Postgres", .timeLimit(.minutes(3)))
struct PoolerTests {
  @Test("a pooler that shares sessions is detected at the start", arguments: [PoolMode.transaction, .statement])
  func shared(_ mode: PoolMode) async throws {
    try await withTestStore { test in
      try await withPooler(of: test.conninfo, mode) { conninfo in
        let pool = PostgresPool(configuration(conninfo), logger: .postgresTests)
        await #expect(throws: SessionFault.isShared) { try await Migrator(pool: pool).check() }
        await pool.close()
      }
    }
  }

  @Test("a pooler of whole sessions that does not pass on their settings is detected at the start")
  func unset() async throws {
    try await withTestStore { test in
      try await withPooler(of: test.conninfo, .session) { conninfo in
        let pool = PostgresPool(configuration(conninfo), logger: .postgresTests)
        await #expect(throws: SessionFault.lacksSettings) {
          try await Migrator(pool: pool).check()
        }
        await pool.close()
      }
    }
  }

  @Test("behind a pooler of whole sessions, reviews are claimed once the account has the settings that the page names")
  func works() async throws {
    try await withTestStore { test in
      for setting in ["enable_seqscan = off", "jit = off", "statement_timeout = '30s'", "timezone = 'UTC'"] {
        try await test.sql(
          "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET \(setting.replacing("'", with: "''"))', current_database()); END $$"
        )
      }
      try await withPooler(of: test.conninfo, .session) { conninfo in
        let pool = PostgresPool(configuration(conninfo), logger: .postgresTests)
        try await Migrator(pool: pool).check()
        let ids = try await test.insert(3)
        let claims = try await ReviewStore(pool: pool, logger: .postgresTests).claim(
          limit: 3, ownerLimit: 20, by: test.holder.id)
        #expect(Set(claims.map(\.ticket.reviewID)) == Set(ids))
        await pool.close()
      }
    }
  }

  private func configuration(_ conninfo: String) -> PostgresConfiguration {
    var configuration = testConfiguration(conninfo)
    configuration.sessionSettings = ReviewStore.sessionSettings
    configuration.optionalSessionSettings = ReviewStore.optionalSessionSettings
    return configuration
  }
}
