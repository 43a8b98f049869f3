import Foundation
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

/// A plan is made once for a connection and kept; made at the wrong moment it could read the whole history for every batch.
@Suite("Plans", .timeLimit(.minutes(5)))
struct PlanTests {
  /// The indexes of `code_reviews` and `baton_visits` that each hot statement may use: none reads the table, or an index that grows with the history
  /// other than by its key.
  private static let indexes: [String: Set<String>] = {
    // A pull request is found by its repository's number, or by its name.
    let identity: Set = ["code_reviews_repository", "code_reviews_name", pullRequest]
    let byID: Set = ["code_reviews_pkey"]
    var indexes: [String: Set<String>] = [
      "visits_come_due": ["baton_visits_later"],
      "lock_owners": ["baton_visits_now"],
      "claim_due": ["code_reviews_turns", "code_reviews_active", "code_reviews_pkey", "baton_visits_now"],
      "claimable": ["code_reviews_turns", "code_reviews_active"],
      "next_due": ["baton_visits_later", "baton_visits_now"],
      "visit_missed": ["code_reviews_turns", "code_reviews_active", "baton_visits_now", "baton_visits_later"],
      "note_owner_limit": ["code_reviews_turns"],
      "reap": ["code_reviews_queued", "code_reviews_pkey"],
      "reapable": ["code_reviews_queued"],
      "take_silent": ["code_reviews_queued", "code_reviews_running", "code_reviews_pkey"],
      "askable": ["code_reviews_queued", "code_reviews_running", "code_reviews_pkey"],
      "open_roll_call": ["code_reviews_queued"],
      "silent_count": ["code_reviews_queued", "code_reviews_running"],
      "own_claims": ["code_reviews_queued"],
      "related_reviews": identity,
      "newest_event": identity,
      "identify_pull_request": identity.union(["code_reviews_pkey"]),
      "name_repository": identity.union(["code_reviews_pkey"]),
      "submit": identity,
      "prune_holders": ["code_reviews_active"],
      "capacity": [
        "code_reviews_turns", "code_reviews_active", "code_reviews_running", "code_reviews_due", "baton_visits_now",
        "baton_visits_later",
      ],
      "live_owners": ["code_reviews_turns", "code_reviews_active"],
      "list_owners": ["code_reviews_turns", "code_reviews_active"],
      "one_owner": ["code_reviews_turns", "code_reviews_active"],
      "blocked": ["code_reviews_active", "code_reviews_pkey"],
      "why_pending": ["code_reviews_pkey", "code_reviews_active"],
      "live_stats": ["code_reviews_turns", "code_reviews_queued", "code_reviews_running", "code_reviews_due"],
      "flow": ["code_reviews_active", "code_reviews_ended"],
      "recent_failures": ["code_reviews_failed"],
      "worker_versions": ["code_reviews_ended"],
      "sort_oldest": ["code_reviews_created"],
      "sort_oldest_end": ["code_reviews_created"],
      "sort_last_ended": ["code_reviews_ended"],
      "sort_last_ended_end": ["code_reviews_ended"],
      "sort_first_ended": ["code_reviews_ended"],
      "sort_first_ended_end": ["code_reviews_ended"],
      "sort_due": ["code_reviews_turns"],
      "sort_due_end": ["code_reviews_turns"],
      "sort_priority": ["code_reviews_turns"],
      "sort_priority_end": ["code_reviews_turns"],
      "browse_live": ["code_reviews_turns", "code_reviews_active"],
      "browse": ["code_reviews_created"],
      "count_live": ["code_reviews_turns", "code_reviews_active"],
      "count_window": ["code_reviews_created"],
      "browse_end": ["code_reviews_created"],
    ]
    // What webhooks, installations and catch-up ask for.
    for name in [
      "missed_commits", "list_deliveries", "repository_deliveries", "commit_has_review", "group_verdict",
    ] { indexes[name] = identity }
    indexes["rerunnable"] = identity.union(byID)
    indexes["checked_reviews"] = identity.union(["code_reviews_check"])
    indexes["rerun"] = byID
    indexes["take_look"] = ["code_reviews_repository"]
    for name in ["fail_revoked", "cancel_removed"] {
      indexes[name] = ["code_reviews_turns", "code_reviews_active", "code_reviews_pkey"]
    }
    indexes["search"] = ["code_reviews_pkey", pullRequest]
    indexes["common_number"] = [pullRequest]
    for name in [
      "identify", "published", "unclaim", "owed_claims", "lease", "still_leased", "record", "postpone", "drop_lease",
      "retry_later", "fail",
      "leave_queued",
      "record_asked", "forget_dispatch", "fail_lost", "report", "find", "cancel_related", "restart_push", "rebase_push",
      "touch_push", "take_feedback", "record_check_run", "settle_delivery", "take_outbox", "cancel", "retry", "release",
      "trace",
    ] { indexes[name] = byID }
    // The reviews before it, by the start of the unique constraint's key: pull request and repository.
    indexes["lease"] = ["code_reviews_pkey", "code_reviews_session", pullRequest]
    indexes["prune_reviews"] = ["code_reviews_ended", "code_reviews_pkey"]
    return indexes
  }()

