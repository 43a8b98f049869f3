import PostgresClient
import ReviewStore
import Support
import Testing

/// What each account of deploy/roles.md may do, and what it may not.
@Suite("Rights of each role", .timeLimit(.minutes(5)))
struct RoleRightsTests {
  enum Part: String, CaseIterable, Sendable {
    case producer, consumer, reaper, server, admin, viewer

    /// Statements of its work, by name; those of every process are in ``process``.
    var statements: [String] {
      switch self {
      case .producer:
        Self.process + [
          "visits_come_due", "lock_owners", "claim_due", "claimable", "next_due", "visit_missed", "note_owner_limit",
          "published",
          "unclaim", "owed_claims", "own_claims",
        ]
      case .consumer:
        Self.process + [
          "lease", "still_leased", "isolate", "end_isolation", "record", "postpone", "drop_lease", "retry_later",
          "fail", "leave_queued",
          "unanswered_roll_calls", "answer_roll_calls", "worker_answers", "worker_has_answered", "undecided_holders",
          "add_cancel", "report", "patient_transaction", "lock_integration_tokens",
          "store_integration_tokens",
        ]
      case .reaper:
        Self.process + [
          "reap", "reapable", "take_silent", "askable", "record_asked", "silent_count", "forget_dispatch", "fail_lost",
          "open_roll_call",
          "see_roll_calls", "prune_roll_calls", "prune_holders", "report", "worker_answers", "worker_has_answered",
          "count_reconciled", "reaper_ran", "take_outbox", "delete_outbox", "fail_outbox", "outbox_count", "published",
          "unclaim", "owed_claims", "own_claims",
        ]
      case .server:
        Self.process + [
          "submit", "find", "transitions", "cancel", "retry", "release", "report", "pause_owner", "add_paused_owner",
          "webhook_installation",
          "webhook_integration", "store_delivery", "due_deliveries", "defer_delivery", "prune_deliveries",
          "take_delivery", "settle_delivery", "related_reviews", "newest_event", "cancel_related", "insert_push",
          "restart_push", "touch_push", "take_feedback", "record_check_run", "feedback_told", "feedback_delivered",
          "feedback_failed", "lock_integration_tokens", "store_integration_tokens", "live_owners", "one_owner",
          "blocked", "why_pending", "flow", "recent_failures", "list_holders", "browse_live", "browse", "browse_end",
          "count_live", "count_window",
          "list_deliveries", "repository_deliveries", "count_deliveries", "count_repository_deliveries",
          "deliveries_end", "add_task", "take_tasks", "end_task", "task_outcome", "fail_task", "prune_tasks",
          "commit_has_review", "group_verdict", "rerunnable", "checked_reviews", "rerun", "allow_rerun",
          "change_installation", "installation_state", "added_since", "fail_revoked", "cancel_removed",
          "sweep_soon", "is_outdated_event", "webhook_standing",
          "present_installation", "store_unknown",
          "undelivered_feedback", "given_up_feedback", "overdue", "undelivered_events", "waiting_feedback", "identify",
          "search",
          "common_number", "matching", "take_outbox",
          "delete_outbox",
          "fail_outbox", "list_endpoints", "take_events", "event_delivered", "endpoint_accepted", "event_failed",
          "endpoint_failed", "endpoint_noted", "endpoint_gone", "prune_events", "worker_versions",
        ]
      case .admin:
        Self.commands + [
          "submit", "cancel", "retry", "release", "set_owner_limit", "pause_owner", "add_paused_owner",
          "change_configuration",
          "same_integration",
          "put_integration", "revoke_integration", "prune_reviews", "prune_deliveries", "add_endpoint",
          "list_endpoints",
          "enable_endpoint", "replace_endpoint_secret", "remove_endpoint", "endpoint_secrets", "reseal_endpoint_secret",
          "retry_events",
        ]
      case .viewer: Self.commands
      }
    }

    private static let process = [
      "correct_times", "end_older_session", "sign_on", "register_holder", "heartbeat", "holder_row", "leave",
      "look_at_holders",
      "now", "list_holders", "backlog", "event_backlog",
      "capacity", "counts", "undelivered_cancels", "live_stats", "migrate_place", "migrate_applied", "migrate_shadowed",
    ]
    private static let commands = [
      "list_deliveries", "repository_deliveries", "deliveries_end", "browse", "browse_live", "browse_end",
      "find", "transitions", "list_owners", "find_configuration", "live_stats", "ended_counts", "list_holders",
      "capacity", "migrate_place", "migrate_applied", "migrate_shadowed", "identify", "identify_integration", "search",
      "common_number",
      "matching", "overdue", "undelivered_events", "waiting_feedback",
    ]

