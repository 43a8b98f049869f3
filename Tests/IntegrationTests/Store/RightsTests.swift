import Foundation
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Rights and settings of an application's session", .timeLimit(.minutes(5)))
struct RightsTests {
  private static let insert = """
    INSERT INTO baton.code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title,
                                    pr_author, base_ref, head_ref, head_sha)
    VALUES ('org', 'acme', 'github', 'acme/shop', 42, 'https://github.com/acme/shop/pull/42', 'Add a cart', 'ann',
            'main', 'cart', gen_random_uuid()::text)
    ON CONFLICT DO NOTHING
    RETURNING id
    """

  /// How the application has its rights, by the headings of deploy/adopting.md.
  private enum Application {
    /// A member of the group that deploy/adopting.md makes for applications.
    case member
    case insertOnly
  }

  private func withAccounts(
    _ application: Application = .insertOnly, _ body: (Accounts, PostgresPool) async throws -> Void
  ) async throws {
    try await Support.withAccounts(of: "adopting.md", "rights") { accounts, script in
      guard application == .insertOnly else { return script }
      let others = script.replacing("GRANT \(accounts.mark)baton_application TO \(accounts.mark)shop;", with: "")
      try #require(!others.contains("application"))
      return others + (try accounts.block("rights: insert"))
    } _: { accounts, admin in
      let owner = PostgresPool(testConfiguration(accounts.url("baton_owner")), logger: .postgresTests)
      #expect(try await Migrator(pool: owner).migrate().isEmpty)
      #expect(try await Migrator(pool: owner).schemaOpenToAll() == nil)
      await owner.close()
      try await body(accounts, admin)
    }
  }

  private func connect(_ account: String, _ accounts: Accounts) async throws -> PostgresConnection {
    try await PostgresConnection.connect(
      testConfiguration(accounts.url(account), applicationName: account), logger: .postgresTests)
  }

