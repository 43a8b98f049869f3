import Foundation
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

/// What a review refers to belongs to the review's owner and platform, also in rows that are written by SQL.
@Suite("Owners are kept apart")
struct TenantTests {
  /// Integrations of `org:victim`, one of each platform, with tokens.
  private struct Victim {
    let github = UUID()
    let gitlab = UUID()

    func add(_ test: TestStore) async throws {
      try await test.sql(
        """
        INSERT INTO platform_integrations (id, owner_type, owner_id, platform, installation_id, token_ciphertext)
        VALUES ('\(github)', 'org', 'victim', 'github', '42', 'x'), ('\(gitlab)', 'org', 'victim', 'gitlab', NULL, 'y')
        """)
    }
  }

  private static func insert(
    type: String = "org", owner: String, platform: String = "github", integration: UUID, number: Int = 1,
    status: String = "pending"
  ) -> String {
    """
    INSERT INTO code_reviews (owner_type, owner_id, platform, platform_integration_id, repo_full_name, pr_number, pr_url,
                              pr_title, pr_author, base_ref, head_ref, head_sha, status)
    VALUES ('\(type)', '\(owner)', '\(platform)', '\(integration)', 'acme/shop', \(number), 'u', 't', 'ada', 'main', 'f',
            'abc', '\(status)')
    RETURNING id
    """
  }

  /// Runs SQL that the database has to refuse.
  private func expectRefusal(_ sql: String, _ constraint: String, says text: String, _ test: TestStore) async {
    let error = await #expect(throws: PostgresError.self, "\(sql)") { try await test.sql(sql) }
    #expect(error?.constraint == constraint && error?.message.contains(text) == true, "\(String(describing: error))")
    #expect(error?.hint?.isEmpty == false && error?.description.contains("victim") == false)
  }

  @Test("an insert that names another owner's or another platform's integration is refused, and says which")
  func insert() async throws {
    try await withTestStore { test in
      let victim = Victim()
      try await victim.add(test)
      for (sql, other) in [
        (Self.insert(owner: "evil", integration: victim.github), "another owner"),
        (Self.insert(type: "user", owner: "victim", integration: victim.github), "another owner"),
        (Self.insert(owner: "evil", platform: "gitlab", integration: victim.gitlab), "another owner"),
        (Self.insert(owner: "victim", integration: victim.gitlab), "another platform"),
        (Self.insert(owner: "victim", platform: "gitlab", integration: victim.github), "another platform"),
        (
          Self.insert(owner: "evil", integration: victim.github, status: "completed"), "another owner"
        ),
      ] {
        await expectRefusal(
          sql, "code_reviews_integration",
          says:
            "names integration \(sql.contains(victim.github.uuidString) ? victim.github.lowercase : victim.gitlab.lowercase), which belongs to \(other)",
          test)
      }
      #expect(try await test.sql("SELECT FROM code_reviews").isEmpty)
      try await test.sql(Self.insert(owner: "victim", integration: victim.github))
      #expect(try await test.sql("SELECT FROM baton_feedback").count == 1)
    }
  }

  @Test("no update brings a review to another owner's integration")
  func update() async throws {
    try await withTestStore { test in
      let victim = Victim()
      try await victim.add(test)
      try await test.sql(Self.insert(owner: "victim", integration: victim.github))
      for change in ["owner_id = 'evil'", "owner_type = 'user'", "platform = 'gitlab'"] {
        await expectRefusal("UPDATE code_reviews SET \(change)", "code_reviews_integration", says: "another", test)
      }
      await expectRefusal(
        "UPDATE code_reviews SET platform_integration_id = '\(victim.gitlab)'", "code_reviews_integration",
        says: "another platform", test)
      try await test.sql("UPDATE code_reviews SET owner_id = 'evil', platform_integration_id = NULL")
      await expectRefusal(
        "UPDATE code_reviews SET platform_integration_id = '\(victim.github)'", "code_reviews_integration",
        says: "another owner", test)
      await expectRefusal(
        """
        INSERT INTO code_reviews AS r SELECT * FROM code_reviews
        ON CONFLICT (id) DO UPDATE SET platform_integration_id = '\(victim.github)'
        """, "code_reviews_integration", says: "another owner", test)
    }
  }

