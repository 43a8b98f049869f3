import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Sessions of an account with settings of its own")
struct SessionSettingsTests {
  private static let hostile = [
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_deferrable", "on"), ("idle_session_timeout", "100ms"), ("lock_timeout", "1ms"),
    ("statement_timeout", "1ms"), ("idle_in_transaction_session_timeout", "1ms"), ("enable_indexscan", "off"),
    ("enable_nestloop", "off"), ("enable_seqscan", "on"), ("jit", "on"), ("plan_cache_mode", "force_custom_plan"),
    ("timezone", "Asia/Kathmandu"), ("datestyle", "German"), ("intervalstyle", "sql_standard"),
    ("bytea_output", "escape"), ("extra_float_digits", "-15"), ("standard_conforming_strings", "off"),
    ("transform_null_equals", "on"), ("row_security", "off"), ("client_min_messages", "debug5"),
  ]

  @Test("whatever the account's defaults are, a session has what the statements rely on")
  func pinned() async throws {
    try await withTestStore { test in
      let role = "hostile_\(UInt32.random(in: 0 ... .max))"
      try await test.sql("CREATE ROLE \(role) LOGIN SUPERUSER")
      for (name, value) in Self.hostile { try await test.sql("ALTER ROLE \(role) SET \(name) = '\(value)'") }
      var configuration = testConfiguration(test.conninfo.replacing(try Regex("//[^@]*@"), with: "//\(role)@"))
      configuration.sessionSettings = ReviewStore.sessionSettings
      configuration.optionalSessionSettings = ReviewStore.optionalSessionSettings
      let pool = PostgresPool(configuration, logger: .postgresTests)
      let rows = try await pool.query(
        PostgresStatement(unprepared: "SELECT lower(name), setting FROM pg_settings WHERE lower(name) = ANY ($1)"),
        [Self.hostile.map(\.0)])
      let found = Dictionary(
        uniqueKeysWithValues: try rows.map { (try $0.decode(0, as: String.self), try $0.decode(1, as: String.self)) })
      #expect(found.count == Self.hostile.count)
      for (name, value) in Self.hostile { #expect(found[name] != value, "\(name)") }
      #expect(found["default_transaction_isolation"] == "read committed" && found["datestyle"] == "ISO, MDY")
      #expect(found["idle_session_timeout"] == "0" && found["statement_timeout"] == "30000")

      let store = ReviewStore(pool: pool, logger: .postgresTests)
      let ids = try await test.insert(5)
      let claims = try await store.claim(limit: 5, ownerLimit: 20, by: test.holder.id)
      #expect(Set(claims.map(\.ticket.reviewID)) == Set(ids))
      await pool.close()
      try await test.sql("DROP ROLE \(role)")
    }
  }

  @Test("reviews that a reaper has taken are free again soon if it stands still before it has committed")
  func recovery() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(1)
      var configuration = testConfiguration(test.conninfo)
      configuration.sessionSettings = ReviewStore.sessionSettings.merging(ReviewStore.recoverySessionSettings) { $1 }
      let reaper = try await PostgresConnection.connect(configuration, logger: .postgresTests)
      let setting = try await reaper.query(
        PostgresStatement(
          unprepared: "SELECT setting FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'")
      )
      #expect(try setting[0].decode(0, as: String.self) == "3000")
      for command in ["BEGIN", "SELECT FROM code_reviews FOR UPDATE"] {
        _ = try await reaper.query(PostgresStatement(unprepared: command))
      }
      try await eventually("the review is free") {
        try await test.sql("SELECT id FROM code_reviews FOR UPDATE SKIP LOCKED").count == ids.count
      }
      await reaper.close()
    }
  }
}