  /// Statements that name reviews, and read none by an index of these: one only adds a row, one searches as a person asks it to, for operations on
  /// many, and one looks at the catalog before an upgrade.
  private static let notHot: Set<String> = ["insert_push", "matching", "migrate_shadowed"]

  private static let pullRequest = "code_reviews_pr_number_repo_full_name_head_sha_owner_id_own_key"

  /// What the planner's last statistics say about the table.
  enum Moment: String, CaseIterable, Sendable {
    case nothingQueued = "with statistics from when nothing was pending or queued"
    case fullQueue = "with statistics from when thousands were pending and queued"
    case never = "with no statistics at all"
  }

  @Test(
    "hot statements keep to their indexes, over a long history, and each that reads reviews is known",
    arguments: Moment.allCases)
  func indexes(_ moment: Moment) async throws {
    try await withTestStore { test in
      try await test.sql("ALTER TABLE code_reviews SET (autovacuum_enabled = off)")
      try await test.addHistory(20_000)
      if moment == .nothingQueued { try await test.sql("ANALYZE") }
      for owner in 1...20 { _ = try await test.insert(200, owner: "owner-\(owner)") }
      try await test.claim(2_000, ownerLimit: 100)
      if moment == .fullQueue { try await test.sql("ANALYZE") }
      for statement in ReviewStore.statements {
        let plan = try await plan(of: statement, test)
        let used = Set(plan.flatMap { scannedIndex($0) })
        guard let allowed = Self.indexes[statement.name] else {
          let readsReviews = plan.contains { $0.contains("code_reviews") || $0.contains("baton_visits") }
          #expect(
            !readsReviews || Self.notHot.contains(statement.name),
            "\(statement.name) is new: which indexes may it use, or why is it not hot?")
          continue
        }
        #expect(used.isSubset(of: allowed) && !used.isEmpty, "\(statement.name): \(plan.joined(separator: "\n"))")
        #expect(
          !plan.contains { $0.contains("Seq Scan on code_reviews") || $0.contains("Seq Scan on baton_visits") },
          "\(statement.name)")
      }
    }
  }

  @Test("a publication, a lease and a dispatch write no index")
  func inPlace() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      let claim = try await test.claim()[0]
      let holder = test.holder.id.text
      let claimedAt = try await test.pool.query(
        PostgresStatement(unprepared: "SELECT claimed_at FROM code_reviews"), []
      )[0].decode(0, as: PostgresInstant.self)
      let writes: [(String, [any PostgresEncodable])] = [
        ("published", [[id], [claimedAt]]),
        ("lease", [[id], [Int32(claim.attempt)], holder, 60.0, 15.0, Int32(5)]),
        ("record", [[id], [Int32(claim.attempt)], [nil as String?], holder, [1.0]]),
      ]
      // What the session counts, which may have counted something before.
      let counts = PostgresStatement(
        unprepared: """
          SELECT pg_stat_get_xact_tuples_updated(c.oid) AS updated, pg_stat_get_xact_tuples_hot_updated(c.oid) AS in_place
            FROM pg_class c
           WHERE c.oid = 'code_reviews'::regclass
          """)
      for (name, arguments) in writes {
        let statement = try #require(ReviewStore.statements.first { $0.name == name })
        let (before, after) = try await test.pool.withTransaction { connection in
          let before = try await connection.query(counts)[0]
          _ = try await connection.query(statement, arguments)
          return (before, try await connection.query(counts)[0])
        }
        for count in ["updated", "in_place"] {
          let difference = try after.decode(count, as: Int64.self) - before.decode(count, as: Int64.self)
          #expect(difference == 1, "\(name): \(count)")
        }
      }
    }
  }

  @Test("of reviews that run as they should, recovery reads none, however many they are")
  func running() async throws {
    try await withTestStore { test in
      try await test.addHistory(20_000)
      _ = try await test.insert(5_000, owner: "busy")
      try await test.claim(5_000, ownerLimit: 10_000)
      try await test.sql("UPDATE code_reviews SET status = 'running' WHERE status = 'queued'")
      try await test.sql("ANALYZE")
      for name in ["take_silent", "askable", "silent_count", "reap", "open_roll_call"] {
        let statement = try #require(ReviewStore.statements.first { $0.name == name })
        let plan = try await plan(of: statement, test)
        #expect(!plan.contains { $0.contains("code_reviews_active") }, "\(plan.joined(separator: "\n"))")
        let looks = plan.indices.filter { plan[$0].contains("code_reviews_running") }
        #expect(looks.isEmpty == ["reap", "open_roll_call"].contains(name), "\(plan.joined(separator: "\n"))")
        for look in looks { #expect(plan[look + 1].contains("Index Cond"), "\(plan.joined(separator: "\n"))") }
        // A review is read by its key, and not all of them to be joined.
        for read in plan.indices where plan[read].contains("code_reviews_pkey") {
          #expect(plan[read + 1].contains("Index Cond"), "\(plan.joined(separator: "\n"))")
        }
        #expect(!plan.contains { $0.contains("Hash") || $0.contains("Merge Join") }, "\(plan.joined(separator: "\n"))")
      }
    }
  }

  @Test(
    "the review before is found by its pull request, deliveries are pruned by their age, and given-up feedback is found"
  )
  func lookups() async throws {
    try await withTestStore { test in
      try await test.addHistory(20_000)
      try await test.sql(
        "INSERT INTO baton_feedback (review_id, subject, due_at) SELECT id, 'gate', NULL FROM code_reviews")
      try await test.sql("ANALYZE")
      let statements = Dictionary(uniqueKeysWithValues: ReviewStore.statements.map { ($0.name, $0) })
      let lease = try await plan(of: try #require(statements["lease"]), test)
      let condition = try #require(lease.first { $0.contains("Index Cond") && $0.contains("pr_number") })
      #expect(condition.contains("repo_full_name"), "\(lease.joined(separator: "\n"))")
      let prune = try await plan(of: try #require(statements["prune_reviews"]), test)
      #expect(prune.contains { $0.contains("Index Cond") && $0.contains("ROW(") }, "\(prune.joined(separator: "\n"))")
      let deliveries = try await plan(of: try #require(statements["prune_deliveries"]), test)
      #expect(!deliveries.contains { $0.contains("Seq Scan") }, "\(deliveries.joined(separator: "\n"))")
      #expect(
        deliveries.contains { $0.contains("webhook_deliveries_received") }, "\(deliveries.joined(separator: "\n"))")
      let overdue = try await plan(of: try #require(statements["overdue"]), test)
      #expect(!overdue.contains { $0.contains("Seq Scan on webhook_deliveries") }, "\(overdue.joined(separator: "\n"))")
      let feedback = try await plan(of: try #require(statements["given_up_feedback"]), test)
      #expect(feedback.contains { $0.contains("baton_feedback_given_up") }, "\(feedback.joined(separator: "\n"))")
    }
  }

  @Test("deliveries are found by what they are about and by their pull request, and looks by their turn")
  func deliveries() async throws {
    try await withTestStore { test in
      try await test.sql(
        """
        INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, received_at, processed_at, outcome, pull_request,
                                        pull_request_id, pr_updated_at)
        SELECT 'github', 'd' || g, 'pull_request',
               jsonb_build_object(
                 'repository', jsonb_build_object('full_name', 'acme/shop-' || g % 500),
                 'pull_request', jsonb_build_object('number', g)),
               now() - make_interval(secs => g), now(), 'x', 'github ' || g || ' acme/shop org:acme', 'github ' || g || ' 7@ org:acme', now()
          FROM generate_series(1, 20000) g
        """)
      try await test.sql(
        "INSERT INTO baton_catch_up (kind, integration_id) SELECT 'installation', gen_random_uuid() FROM generate_series(1, 5000)"
      )
      try await test.sql(
        "INSERT INTO baton_platform_tasks (kind, key, integration_id, payload, due_at) "
          + "SELECT 'check', g::text, gen_random_uuid(), '{}', NULL FROM generate_series(1, 5000) g")
      try await test.sql("ANALYZE")
      let statements = Dictionary(uniqueKeysWithValues: ReviewStore.statements.map { ($0.name, $0) })
      for (name, indexes) in [
        ("missed_commits", ["webhook_deliveries_about"]), ("repository_deliveries", ["webhook_deliveries_repository"]),
        ("newest_event", ["webhook_deliveries_pull_request", "webhook_deliveries_pull_request_id"]),
        ("take_look", ["baton_catch_up_due"]), ("take_tasks", ["baton_platform_tasks_due"]),
      ] {
        let plan = try await plan(of: try #require(statements[name]), test)
        for index in indexes {
          #expect(plan.contains { $0.contains(index) }, "\(name): \(plan.joined(separator: "\n"))")
        }
        let scans = plan.filter {
          $0.contains("Seq Scan on webhook_deliveries") || $0.contains("Seq Scan on baton_catch_up")
            || $0.contains("Seq Scan on baton_platform_tasks")
        }
        #expect(scans == [], "\(name)")
      }
    }
  }

  /// The plan that a connection keeps for the statement: the one for any parameters.
  private func plan(of statement: PostgresStatement, _ test: TestStore) async throws -> [String] {
    let parameterCount = (1...20).last { statement.sql.contains("$\($0)") } ?? 0
    let arguments =
      parameterCount == 0 ? "" : "(" + Array(repeating: "NULL", count: parameterCount).joined(separator: ", ") + ")"
    return try await test.pool.withTransaction { connection in
      var lines: [String] = []
      for sql in [
        "SET LOCAL plan_cache_mode = force_generic_plan", "PREPARE looked_at AS \(statement.sql)",
        "EXPLAIN EXECUTE looked_at\(arguments)", "DEALLOCATE looked_at",
      ] {
        let rows = try await connection.query(PostgresStatement(unprepared: sql))
        if sql.hasPrefix("EXPLAIN") { lines = try rows.map { try $0.decode(0, as: String.self) } }
      }
      return lines
    }
  }

  /// The index of `code_reviews` or `baton_visits` that a line of a plan scans.
  private func scannedIndex(_ line: String) -> [String] {
    if let match = line.firstMatch(of: /using (\w+) on (?:code_reviews|baton_visits)\b/) { return [String(match.1)] }
    if let match = line.firstMatch(of: /Bitmap Index Scan on ((?:code_reviews|baton_visits)_\w+)/) {
      return [String(match.1)]
    }
    return []
  }
}
