import FoundationEssentials
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Claims that are owed a ticket")
struct OwedClaimTests {
  @Test("a claim is owed until it is published, leased, cancelled, given back or claimed anew")
  func owed() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      let ids = try await test.insert(6)
      let claims = try await test.claim()
      func claim(_ index: Int) throws -> Claim { try #require(claims.first { $0.reviewID == ids[index] }) }
      #expect(try await test.store.owed(claims) == claims)
      #expect(try await test.store.ownClaims(of: test.holder.id, limit: 10) == claims)

      try await test.store.recordPublished([claim(1)])
      _ = try await test.lease([claim(2).ticket])
      try await test.sql("UPDATE code_reviews SET status = 'cancelled' WHERE id = '\(ids[3])'")
      try await test.store.unclaim([claim(4)], reason: "a test")
      try await test.sql(
        "UPDATE code_reviews SET claimed_by = 'another', claimed_at = clock_timestamp() WHERE id = '\(ids[5])'")
      #expect(try await test.store.owed(claims) == [claim(0)])
      #expect(try await test.store.ownClaims(of: test.holder.id, limit: 10) == [claim(0)])
    }
  }

  @Test("a review left queued with a backoff is not owed a ticket before its time")
  func leftQueued() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      _ = try await test.insert(1)
      let claims = try await test.claim()
      _ = try await test.store.leaveQueued(
        test.take(claims[0].ticket), message: "no answer", for: .seconds(60), isCounted: true, failureMax: 8)
      #expect(try await test.store.owed(claims).isEmpty)
      #expect(try await test.store.ownClaims(of: test.holder.id, limit: 10).isEmpty)
    }
  }
}