    /// What it must not do.
    var refused: [String] {
      let definitions = [
        "DROP TABLE code_reviews", "ALTER TABLE code_reviews ADD x int", "CREATE TABLE mine ()",
        "ALTER FUNCTION baton_review_inserted() SECURITY INVOKER", "DROP TRIGGER code_reviews_moved ON code_reviews",
        "TRUNCATE code_reviews", "INSERT INTO baton_migrations VALUES (999, 'mine')", "DELETE FROM baton_migrations",
        "UPDATE review_transitions SET actor = 'another'", "DELETE FROM review_transitions",
        "INSERT INTO review_transitions (review_id, to_status) VALUES (gen_random_uuid(), 'x')",
      ]
      let tokens = [
        "SELECT token_ciphertext FROM platform_integrations", "SELECT metadata FROM platform_integrations",
        "SELECT * FROM platform_integrations",
      ]
      let hookSecrets = ["SELECT webhook_secret_ciphertext FROM platform_integrations"]
      let bodies = ["SELECT payload FROM webhook_deliveries"]
      let owners = [
        "UPDATE code_reviews SET owner_id = 'x'", "UPDATE code_reviews SET platform_integration_id = NULL",
        "INSERT INTO code_reviews (owner_id) VALUES ('x')", "DELETE FROM code_reviews",
      ]
      let integrations = [
        "UPDATE platform_integrations SET owner_id = 'x'", "DELETE FROM platform_integrations",
        "INSERT INTO platform_integrations (owner_id) VALUES ('x')",
        "UPDATE platform_integrations SET revoked_at = NULL",
        "UPDATE agent_configs SET config = '{}'",
      ]
      return definitions
        + {
          switch self {
          case .producer, .reaper: tokens + hookSecrets + bodies + owners + integrations + ["SELECT FROM agent_configs"]
          case .consumer: hookSecrets + bodies + owners + integrations
          case .server: integrations + ["DELETE FROM code_reviews"]
          case .admin: []
          case .viewer:
            tokens + hookSecrets + bodies + owners + integrations + [
              "UPDATE code_reviews SET priority = 1", "DELETE FROM baton_holders",
              "UPDATE review_owners SET paused = true",
            ]
          }
        }()
    }
  }

  private func withAccounts(_ body: (Accounts, PostgresPool) async throws -> Void) async throws {
    try await Support.withAccounts(of: "roles.md", "roles") { accounts, admin in
      // As at every upgrade: what is there stays as it is.
      try await accounts.grantRoles(schema: "baton")
      try await body(accounts, admin)
    }
  }

  /// The SQLSTATE of a refusal; nil if the account may run it, or would fail for another reason than its rights.
  private func refusal(_ sql: String, _ connection: PostgresConnection) async -> String? {
    do {
      _ = try await connection.query(PostgresStatement(unprepared: sql))
      return nil
    } catch {
      return error.sqlState == "42501" ? "42501: \(error.message)" : nil
    }
  }

  @Test("each part may do all of its work and nothing else", arguments: Part.allCases)
  func rights(_ part: Part) async throws {
    try await withAccounts { accounts, _ in
      let connection = try await PostgresConnection.connect(
        testConfiguration(accounts.url("baton_\(part)")), logger: .postgresTests)
      let statements = Dictionary(uniqueKeysWithValues: ReviewStore.statements.map { ($0.name, $0) })
      for name in part.statements {
        let statement = try #require(statements[name], "\(name)")
        let count = (1...20).last { statement.sql.contains("$\($0)") } ?? 0
        let nulls = count == 0 ? "" : "(\(Array(repeating: "NULL", count: count).joined(separator: ", ")))"
        _ = try await connection.query(PostgresStatement(unprepared: "PREPARE p AS \(statement.sql)"))
        #expect(await refusal("EXPLAIN EXECUTE p\(nulls)", connection) == nil, "\(name)")
        _ = try await connection.query(PostgresStatement(unprepared: "DEALLOCATE p"))
      }
      for sql in part.refused { #expect(await refusal(sql, connection) != nil, "\(part) may: \(sql)") }
      await connection.close()
    }
  }

  @Test("the application inserts, configures and reads, and sees no secret")
  func application() async throws {
    try await withAccounts { accounts, admin in
      let shop = try await PostgresConnection.connect(testConfiguration(accounts.url("shop")), logger: .postgresTests)
      for good in [
        """
        INSERT INTO baton.code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title,
                                        pr_author, base_ref, head_ref, head_sha, available_at, priority)
        VALUES ('org', 'acme', 'github', 'acme/shop', 1, 'u', 't', 'ann', 'main', 'cart', 'abc', 'infinity', 3)
        ON CONFLICT (owner_type, owner_id, platform, repo_full_name, pr_number, head_sha) DO NOTHING
        RETURNING id
        """,
        "INSERT INTO baton.agent_configs (owner_type, owner_id, platform) VALUES ('org', 'acme', 'github')",
        "UPDATE baton.review_owners SET max_concurrent = 3", "SELECT * FROM baton.code_reviews",
        "SELECT * FROM baton.review_transitions", "SELECT id, owner_id FROM baton.platform_integrations",
      ] {
        #expect(await refusal(good, shop) == nil, "\(good)")
      }
      #expect(try await admin.query(PostgresStatement(unprepared: "SELECT FROM baton.review_transitions")).count == 1)
      for refused in [
        "SELECT token_ciphertext FROM baton.platform_integrations", "SELECT metadata FROM baton.platform_integrations",
        "SELECT webhook_secret_ciphertext FROM baton.platform_integrations",
        "UPDATE baton.code_reviews SET priority = 1",
        "DELETE FROM baton.code_reviews", "SELECT FROM baton.webhook_deliveries", "SELECT FROM baton.baton_holders",
        "INSERT INTO baton.code_reviews (status) VALUES ('completed')",
        "INSERT INTO baton.code_reviews (session_id) VALUES ('s')", "CREATE TABLE baton.mine ()",
        "INSERT INTO baton.platform_integrations (owner_id) VALUES ('x')",
      ] {
        #expect(await refusal(refused, shop) != nil, "\(refused)")
      }
      await shop.close()
    }
  }

  @Test("no part but the owner can migrate")
  func migrate() async throws {
    try await withAccounts { accounts, admin in
      _ = try await admin.query(
        PostgresStatement(unprepared: "DELETE FROM baton.baton_migrations WHERE version = \(Migrator.version)"))
      for part in Part.allCases {
        let pool = PostgresPool(testConfiguration(accounts.url("baton_\(part)")), logger: .postgresTests)
        let error = await #expect(throws: PostgresError.self, "\(part)") { try await Migrator(pool: pool).migrate() }
        #expect(error?.sqlState == "42501", "\(part): \(String(describing: error))")
        await pool.close()
      }
    }
  }
}
