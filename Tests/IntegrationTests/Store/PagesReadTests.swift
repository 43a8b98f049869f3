import Foundation
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

/// What runs again and again reads a number of pages that does not grow with what is over, or waits.
@Suite("Pages read", .timeLimit(.minutes(5)))
struct PagesReadTests {
  @Test("what every scrape and every look at the load reads does not grow with what is over", arguments: [false, true])
  func looks(isAnalyzed: Bool) async throws {
    try await withTestStore { test in
      try await test.addHistory(20_000)
      try await test.sql(
        """
        INSERT INTO review_transitions (review_id, at, from_status, to_status, reason, actor)
        SELECT id, completed_at, 'running', status, 'x', 'baton' FROM code_reviews
        """)
      try await test.sql(
        """
        INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, received_at, processed_at, outcome)
        SELECT 'github', 'd' || g, 'pull_request', '{}', now() - make_interval(secs => g), now(), 'a new review'
          FROM generate_series(1, 20000) g
        """)
      try await test.sql(isAnalyzed ? "VACUUM ANALYZE" : "VACUUM")
      for (name, arguments) in [
        ("backlog", ""), ("overdue", ""), ("undelivered_events", ""), ("waiting_feedback", ""), ("counts", ""),
        ("ended_counts", ""), ("event_backlog", ""), ("recent_failures", ""), ("flow", "(60)"), ("capacity", "(5)"),
        ("live_stats", "(60)"), ("list_holders", "(60, 1000)"), ("live_owners", "(5, 100)"),
      ] {
        let (pages, plan) = try await pagesRead(name, arguments, test)
        #expect(pages < 150, "\(name): \(plan)")
      }
    }
  }

  @Test("a list of reviews until a time reads nothing of what is newer", arguments: [false, true])
  func until(isAnalyzed: Bool) async throws {
    try await withTestStore { test in
      try await test.addHistory(20_000)
      try await test.sql(isAnalyzed ? "VACUUM ANALYZE" : "VACUUM")
      let start = "now() - interval '3 days 5 hours', '00000000-0000-0000-0000-000000000000'"
      let page =
        "NULL, NULL, NULL, NULL, NULL, NULL, now() - interval '3 days 5 hours', \(start), NULL, 51, NULL, NULL, NULL"
      for (name, arguments) in [("browse", "(\(page))"), ("browse_end", "(\(start), NULL)")] {
        let (pages, plan) = try await pagesRead(name, arguments, test)
        #expect(pages < 150, "\(name): \(plan)")
      }
      // The store begins there too.
      let until = try await test.store.now().moved(by: .seconds(-3 * 86_400 - 18_000))
      let listed = try await test.store.page(ReviewFilter(until: until), limit: 50)
      #expect(listed.reviews.count == 50 && listed.reviews.allSatisfy { $0.createdAt < until })
    }
  }

  @Test("what is due at a host that is left is not read, and costs the others nothing", arguments: [false, true])
  func leftHosts(isAnalyzed: Bool) async throws {
    try await withTestStore { test in
      try await test.sql(
        """
        INSERT INTO baton_feedback (review_id, subject, host)
        SELECT gen_random_uuid(), 'eyes', CASE WHEN g % 1000 = 0 THEN 'https://gitlab-' || g ELSE 'github' END
          FROM generate_series(1, 20000) g
        """)
      try await test.sql(
        """
        INSERT INTO baton_platform_tasks (kind, key, integration_id, payload, host)
        SELECT 'check', g::text, gen_random_uuid(), '{}', CASE WHEN g % 1000 = 0 THEN 'https://gitlab-' || g ELSE 'github' END
          FROM generate_series(1, 20000) g
        """)
      if isAnalyzed { try await test.sql("VACUUM ANALYZE") }
      for name in ["take_feedback", "take_tasks"] {
        let (pages, plan) = try await pagesRead(name, "(8, '{github}')", test)
        #expect(plan.contains("actual rows=8 "), "\(name): \(plan)")
        #expect(pages < 600, "\(name): \(plan)")
      }
    }
  }

  @Test("a pass reads none of the owners that are at their limit, and one that is free")
  func fullOwners() async throws {
    try await withTestStore { test in
      try await test.sql(
        """
        INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                  base_ref, head_ref, head_sha)
        SELECT 'org', 'owner-' || g % 3000, 'github', 'acme/shop', g, 'u', 't', 'ada', 'main', 'f', md5(g::text)
          FROM generate_series(1, 9000) g
        """)
      while try await !test.claim(1_000, ownerLimit: 1).isEmpty {}
      try await test.sql("VACUUM baton_visits")
      _ = try await test.insert(2, owner: "free")
      let lines = try await test.pool.withTransaction { connection in
        var lines: [[String]] = []
        for (name, arguments) in [
          ("visits_come_due", "1000"), ("lock_owners", "'', '', 1000"), ("claim_due", "1, 1000, '{}', NULL, 'a'"),
        ] {
          let statement = try #require(ReviewStore.statements.first { $0.name == name })
          _ = try await connection.query(PostgresStatement(unprepared: "PREPARE looked_at AS \(statement.sql)"))
          let rows = try await connection.query(
            PostgresStatement(
              unprepared: "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF, BUFFERS) EXECUTE looked_at(\(arguments))"))
          lines.append(try rows.map { try $0.decode(0, as: String.self) })
          _ = try await connection.query(PostgresStatement(unprepared: "DEALLOCATE looked_at"))
        }
        return lines
      }
      let walk = try #require(lines[1].first { $0.contains("Recursive Union") })
      #expect(walk.contains("actual rows=1 "), "\(walk)")
      for plan in lines {
        let buffers = try #require(plan.first { $0.contains("Buffers: shared hit=") }?.firstMatch(of: /hit=(\d+)/))
        #expect(try #require(Int(buffers.1)) < 300, "\(plan.joined(separator: "\n"))")
      }
    }
  }

  /// How many pages a statement reads or finds in the cache, and its plan.
  private func pagesRead(_ name: String, _ arguments: String, _ test: TestStore) async throws -> (Int, plan: String) {
    let plan = try await test.pool.withTransaction { connection in
      let statement = try #require(ReviewStore.statements.first { $0.name == name }, "\(name)")
      for sql in ["SET LOCAL plan_cache_mode = force_generic_plan", "PREPARE looked_at AS \(statement.sql)"] {
        _ = try await connection.query(PostgresStatement(unprepared: sql))
      }
      let rows = try await connection.query(
        PostgresStatement(
          unprepared: "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF, BUFFERS) EXECUTE looked_at\(arguments)"))
      _ = try await connection.query(PostgresStatement(unprepared: "DEALLOCATE looked_at"))
      return try rows.map { try $0.decode(0, as: String.self) }
    }
    let buffers = try #require(plan.first { $0.contains("Buffers: shared") }).matches(of: /(?:hit|read)=(\d+)/)
    return (buffers.compactMap { Int($0.1) }.reduce(0, +), plan.joined(separator: "\n"))
  }
}
