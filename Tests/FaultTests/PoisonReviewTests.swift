import Foundation
import PostgresClient
import Sandbox
import Support
import Testing

@Suite("A review that kills consumers", .serialized, .timeLimit(.minutes(5)))
struct PoisonReviewTests {
  @Test("suspects are prepared apart, and other reviews wait as pending, uncharged")
  func suspects() async throws {
    try await withTestCluster(settings: ["BATON_OWNER_LIMIT": "100", "BATON_RETRY_BASE": "100ms"]) { cluster in
      let ids = try await cluster.test.insert(12)
      // As after five consumers that died while they held all of them.
      try await cluster.test.sql("UPDATE code_reviews SET lease_losses = 5 WHERE pr_number <= 6")
      let processes = [try await cluster.start("produce"), try await cluster.start("consume")]
      try await eventually("all dispatched") { try await cluster.dispatchedCount() == ids.count }
      #expect(cluster.doubleRuns.isEmpty)
      let charged = try await cluster.test.sql(
        "SELECT count(*) FROM code_reviews WHERE dispatch_failures > 0 OR lease_losses NOT IN (0, 5)")[0]
      #expect(try charged.decode(0, as: Int64.self) == 0)
      let waited = try await cluster.test.sql(
        "SELECT count(*) FROM review_transitions WHERE reason = 'other reviews are prepared apart here'")[0]
      #expect(try waited.decode(0, as: Int64.self) > 0)
      for process in processes { process.signal(SIGTERM) }
      for process in processes { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }

  @Test("a review that kills every consumer ends as exhausted, and costs no other its end")
  func poison() async throws {
    let settings = ["BATON_OWNER_LIMIT": "100", "BATON_RETRY_BASE": "100ms", "BATON_MAX_ATTEMPTS": "5"]
    try await withTestCluster(settings: settings) { cluster in
      // The poison: it is never prepared, and its consumer dies meanwhile.
      cluster.fakePlatform.add(FakeFault(path: "/pulls/1", hang: true))
      let ids = try await cluster.test.insert(8)
      let producer = try await cluster.start("produce")
      let reaper = try await cluster.start("reap", "--interval", "1s")
      var consumer = try await cluster.start("consume")
      try await eventually("the poison has an end") {
        // Stopped while it is looked at: what it has then is what it dies with.
        consumer.signal(SIGSTOP)
        let row = try await cluster.test.sql(
          """
          SELECT p.status, EXISTS (
                   SELECT 1 FROM baton_holders h
                    WHERE h.id = p.lease_owner AND h.pid = \(consumer.processID)
                      -- A suspect dies when it is isolated, which it is at its last three chances.
                      AND (p.lease_losses < 2 OR p.id = ANY (h.isolated)))
            FROM code_reviews p
           WHERE p.pr_number = 1
          """)[0]
        if try row.decode(1, as: Bool.self) {
          await consumer.die()
          consumer = try await cluster.start("consume")
        }
        consumer.signal(SIGCONT)
        return try row.decode(0, as: String.self) == "failed"
      }
      do {
        try await eventually("the others are dispatched") { try await cluster.dispatchedCount() == ids.count - 1 }
      } catch {
        let rows = try await cluster.test.sql(
          "SELECT to_jsonb(r)::text FROM code_reviews r WHERE dispatched_at IS NULL")
        Issue.record("not dispatched: \(try rows.map { try $0.decode(0, as: String.self) }); \(consumer.output)")
        throw error
      }
      let code = try await cluster.test.sql("SELECT error_code FROM code_reviews WHERE pr_number = 1")[0]
      #expect(try code.decode(0, as: String.self) == "attempts_exhausted")
      #expect(cluster.doubleRuns.isEmpty)
      for process in [producer, reaper, consumer] { process.signal(SIGTERM) }
      for process in [producer, reaper, consumer] { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }
}