  @Test("an integration keeps its owner, platform and id")
  func identity() async throws {
    try await withTestStore { test in
      let victim = Victim()
      try await victim.add(test)
      try await test.sql(Self.insert(owner: "victim", integration: victim.github))
      for change in ["owner_id = 'evil'", "owner_type = 'user'", "platform = 'gitlab'", "id = gen_random_uuid()"] {
        await expectRefusal(
          "UPDATE platform_integrations SET \(change) WHERE id = '\(victim.github)'", "platform_integrations_identity",
          says: victim.github.lowercase, test)
      }
      try await test.sql("UPDATE platform_integrations SET token_ciphertext = 'z', metadata = '{}', revoked_at = now()")
    }
  }

  @Test("an installation gives tokens to one owner at a time, also if its row is written by SQL")
  func installation() async throws {
    try await withTestStore { test in
      try await Victim().add(test)
      let insert = """
        INSERT INTO platform_integrations (owner_type, owner_id, platform, installation_id, revoked_at)
        VALUES ('org', 'evil', 'github', '42'
        """
      await expectRefusal("\(insert), NULL)", "platform_integrations_installation", says: "installation 42", test)
      try await test.sql("\(insert), now())")
      try await test.sql(insert.replacing("'42'", with: "'43'") + ", NULL)")
      for change in ["revoked_at = NULL", "revoked_at = NULL, installation_id = '42'"] {
        await expectRefusal(
          "UPDATE platform_integrations SET \(change) WHERE owner_id = 'evil'", "platform_integrations_installation",
          says: "installation 42", test)
      }
      try await test.sql("UPDATE platform_integrations SET revoked_at = now() WHERE owner_id = 'victim'")
      try await test.sql("UPDATE platform_integrations SET revoked_at = NULL WHERE owner_id = 'evil'")
    }
  }

  @Test("two owners that take one installation at the same time: one of them is refused")
  func sameInstallation() async throws {
    try await withTestStore { test in
      func insert(_ owner: String) -> PostgresStatement {
        PostgresStatement(
          unprepared: """
            INSERT INTO platform_integrations (owner_type, owner_id, platform, installation_id)
            VALUES ('org', '\(owner)', 'github', '42')
            """)
      }
      let other = try await PostgresConnection.connect(testConfiguration(test.conninfo), logger: .postgresTests)
      let second = try await test.pool.withTransaction { connection in
        _ = try await connection.query(insert("first"))
        let second = Task { try await other.query(insert("second")) }
        try await eventually("the second one waits") {
          try await connection.query(
            PostgresStatement(
              unprepared: """
                SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                 WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted
                """)
          ).count == 1
        }
        return second
      }
      let error = await #expect(throws: PostgresError.self) { _ = try await second.value }
      #expect(error?.constraint == "platform_integrations_installation")
      await other.close()
    }
  }

  @Test("an integration that does not exist is none yet: the review is taken, and fails as integration_missing")
  func unknown() async throws {
    try await withTestStore { test in
      try await test.sql(Self.insert(owner: "acme", integration: UUID()))
      guard case .leased(let review) = try await test.lease([try await test.claim()[0].ticket])[0] else {
        Issue.record("not leased")
        return
      }
      #expect(review.platformIntegrationId != nil && review.integration == nil)
    }
  }

