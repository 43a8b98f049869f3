import Foundation
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

/// The accounts of deploy/adopting.md, in a schema of its own, made by the very SQL that stands there.
private struct Accounts {
  let server: String
  /// Makes the names of the accounts, which the whole server shares, this test's.
  let mark = "t\(UInt32.random(in: .min ... .max))"

  var names: [String] { ["baton_owner", "baton", "shop"].map { "\($0)_\(mark)" } }

  func url(_ account: String) throws -> String {
    var parts = try #require(URLComponents(string: server))
    parts.user = "\(account)_\(mark)"
    return try #require(parts.string)
  }

  /// The blocks behind `<!-- rights -->`, in order, with this test's accounts in place of the page's.
  func scripts() throws -> [String] {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../..")
    let page = try String(contentsOf: root.appendingPathComponent("deploy/adopting.md"), encoding: .utf8)
    return page.split(separator: "<!-- rights -->\n```sql\n", omittingEmptySubsequences: false).dropFirst().map {
      part in
      String(part[..<(part.range(of: "```")?.lowerBound ?? part.endIndex)])
        .replacing(/\b(ROLE|TO|AUTHORIZATION) (baton_owner|baton|shop)\b/) { "\($0.1) \($0.2)_\(mark)" }
    }
  }
}

@Suite("Rights and settings of an application's session")
struct RightsTests {
  private static let insert = """
    INSERT INTO baton.code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title,
                                    pr_author, base_ref, head_ref, head_sha)
    VALUES ('org', 'acme', 'github', 'acme/shop', 42, 'https://github.com/acme/shop/pull/42', 'Add a cart', 'ann',
            'main', 'cart', gen_random_uuid()::text)
    ON CONFLICT DO NOTHING
    RETURNING id
    """

  /// Runs the body with a migrated schema `baton` and the accounts of the page.
  private func withAccounts(_ body: (Accounts, PostgresPool) async throws -> Void) async throws {
    var names: [String] = []
    try await withTestDatabase { conninfo in
      let accounts = Accounts(server: conninfo)
      names = accounts.names
      let admin = PostgresPool(testConfiguration(conninfo), logger: .postgresTests)
      do {
        let scripts = try accounts.scripts()
        try #require(scripts.count == 2)
        try await admin.withConnection { connection in
          try await connection.execute(script: "CREATE ROLE \(names[2]) LOGIN; \(scripts[0])")
        }
        let owner = PostgresPool(testConfiguration(try accounts.url("baton_owner")), logger: .postgresTests)
        let migrator = Migrator(pool: owner)
        #expect(try await migrator.migrate().count == Migrator.migrations.count)
        #expect(try await migrator.schemaOpenToAll() == nil)
        await owner.close()
        try await admin.withConnection { try await $0.execute(script: scripts[1]) }
        try await body(accounts, admin)
        await admin.close()
      } catch {
        await admin.close()
        throw error
      }
    }
    try await withTestConnection { connection in
      for name in names { try await connection.query(Statement(unprepared: "DROP ROLE \(name)")) }
    }
  }

  @Test("an application that may only INSERT, with another search path, gives Baton a review")
  func insertOnly() async throws {
    try await withAccounts { accounts, admin in
      let shop = try await PostgresConnection.connect(
        testConfiguration(try accounts.url("shop"), applicationName: "shop"), logger: .postgresTests)
      let rows = try await shop.query(Statement(unprepared: Self.insert))
      let id = try #require(rows.first).decode(0, as: UUID.self)
      let traces = try await admin.query(
        Statement(unprepared: "SELECT review_id, actor FROM baton.review_transitions"))
      #expect(try traces.map { try $0.decode(0, as: UUID.self) } == [id])
      #expect(try traces[0].decode(1, as: String.self) == "shop")
      #expect(try await admin.query(Statement(unprepared: "SELECT FROM baton.review_owners")).count == 1)
      for refused in [
        "SELECT token_ciphertext FROM baton.platform_integrations", "UPDATE baton.code_reviews SET priority = 1",
        "INSERT INTO baton.review_transitions (review_id, to_status) SELECT gen_random_uuid(), 'x'",
      ] {
        await #expect(throws: PostgresError.self, "\(refused)") { try await shop.query(Statement(unprepared: refused)) }
      }
      await shop.close()
    }
  }

  @Test("what a caller puts in the way of a trigger's names is not found by it")
  func evilPath() async throws {
    try await withAccounts { accounts, admin in
      let shop = try await PostgresConnection.connect(
        testConfiguration(try accounts.url("shop"), applicationName: "shop"), logger: .postgresTests)
      try await admin.withConnection { connection in
        try await connection.execute(script: "CREATE SCHEMA evil AUTHORIZATION \(accounts.names[2])")
      }
      try await shop.execute(
        script: """
          CREATE TABLE evil.caught (what text);
          CREATE TABLE evil.review_owners (LIKE evil.caught);
          CREATE TEMPORARY TABLE review_transitions (LIKE evil.caught);
          CREATE FUNCTION evil.catch(text, text) RETURNS bool LANGUAGE plpgsql
            AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
          CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.catch);
          CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE plpgsql
            AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
          SET search_path = evil, pg_catalog;
          """)
      #expect(try await shop.query(Statement(unprepared: Self.insert)).count == 1)
      #expect(try await admin.query(Statement(unprepared: "SELECT FROM baton.review_owners")).count == 1)
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
      var configuration = testConfiguration(try accounts.url("shop"))
      let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      configuration.sessionSettings = [parts[0]: parts[1]]
      let shop = try await PostgresConnection.connect(configuration, logger: .postgresTests)
      #expect(try await shop.query(Statement(unprepared: Self.insert)).count == 1)
      #expect(try await admin.query(Statement(unprepared: "SELECT FROM baton.review_transitions")).count == 1)
      await shop.close()
    }
  }

  @Test("the roles' account may run every statement, and needs no right to create anything")
  func roles() async throws {
    try await withAccounts { accounts, _ in
      let pool = PostgresPool(testConfiguration(try accounts.url("baton")), logger: .postgresTests)
      try await Migrator(pool: pool).check()
      #expect(try await Migrator(pool: pool).migrate().isEmpty, "a schema that is up to date is only read")
      try await pool.withConnection { connection in
        for statement in ReviewStore.statements {
          let count = (1...20).last { statement.sql.contains("$\($0)") } ?? 0
          let nulls = count == 0 ? "" : "(\(Array(repeating: "NULL", count: count).joined(separator: ", ")))"
          try await connection.query(Statement(unprepared: "PREPARE p AS \(statement.sql)"))
          do {
            try await connection.query(Statement(unprepared: "EXPLAIN EXECUTE p\(nulls)"))
          } catch let error as PostgresError where error.sqlState != "42501" {
            // What NULL cannot be a parameter of; its rights were in order.
          }
          try await connection.query(Statement(unprepared: "DEALLOCATE p"))
        }
        await #expect(throws: PostgresError.self) {
          try await connection.query(Statement(unprepared: "CREATE TABLE mine ()"))
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
        #expect(try await connection.query(Statement(unprepared: insert)).count == 1)
      }
      await renamed.close()
    }
  }
}
