import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Counts")
struct CountTests {
  @Test("ends are counted once each, whichever process writes them, and stay counted when the reviews are deleted")
  func ends() async throws {
    try await withTestStore { test in
      #expect(try await test.store.counts() == ReviewCounts())
      let ids = try await test.insert(4)
      try await test.claim()
      _ = try await test.store.report(ids[0], RunReport(status: .completed, attempt: 1))
      _ = try await test.store.report(ids[0], RunReport(status: .failed, attempt: 1))
      _ = try await test.store.report(ids[1], RunReport(status: .running, attempt: 1))
      _ = try await test.store.report(ids[1], RunReport(status: .failed, attempt: 1))
      // A person in psql, twice with a code that Baton does not know; and a cancel, which someone has requested.
      try await test.sql("UPDATE code_reviews SET status = 'failed', error_code = 'mine' WHERE id = '\(ids[2])'")
      _ = try await test.store.retry(ids[2])
      try await test.sql("UPDATE code_reviews SET status = 'failed', error_code = 'mine' WHERE id = '\(ids[2])'")
      _ = try await test.store.cancel(ids[3])
      let counts = ReviewCounts(completed: 1, failed: ["agent_failed": 1, "mine": 2])
      #expect(try await test.store.counts() == counts)
      try await test.sql("DELETE FROM code_reviews")
      #expect(try await test.store.counts() == counts)
    }
  }

  @Test("what reapers take is counted by its reason, in the statement that takes it, however many there are")
  func reaps() async throws {
    try await withTestStore { test in
      _ = try await test.insert(50)
      try await test.claim(ownerLimit: 50)
      let times = ReapTimes(
        heartbeatTimeout: .zero, publishGrace: .zero, staleAfter: .seconds(3_000), runningTimeout: .seconds(3_000))
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 1...4 {
          let holder = Holder(role: "reap", host: "test", processID: Int32(number))
          group.addTask {
            for _ in 0..<10 {
              _ = try await test.store.reapAbandoned(times, queue: "q", limit: 5, by: holder.id, failureMax: 8)
            }
          }
        }
        try await group.waitForAll()
      }
      let republished = try await test.sql("SELECT sum(republish_count)::bigint FROM code_reviews")[0]
      #expect(
        try await test.store.counts().reaped == ["unpublished": Int(try republished.decode(0, as: Int64.self))])
    }
  }

  @Test("answers about silent reviews add up")
  func reconciled() async throws {
    try await withTestStore { test in
      try await test.store.countReconciled([:])
      try await test.store.countReconciled(["lost": 2, "alive": 1])
      try await test.store.countReconciled(["lost": 3])
      #expect(try await test.store.counts().reconciled == ["lost": 5, "alive": 1])
    }
  }
}