  /// A database as version 16 left it, with reviews of `org:evil` that name the integrations of `org:victim`.
  private func withOldRows(_ victim: Victim, _ body: (TestStore) async throws -> Void) async throws {
    try await withTestDatabase { conninfo in
      var configuration = testConfiguration(conninfo)
      configuration.sessionSettings = ReviewStore.sessionSettings
      let pool = PostgresPool(configuration, logger: .postgresTests)
      let test = TestStore(conninfo: conninfo, pool: pool)
      try await pool.withConnection { connection in
        for migration in Migrator.migrations where migration.version <= 16 {
          try await connection.execute(script: migration.sql)
        }
        try await connection.execute(
          script: """
            CREATE TABLE baton_migrations (version int PRIMARY KEY, name text NOT NULL,
                                           applied_at timestamptz NOT NULL DEFAULT now());
            INSERT INTO baton_migrations (version, name) VALUES (16, 'before');
            """)
      }
      try await victim.add(test)
      try await test.store.setConfiguration(
        #"{"gate_threshold":"all"}"#, of: Owner(type: .org, id: "evil"), platform: .github)
      try await test.sql(Self.insert(owner: "evil", integration: victim.github, number: 1))
      try await test.sql(Self.insert(owner: "evil", integration: victim.gitlab, number: 2))
      try await test.sql(Self.insert(owner: "evil", integration: victim.github, number: 3, status: "failed"))
      _ = try await Migrator(pool: pool).migrate()
      try await body(test)
      await pool.close()
    }
  }

  @Test("rows from before the rule are migrated; their integration is missing, for the lease and for feedback")
  func before() async throws {
    let victim = Victim()
    try await withOldRows(victim) { test in
      // What the old triggers owed is given up, because no integration is found for it.
      let owed = try await test.store.takeFeedback(limit: 100)
      #expect(!owed.isEmpty)
      for entry in owed {
        let integration = entry.feedback.integration
        #expect(integration.isRevoked && integration.tokenCiphertext == nil && integration.installationId == nil)
      }
      try await test.sql("DELETE FROM baton_feedback")
      let failed = try await test.sql("SELECT id FROM code_reviews WHERE status = 'failed'")[0].decode(0, as: UUID.self)
      _ = try await test.store.retry(failed)
      let claims = try await test.claim()
      #expect(claims.count == 3)
      for verdict in try await test.lease(claims.map(\.ticket)) {
        guard case .leased(let review) = verdict else {
          Issue.record("\(verdict)")
          continue
        }
        #expect(review.platformIntegrationId != nil && review.integration == nil)
      }
      // And the row lives on: it ends, and owes its pull request nothing.
      try await test.sql("UPDATE code_reviews SET status = 'failed', error_code = 'integration_missing'")
      #expect(try await test.sql("SELECT FROM baton_feedback").isEmpty)
    }
  }

  @Test("a delivery that names an integration of another platform has no owner")
  func delivery() async throws {
    try await withTestStore { test in
      let victim = Victim()
      try await victim.add(test)
      let delivery = WebhookDelivery(
        platform: .github, id: "1", event: "pull_request", payload: "{}", integrationID: victim.gitlab)
      #expect(try await test.store.store(delivery))
      let outcome = try await test.store.process(.github, "1", waitMax: .seconds(5)) { stored in
        Issue.record("judged as \(stored.owner)")
        return .ignored("")
      }
      #expect(outcome == .unchanged("its integration is gone", nil))
    }
  }

  // MARK: Sessions

  private func addReview(_ test: TestStore, owner: String, session: String, number: Int) async throws {
    try await test.sql(
      """
      INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                base_ref, head_ref, head_sha, status, session_id)
      VALUES ('org', '\(owner)', 'github', 'acme/shop', \(number), 'u', 't', 'ada', 'main', 'f', 'old', 'completed',
              '\(session)')
      """)
  }

  @Test("a review continues no session that is another owner's only; one from before Baton, or its own, it does")
  func sessions() async throws {
    try await withTestStore { test in
      try await addReview(test, owner: "victim", session: "secret", number: 1)
      try await addReview(test, owner: "acme", session: "own", number: 2)
      try await addReview(test, owner: "victim", session: "shared", number: 3)
      try await addReview(test, owner: "acme", session: "shared", number: 3)
      _ = try await test.insert(1)
      let update = "UPDATE code_reviews SET previous_session_id = '%' WHERE status = 'pending'"
      for good in ["own", "shared", "from before Baton"] { try await test.sql(update.replacing("%", with: good)) }
      await expectRefusal(
        update.replacing("%", with: "secret"), "code_reviews_session", says: "another owner", test)
      await expectRefusal(
        """
        INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                  base_ref, head_ref, head_sha, previous_session_id)
        VALUES ('user', 'victim', 'github', 'acme/shop', 1, 'u', 't', 'ada', 'main', 'f', 'new', 'secret')
        """, "code_reviews_session", says: "another owner", test)
      await expectRefusal(
        "UPDATE code_reviews SET owner_id = 'evil', previous_session_id = 'own' WHERE status = 'pending'",
        "code_reviews_session", says: "another owner", test)
    }
  }

  @Test("a session that became another owner's after the review was written is not handed to the worker")
  func lateSession() async throws {
    try await withTestStore { test in
      _ = try await test.insert(1)
      try await test.sql("UPDATE code_reviews SET previous_session_id = 'secret'")
      try await addReview(test, owner: "victim", session: "secret", number: 9)
      guard case .leased(let review) = try await test.lease([try await test.claim()[0].ticket])[0] else {
        Issue.record("not leased")
        return
      }
      #expect(review.previousSessionId == nil)
    }
  }
}
