import Foundation
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Values at the ends of what the database can hold")
struct BoundsTests {
  @Test("a review that is available at infinity is held: it is never due, delays nothing, and says so")
  func held() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(3)
      try await test.sql("UPDATE code_reviews SET available_at = 'infinity' WHERE id = '\(ids[0])'")
      #expect(try await test.store.nextDue().delay == nil)
      try await test.sql("UPDATE code_reviews SET available_at = now() + interval '1 hour' WHERE id = '\(ids[1])'")
      #expect(try #require(try await test.store.nextDue().delay) <= .seconds(3_600))
      #expect(try await test.claim().map(\.reviewID) == [ids[2]])
      #expect(try await test.row(ids[0]).availableAt == .infinity)
      #expect(try await test.store.blockReason(of: ids[0], Self.times, queue: "q", ownerLimit: 20) == .held)
      #expect(try await test.store.blockReason(of: ids[1], Self.times, queue: "q", ownerLimit: 20) == .dueLater)
      #expect(try await test.store.liveStats(heartbeatTimeout: .seconds(15)).held == 1)
      try await test.sql("UPDATE code_reviews SET available_at = now() WHERE id = '\(ids[0])'")
      #expect(try await test.claim().map(\.reviewID) == [ids[0]])
    }
  }

  @Test("a time that makes no sense is refused by the database, in every column", arguments: columns)
  func refused(column: String) async throws {
    try await withTestStore { test in
      _ = try await test.insert(1)
      for value in column == "available_at" ? ["-infinity"] : ["-infinity", "infinity"] {
        do {
          try await test.sql("UPDATE code_reviews SET \(column) = '\(value)'")
          Issue.record("\(column) took \(value)")
        } catch let error as PostgresError {
          #expect(error.constraint == "code_reviews_finite_times")
        }
      }
      try await test.sql("UPDATE code_reviews SET \(column) = '294276-12-31T23:59:59Z'")
      try await test.sql("UPDATE code_reviews SET \(column) = '4713-01-01 BC'")
      _ = try await test.store.review(try await test.sql("SELECT id FROM code_reviews")[0].decode(0, as: UUID.self))
    }
  }

  private static let columns = [
    "available_at", "created_at", "updated_at", "claimed_at", "published_at", "lease_expires_at", "prepared_at",
    "dispatched_at", "reconciled_at", "started_at", "completed_at", "pr_updated_at",
  ]

  @Test("counters that no one could count up are refused")
  func counters() async throws {
    try await withTestStore { test in
      _ = try await test.insert(1)
      for change in [
        "republish_count = -1", "lease_losses = 2147483647", "dispatch_failures = 1000001", "attempt = 2147483647",
      ] {
        await #expect(throws: PostgresError.self, "\(change)") {
          try await test.sql("UPDATE code_reviews SET \(change)")
        }
      }
    }
  }

  @Test("rows from before the bounds are repaired by the migration, and can be written again")
  func repaired() async throws {
    try await withTestDatabase { conninfo in
      let pool = PostgresPool(testConfiguration(conninfo), logger: .postgresTests)
      try await pool.withConnection { connection in
        for migration in Migrator.migrations where migration.version < 16 {
          try await connection.execute(script: migration.sql)
        }
        try await connection.execute(
          script: """
            CREATE TABLE baton_migrations (version int PRIMARY KEY, name text NOT NULL,
                                           applied_at timestamptz NOT NULL DEFAULT now());
            INSERT INTO baton_migrations (version, name) VALUES (15, 'before');
            INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title,
                                      pr_author, base_ref, head_ref, head_sha, available_at, created_at, claimed_at,
                                      pr_updated_at, republish_count, status)
            VALUES ('org', 'acme', 'github', 'acme/shop', 1, 'u', 'T', 'ada', 'main', 'f', 'abc', '-infinity', 'infinity',
                    NULL, '-infinity', -7, 'pending'),
                   ('org', 'acme', 'github', 'acme/shop', 2, 'u', 'T', 'ada', 'main', 'f', 'abc', 'infinity', now(),
                    'infinity', NULL, 2147483647, 'queued');
            """)
      }
      #expect(try await Migrator(pool: pool).migrate().map(\.version).contains(16))
      let rows = try await pool.query(
        PostgresStatement(
          unprepared: """
            UPDATE code_reviews SET updated_at = now()
            RETURNING isfinite(created_at), available_at = 'infinity', COALESCE(isfinite(claimed_at), true), republish_count
            """))
      #expect(rows.count == 2)
      for row in rows {
        #expect(try row.decode(0, as: Bool.self) && row.decode(2, as: Bool.self))
        #expect(try (0...1_000_000).contains(row.decode(3, as: Int32.self)))
      }
      #expect(try rows.count { try $0.decode(1, as: Bool.self) } == 1, "a review that was held stays held")
      await pool.close()
    }
  }

  @Test("figures about rows with infinite times are figures")
  func figures() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(4)
      try await test.sql("ALTER TABLE code_reviews DROP CONSTRAINT code_reviews_finite_times")
      try await test.sql("UPDATE code_reviews SET available_at = '-infinity' WHERE id = '\(ids[0])'")
      try await test.sql(
        "UPDATE code_reviews SET status = 'queued', claimed_at = '-infinity', updated_at = 'infinity' WHERE id = '\(ids[1])'"
      )
      try await test.sql(
        "UPDATE code_reviews SET status = 'queued', dispatched_at = 'infinity', available_at = '-infinity' WHERE id = '\(ids[2])'"
      )
      try await test.sql("UPDATE code_reviews SET status = 'queued' WHERE id = '\(ids[3])'")
      try await test.sql(
        "UPDATE code_reviews SET status = 'running', started_at = '-infinity', dispatched_at = now(), available_at = '-infinity' WHERE id = '\(ids[3])'"
      )
      try await test.sql("UPDATE code_reviews SET started_at = '-infinity' WHERE id = '\(ids[3])'")
      try await test.sql("UPDATE review_transitions SET at = 'infinity' WHERE review_id = '\(ids[2])'")
      let stats = try await test.store.stats(heartbeatTimeout: .seconds(15))
      #expect(try #require(stats.oldestPending) > .seconds(1_000_000_000))
      #expect(try #require(stats.oldestQueued) > .seconds(1_000_000_000))
      let capacity = try await test.store.capacityStats(ownerLimit: 20)
      #expect(try #require(capacity.oldestRunning) > .seconds(1_000_000_000))
      _ = try await test.store.flow(minutes: 60)
      _ = try await test.store.blockedReviews(Self.times, queue: "q")
      for id in ids {
        let review = try await test.row(id)
        _ = review.availableAt.since(review.createdAt)
        #expect(try await test.store.transitions(of: id).isEmpty == false)
      }
    }
  }

  private static let times = ReapTimes(
    heartbeatTimeout: .seconds(15), publishGrace: .seconds(15), staleAfter: .seconds(300),
    runningTimeout: .seconds(1_800))
}
