import FoundationEssentials
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Claim")
struct ClaimTests {
  /// The tasks share a pool of four connections, so two claims run at once in Postgres with two producers, and up to four with eight; which
  /// statements meet is left to chance. Real processes claim at once in `RandomFaultTests`.
  @Test("interleaved producers never exceed an owner's limit", arguments: [2, 8])
  func capacity(producers: Int) async throws {
    try await withTestStore { test in
      _ = try await test.insert(100, owner: "a")
      _ = try await test.insert(100, owner: "b")
      let claimed = try await withThrowingTaskGroup(of: [Claim].self) { group in
        for _ in 0..<producers {
          group.addTask {
            var claims: [Claim] = []
            for _ in 0..<10 { claims += try await test.claim(ownerLimit: 5) }
            return claims
          }
        }
        return try await group.reduce(into: []) { $0 += $1 }
      }
      #expect(claimed.count == 10)
      #expect(Set(claimed.map(\.reviewID)).count == 10)
    }
  }

  @Test("a running review takes a slot, an ended one gives it back")
  func slots() async throws {
    try await withTestStore { test in
      _ = try await test.insert(3)
      let first = try await test.claim(ownerLimit: 1)
      #expect(first.count == 1)
      #expect(try await test.claim(ownerLimit: 1).isEmpty)
      _ = try await test.store.report(first[0].reviewID, RunReport(status: .running, attempt: 1))
      #expect(try await test.claim(ownerLimit: 1).isEmpty)
      _ = try await test.store.report(first[0].reviewID, RunReport(status: .completed, attempt: 1))
      #expect(try await test.claim(ownerLimit: 1).count == 1)
    }
  }

  @Test(
    "a review that SQL has inserted has one trace, however often it is claimed; one that came with a trace keeps it")
  func trace() async throws {
    try await withTestStore { test in
      let given = try #require(TraceContext(traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
      let ids = try await test.insert(3)
      try await test.sql("UPDATE code_reviews SET traceparent = '\(given.traceparent)' WHERE id = '\(ids[1])'")
      try await test.sql("UPDATE code_reviews SET traceparent = 'made up' WHERE id = '\(ids[2])'")
      for _ in 0..<2 {
        let claims = try await test.claim()
        #expect(claims.count == 3)
        for claim in claims {
          #expect(claim.trace == (claim.reviewID == ids[1] ? given : TraceContext(of: claim.reviewID)))
        }
        try await test.store.unclaim(claims, reason: "a test")
      }
      let stored = try await test.sql("SELECT traceparent FROM code_reviews WHERE id = '\(ids[0])'")[0]
      #expect(try stored.decode(0, as: String?.self) == TraceContext(of: ids[0]).traceparent)
    }
  }

  @Test("one owner's thousand reviews do not hold up another's one")
  func fairness() async throws {
    try await withTestStore { test in
      _ = try await test.insert(1_000, owner: "busy")
      let lone = try await test.insert(1, owner: "lone")[0]
      let claims = try await test.claim(10, ownerLimit: 1_000)
      #expect(claims.count == 10)
      #expect(claims.contains { $0.reviewID == lone })
    }
  }

  @Test("owners with more active reviews wait for the others, pass after pass")
  func turns() async throws {
    try await withTestStore { test in
      _ = try await test.insert(50, owner: "a")
      #expect(try await test.claim(10, ownerLimit: 100).count == 10)
      let late = try await test.insert(50, owner: "b")
      let claims = try await test.claim(8, ownerLimit: 100)
      #expect(claims.allSatisfy { late.contains($0.reviewID) })
    }
  }

  @Test("higher priority goes first, then age")
  func priority() async throws {
    try await withTestStore { test in
      let low = try await test.insert(2, priority: 0)
      let high = try await test.insert(2, priority: 5)
      #expect(try await Set(test.claim(2).map(\.reviewID)) == Set(high))
      #expect(try await Set(test.claim(2).map(\.reviewID)) == Set(low))
    }
  }

  @Test("what is queued by hand is claimed now, and an owner whose row is deleted goes on with the defaults")
  func byHand() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(2)
      try await test.sql("DELETE FROM review_owners")
      try await test.sql("UPDATE code_reviews SET status = 'queued' WHERE id = '\(ids[0].uuidString)'")
      #expect(try await test.row(ids[0]).claimedAt != nil)
      #expect(try await test.claim().map(\.reviewID) == [ids[1]])
      try await test.sql("UPDATE code_reviews SET status = 'failed'")
      try await test.sql("DELETE FROM review_owners")
      #expect(try await test.sql("SELECT 1 FROM review_owners").isEmpty)
      try await test.sql("UPDATE code_reviews SET status = 'pending' WHERE id = '\(ids[0].uuidString)'")
      #expect(try await test.claim().map(\.reviewID) == [ids[0]])
    }
  }

  @Test("a paused owner, and a review whose time has not come, are left alone; the next due time is returned")
  func notDue() async throws {
    try await withTestStore { test in
      _ = try await test.insert(1, owner: "paused")
      #expect(try await test.store.setPaused(true, Owner(type: .org, id: "paused")))
      let later = try await test.insert(1, owner: "later")[0]
      try await test.sql("UPDATE code_reviews SET available_at = now() + interval '1 hour' WHERE id = '\(later)'")
      #expect(try await test.claim().isEmpty)
      let wait = try #require(try await test.store.nextDue().delay)
      #expect(wait > .seconds(3_500) && wait <= .seconds(3_600))
      #expect(try await test.store.setPaused(false, Owner(type: .org, id: "paused")))
      #expect(try await test.claim().count == 1)
    }
  }

  @Test("an owner's own limit wins over the setting, also zero")
  func ownLimits() async throws {
    try await withTestStore { test in
      _ = try await test.insert(5, owner: "two")
      _ = try await test.insert(5, owner: "none")
      try await test.store.setLimit(of: Owner(type: .org, id: "two"), to: 2)
      try await test.store.setLimit(of: Owner(type: .org, id: "none"), to: 0)
      #expect(try await test.claim(ownerLimit: 20).count == 2)
    }
  }

  @Test("a claim that the broker did not take goes back, unless it was leased or claimed anew")
  func unclaim() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      let ids = try await test.insert(2)
      let claims = try await test.claim()
      let leased = try #require(claims.first { $0.reviewID == ids[0] })
      _ = try await test.lease([leased.ticket])
      try await test.store.unclaim(claims, reason: "nacked")
      #expect(try await test.row(ids[0]).status == .queued)
      let back = try await test.row(ids[1])
      #expect(back.status == .pending)
      #expect(back.claimedAt == nil)
      let place = try await test.sql("SELECT available_at = created_at FROM code_reviews WHERE id = '\(ids[1])'")[0]
      #expect(try place.decode(0, as: Bool.self), "it keeps its place among the pending ones")
      // The old claim means nothing for the new one.
      let again = try await test.claim()
      #expect(again.map(\.reviewID) == [ids[1]])
      try await test.store.unclaim(claims, reason: "late")
      #expect(try await test.row(ids[1]).status == .queued)
    }
  }
}