  @Test("an application that may only INSERT, with another search path, gives Baton a review")
  func insertOnly() async throws {
    try await withAccounts { accounts, admin in
      let shop = try await connect("shop", accounts)
      let rows = try await shop.query(PostgresStatement(unprepared: Self.insert))
      let id = try #require(rows.first).decode(0, as: UUID.self)
      let traces = try await admin.query(
        PostgresStatement(unprepared: "SELECT review_id, actor FROM baton.review_transitions"))
      #expect(try traces.map { try $0.decode(0, as: UUID.self) } == [id])
      #expect(try traces[0].decode(1, as: String.self) == "shop")
      #expect(try await admin.query(PostgresStatement(unprepared: "SELECT FROM baton.review_owners")).count == 1)
      for refused in [
        "SELECT token_ciphertext FROM baton.platform_integrations", "UPDATE baton.code_reviews SET priority = 1",
        "INSERT INTO baton.review_transitions (review_id, to_status) SELECT gen_random_uuid(), 'x'",
      ] {
        await #expect(throws: PostgresError.self, "\(refused)") {
          try await shop.query(PostgresStatement(unprepared: refused))
        }
      }
      await shop.close()
    }
  }

  @Test("what a caller puts in the way of a trigger's names is not found by it")
  func evilPath() async throws {
    try await withAccounts { accounts, admin in
      let shop = try await connect("shop", accounts)
      let integration = UUID()
      try await admin.withConnection { connection in
        try await connection.execute(
          script: """
            CREATE SCHEMA evil AUTHORIZATION \(accounts.mark)shop;
            INSERT INTO baton.platform_integrations (id, owner_type, owner_id, platform, token_ciphertext)
            VALUES ('\(integration)', 'org', 'acme', 'github', 'x');
            """)
      }
      // A table, in a temporary schema and in another one, for each of Baton's; an operator for each that the triggers use; functions.
      let tables = try await admin.query(
        PostgresStatement(unprepared: "SELECT tablename::text FROM pg_tables WHERE schemaname = 'baton'")
      ).map { try $0.decode(0, as: String.self) }
      #expect(tables.count >= 15)
      var script = "CREATE TABLE evil.caught (what text); SET search_path = pg_temp, evil, pg_catalog;"
      for table in tables {
        script += "CREATE TABLE evil.\(table) (LIKE evil.caught); CREATE TEMPORARY TABLE \(table) (LIKE evil.caught);"
      }
      for type in ["text", "uuid", "timestamptz", "int"] {
        script += """
          CREATE FUNCTION evil.catch(\(type), \(type)) RETURNS bool LANGUAGE plpgsql
            AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
          """
        for name in ["=", "<>", "<", ">", "<="] {
          script += "CREATE OPERATOR evil.\(name) (LEFTARG = \(type), RIGHTARG = \(type), FUNCTION = evil.catch);"
        }
      }
      for function in [
        "current_setting(text)", "now()", "hashtextextended(text, bigint)", "pg_advisory_xact_lock(bigint)",
      ] {
        script += """
          CREATE FUNCTION evil.\(function) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
          """
      }
      try await shop.execute(script: script)
      let insert = Self.insert.replacing("(owner_type,", with: "(platform_integration_id, owner_type,")
      #expect(
        try await shop.query(
          PostgresStatement(unprepared: insert.replacing("('org'", with: "('\(integration)', 'org'"))
        ).count
          == 1)
      for (table, count) in [
        ("review_owners", 1), ("review_transitions", 1), ("baton_visits", 2), ("baton_feedback", 1),
      ] {
        let rows = try await admin.query(PostgresStatement(unprepared: "SELECT FROM baton.\(table)"))
        #expect(rows.count == count, "\(table)")
        #expect(try await shop.query(PostgresStatement(unprepared: "SELECT FROM pg_temp.\(table)")).isEmpty)
        #expect(try await shop.query(PostgresStatement(unprepared: "SELECT FROM evil.\(table)")).isEmpty)
      }
      await #expect(throws: PostgresError.self, "another owner's integration") {
        try await shop.query(
          PostgresStatement(
            unprepared: insert.replacing("('org'", with: "('\(integration)', 'user'")))
      }
      // A trigger of its own with Baton's functions would do with the owner's rights what the caller wants.
      await #expect(throws: PostgresError.self) {
        try await shop.execute(
          script: """
            CREATE TABLE evil.mine (id uuid);
            CREATE TRIGGER t AFTER DELETE ON evil.mine REFERENCING OLD TABLE AS deleted
              FOR EACH STATEMENT EXECUTE FUNCTION baton.baton_review_deleted();
            """)
      }
      await shop.close()
    }
  }

  @Test(
    "settings of the application's session change nothing",
    arguments: [
      "default_transaction_isolation=repeatable read", "default_transaction_isolation=serializable",
      "enable_indexscan=off", "enable_seqscan=off", "enable_nestloop=off", "row_security=off", "datestyle=German",
      "intervalstyle=iso_8601", "timezone=Asia/Kathmandu", "standard_conforming_strings=off",
      "transform_null_equals=on",
      "plan_cache_mode=force_generic_plan", "plpgsql.extra_errors=all", "quote_all_identifiers=on",
      "client_encoding=LATIN1", "application_name=", "check_function_bodies=off",
    ])
  func settings(setting: String) async throws {
    try await withAccounts { accounts, admin in
      var configuration = testConfiguration(accounts.url("shop"))
      let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      configuration.sessionSettings = [parts[0]: parts[1]]
      let shop = try await PostgresConnection.connect(configuration, logger: .postgresTests)
      #expect(try await shop.query(PostgresStatement(unprepared: Self.insert)).count == 1)
      #expect(try await admin.query(PostgresStatement(unprepared: "SELECT FROM baton.review_transitions")).count == 1)
      await shop.close()
    }
  }

  @Test("the application hears nothing and sees no secret, but its insert notifies, is recorded and is counted")
  func notified() async throws {
    try await withAccounts { accounts, admin in
      let heard = try await connect("baton", accounts)
      _ = try await heard.query(PostgresStatement(unprepared: "LISTEN baton_pending"))
      let shop = try await connect("shop", accounts)
      // Without RETURNING, the rights to insert are enough.
      _ = try await shop.query(PostgresStatement(unprepared: Self.insert.replacing("RETURNING id", with: "")))
      #expect(await heard.notifications.first { _ in true }?.channel == "baton_pending")
      for table in ["review_transitions", "review_owners"] {
        #expect(
          try await admin.query(PostgresStatement(unprepared: "SELECT FROM baton.\(table)")).count == 1, "\(table)")
      }
      for refused in [
        "SELECT head_sha FROM baton.code_reviews", "SELECT FROM baton.review_owners",
        "SELECT id FROM baton.platform_integrations", "DELETE FROM baton.code_reviews",
        "INSERT INTO baton.code_reviews (status) VALUES ('completed')", "SELECT FROM baton.baton_migrations",
        "INSERT INTO baton.baton_visits (owner_type, owner_id) VALUES ('org', 'other')", "CREATE TABLE baton.mine ()",
        "SELECT baton.baton_review_inserted()",
      ] {
        let error = await #expect(throws: PostgresError.self, "\(refused)") {
          try await shop.query(PostgresStatement(unprepared: refused))
        }
        #expect(error?.sqlState == "42501" || error?.sqlState == "0A000", "\(refused): \(String(describing: error))")
      }
      await shop.close()
      await heard.close()
    }
  }

  @Test("the roles' account may run every statement, and needs no right to create anything")
  func roles() async throws {
    try await withAccounts(.member) { accounts, _ in
      let pool = PostgresPool(testConfiguration(accounts.url("baton")), logger: .postgresTests)
      try await Migrator(pool: pool).check()
      #expect(try await Migrator(pool: pool).migrate().isEmpty, "a schema that is up to date is only read")
      try await pool.withConnection { connection in
        for statement in ReviewStore.statements {
          let count = (1...20).last { statement.sql.contains("$\($0)") } ?? 0
          let nulls = count == 0 ? "" : "(\(Array(repeating: "NULL", count: count).joined(separator: ", ")))"
          try await connection.query(PostgresStatement(unprepared: "PREPARE p AS \(statement.sql)"))
          do {
            try await connection.query(PostgresStatement(unprepared: "EXPLAIN EXECUTE p\(nulls)"))
          } catch let error as PostgresError where error.sqlState != "42501" {
            // What NULL cannot be a parameter of; its rights were in order.
          }
          try await connection.query(PostgresStatement(unprepared: "DEALLOCATE p"))
        }
        await #expect(throws: PostgresError.self) {
          try await connection.query(PostgresStatement(unprepared: "CREATE TABLE mine ()"))
        }
      }
      await pool.close()
    }
  }

  @Test("every trigger function has a search path of its own, its owner's rights, and no other caller")
  func functions() async throws {
    try await withTestStore { test in
      let rows = try await test.sql(
        """
        SELECT p.proname, p.prosecdef, COALESCE(array_to_string(p.proconfig, '; '), '') AS config,
               has_function_privilege('public', p.oid, 'EXECUTE') AS is_open
          FROM pg_proc p
         WHERE p.pronamespace = 'public'::regnamespace AND p.prorettype = 'trigger'::regtype
        """)
      #expect(rows.count >= 15)
      for row in rows {
        let name = try row.decode("proname", as: String.self)
        #expect(try row.decode("prosecdef", as: Bool.self), "\(name)")
        #expect(try !row.decode("is_open", as: Bool.self), "\(name)")
        #expect(
          try row.decode("config", as: String.self).contains("search_path=pg_catalog, public, pg_temp"), "\(name)")
      }
    }
  }

  @Test("a schema that was renamed is put right by the next migrate")
  func renamed() async throws {
    try await withTestDatabase { conninfo in
      let pool = PostgresPool(testConfiguration(conninfo), logger: .postgresTests)
      _ = try await Migrator(pool: pool).migrate()
      #expect(try await Migrator(pool: pool).migrate().isEmpty)
      await pool.close()
      var configuration = testConfiguration(conninfo)
      configuration.sessionSettings = ["search_path": "\"Baton's\""]
      let renamed = PostgresPool(configuration, logger: .postgresTests)
      try await renamed.withConnection { connection in
        try await connection.execute(
          script: #"ALTER SCHEMA public RENAME TO "Baton's"; CREATE SCHEMA public"#)
      }
      #expect(try await Migrator(pool: renamed).migrate().isEmpty)
      try await renamed.withConnection { connection in
        try await connection.execute(script: "SET search_path = public")
        let insert = Self.insert.replacing("baton.code_reviews", with: #""Baton's".code_reviews"#)
        #expect(try await connection.query(PostgresStatement(unprepared: insert)).count == 1)
      }
      await renamed.close()
    }
  }
}
