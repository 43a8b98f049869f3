import FoundationEssentials
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Prune")
struct PruneTests {
  private let age: Duration = .seconds(30 * 86_400)

  /// Runs pages until the end.
  private func prune(_ test: TestStore, batch: Int = 3) async throws -> Int {
    var (count, mark): (Int, PruneMark?) = (0, nil)
    repeat {
      let page = try await test.store.pruneReviews(endedFor: age, after: mark, limit: batch)
      count += page.deleted
      mark = page.next
    } while mark != nil
    return count
  }

  private func count(_ table: String, _ test: TestStore) async throws -> Int {
    Int(try await test.sql("SELECT count(*) FROM \(table)")[0].decode(0, as: Int64.self))
  }

  /// Puts reviews back in time.
  private func makeOlder(_ test: TestStore, days: Int, where condition: String = "true") async throws {
    try await test.sql(
      """
      UPDATE code_reviews
         SET created_at = created_at - interval '\(days) days', completed_at = completed_at - interval '\(days) days'
       WHERE \(condition)
      """)
  }

  @Test("reviews that ended long ago are deleted with their transitions; what has not ended stays, however old")
  func reviews() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(12)
      let claims = try await test.claim(9)
      for claim in claims.prefix(8) {
        let end: ReviewStatus = claim.reviewID == claims[0].reviewID ? .failed : .completed
        _ = try await test.store.report(claim.reviewID, RunReport(status: end, attempt: 1))
      }
      try await makeOlder(test, days: 40)
      // Two ended a short while ago only, one of them after a long life.
      try await makeOlder(test, days: -39, where: "id = '\(claims[6].reviewID)'")
      try await test.sql("UPDATE code_reviews SET completed_at = now() WHERE id = '\(claims[7].reviewID)'")
      #expect(try await prune(test) == 6)
      let left = try await test.store.reviews(ids)
      #expect(left.count == 6)
      #expect(Set(left.map(\.id)).isSuperset(of: [claims[6].reviewID, claims[7].reviewID, claims[8].reviewID]))
      let orphans = "review_transitions t WHERE NOT EXISTS (SELECT 1 FROM code_reviews r WHERE r.id = t.review_id)"
      #expect(try await count(orphans, test) == 0)
      #expect(try await count("review_transitions", test) > 0)
      #expect(try await prune(test) == 0)
    }
  }

  @Test("a review with an undelivered notification is kept until it is delivered")
  func outbox() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await test.claim()
      _ = try await test.store.cancel(id)
      try await makeOlder(test, days: 40)
      #expect(try await prune(test) == 0)
      try await test.sql("DELETE FROM baton_outbox")
      #expect(try await prune(test) == 1)
    }
  }

  @Test("many that prune at once delete everything, and nothing twice")
  func concurrent() async throws {
    try await withTestStore { test in
      _ = try await test.insert(60)
      try await test.sql("UPDATE code_reviews SET status = 'cancelled'")
      try await makeOlder(test, days: 40)
      let deleted = try await withThrowingTaskGroup(of: Int.self) { group in
        for batch in 3...6 { group.addTask { try await prune(test, batch: batch) } }
        return try await group.reduce(0, +)
      }
      // One may have passed over what another had just locked.
      #expect(try await deleted + prune(test) == 60)
      #expect(try await count("code_reviews", test) == 0)
    }
  }

  @Test("webhook deliveries go when they were processed long ago")
  func deliveries() async throws {
    try await withTestStore { test in
      try await test.sql(
        """
        INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, received_at, processed_at)
        SELECT CASE WHEN g % 2 = 0 THEN 'github' ELSE 'gitlab' END, 'd' || g, 'push', '{}', now() - interval '40 days',
               CASE WHEN g <= 10 THEN now() - interval '40 days' WHEN g <= 15 THEN now() END
          FROM generate_series(1, 20) g
        """)
      var counts: [Int] = []
      while counts.last ?? 3 == 3 { counts.append(try await test.store.pruneDeliveries(olderThan: age, limit: 3)) }
      #expect(counts.reduce(0, +) == 10)
      #expect(try await count("webhook_deliveries", test) == 10)
    }
  }
}
