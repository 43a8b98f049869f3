import Foundation
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("What the dashboard asks the store")
struct WatchTests {
  private let times = ReapTimes(
    heartbeatTimeout: .seconds(3_600), publishGrace: .seconds(3_600), staleAfter: .seconds(3_600),
    runningTimeout: .seconds(3_600))

  private func blockReason(_ test: TestStore, _ id: UUID, ownerLimit: Int = 20) async throws -> BlockReason? {
    try await test.store.blockReason(of: id, times, queue: "q", ownerLimit: ownerLimit)
  }

  @Test("a pending review waits for its time, its owner, a slot or a producer")
  func pending() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(3)
      let owner = Owner(type: .org, id: "acme")
      #expect(try await blockReason(test, ids[0]) == .unclaimed)
      #expect(try await blockReason(test, ids[0], ownerLimit: 0) == .limit)
      _ = try await test.store.setPaused(true, owner)
      #expect(try await blockReason(test, ids[0]) == .paused)
      try await test.sql("UPDATE code_reviews SET available_at = now() + interval '1 hour' WHERE id = '\(ids[0])'")
      #expect(try await blockReason(test, ids[0]) == .dueLater)
      let standing = try #require(try await test.store.liveOwners(ownerLimit: 7, limit: 10).first)
      #expect(standing == (try await test.store.load(of: owner, ownerLimit: 7)))
      #expect(standing.due == 2 && standing.later == 1 && standing.active == 0 && standing.limit == 7)
      #expect(standing.waiting == .paused && standing.dueSince != nil && standing.nextDue != nil)
      _ = try await test.store.setPaused(false, owner)
      try await test.store.setLimit(of: owner, to: 2)
      try await test.claim()
      let full = try #require(try await test.store.load(of: owner, ownerLimit: 7))
      #expect(full.due == 0 && full.later == 1 && full.queued == 2 && full.limit == 2)
      #expect(try await test.store.load(of: Owner(type: .org, id: "unknown"), ownerLimit: 7) == nil)
    }
  }

  @Test("a queued review is held up if the reaper would take it, or no consumer is there; a silent run is held up too")
  func active() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await test.signOn(test.holder)
      try await test.claim()
      #expect(try await blockReason(test, id) == nil)
      try await test.sql("UPDATE code_reviews SET published_at = now()")
      #expect(try await blockReason(test, id) == nil)
      try await test.sql(
        """
        UPDATE baton_holders SET heartbeat_at = now() - interval '2 hours', silent_since = now() - interval '1 hour'
        """)
      #expect(try await blockReason(test, id) == .unconsumed)
      try await test.sql("UPDATE code_reviews SET published_at = NULL")
      try await test.addWitness()
      #expect(try await blockReason(test, id) == .unpublished)
      try await test.sql("UPDATE code_reviews SET published_at = now() - interval '2 hours'")
      #expect(try await blockReason(test, id) == .stale)
      try await test.sql("UPDATE code_reviews SET lease_owner = 'gone', lease_expires_at = now() + interval '1 minute'")
      #expect(try await blockReason(test, id) == .leaseExpired)
      let groups = try await test.store.blockedReviews(times, queue: "q")
      #expect(groups.map(\.reason) == [.leaseExpired] && groups[0].count == 1 && groups[0].examples == [id])
      try await test.sql("UPDATE code_reviews SET lease_owner = NULL, lease_expires_at = NULL, dispatched_at = now()")
      #expect(try await blockReason(test, id) == nil)
      try await test.sql("UPDATE code_reviews SET dispatched_at = now() - interval '2 hours', reconciled_at = now()")
      #expect(try await blockReason(test, id) == .silent)
      try await test.sql("UPDATE code_reviews SET status = 'running'")
      #expect(try await blockReason(test, id) == nil)
      try await test.sql("UPDATE code_reviews SET updated_at = now() - interval '2 hours'")
      #expect(try await blockReason(test, id) == .silent)
      _ = try await test.store.cancel(id)
      #expect(try await blockReason(test, id) == nil)
    }
  }

  @Test("a minute counts what the worker accepted, reported on or not, how long it waited, and what ended")
  func flow() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(4)
      try await test.claim()
      // At one instant, so that no minute ends in between.
      try await test.sql(
        "UPDATE code_reviews SET dispatched_at = now(), available_at = now() - interval '10 seconds' WHERE id <> '\(ids[3])'"
      )
      try await test.sql("UPDATE code_reviews SET status = 'running' WHERE id IN ('\(ids[0])', '\(ids[1])')")
      try await test.sql(
        "UPDATE code_reviews SET status = 'failed', error_code = 'agent_failed' WHERE id = '\(ids[0])'")
      let minutes = try await test.store.flow(minutes: 60)
      let sums = minutes.reduce(into: [0, 0, 0, 0]) { sums, minute in
        for (index, value) in [minute.dispatched, minute.completed, minute.failed, minute.cancelled].enumerated() {
          sums[index] += value
        }
      }
      #expect(sums == [3, 0, 1, 0])
      let waits = minutes.compactMap(\.waitP95)
      #expect(waits.count == 1 && waits[0] > .seconds(9.9) && waits[0] < .seconds(10.1))
      let failures = try await test.store.recentFailures()
      #expect(failures.map(\.code) == ["agent_failed"] && failures[0].lastID == ids[0] && failures[0].count == 1)
    }
  }

  @Test("a page for people ends after so many reviews that do not match, and goes on from there")
  func browse() async throws {
    try await withTestStore { test in
      _ = try await test.insert(ReviewStore.browseSpan + 10)
      let rare = try await test.insert(1, owner: "rare")[0]
      try await test.sql("UPDATE code_reviews SET created_at = now() - interval '1 day' WHERE id = '\(rare)'")
      let filter = ReviewFilter(owner: Owner(type: .org, id: "rare"))
      let first = try await test.store.browse(filter, limit: 50)
      #expect(first.reviews.isEmpty && first.isCutShort)
      let second = try await test.store.browse(filter, limit: 50, after: first.next)
      #expect(second.reviews.map(\.id) == [rare] && second.next == nil)
      // A count ends there too, and at a thousand.
      #expect(try await test.store.matchCount(filter) == .amongNewest(0))
      #expect(try await test.store.matchCount(ReviewFilter()) == .moreThan(1_000))
      #expect(try await test.store.matchCount(ReviewFilter(since: try await test.store.now())) == .exactly(0))
      // What has not ended is found by its status at once.
      var live = filter
      live.status = .pending
      #expect(try await test.store.matchCount(live) == .exactly(1))
      let pending = try await test.store.browse(
        ReviewFilter(status: .pending, owner: Owner(type: .org, id: "rare")), limit: 50)
      #expect(pending.reviews.map(\.id) == [rare] && pending.next == nil)
    }
  }
}
