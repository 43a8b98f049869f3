import FoundationEssentials
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Reap")
struct ReapTests {
  private let times = ReapTimes(
    holderTimeout: .seconds(86_400), publishGrace: .seconds(1_000), staleAfter: .seconds(3_000),
    runningTimeout: .seconds(1_800))

  private func reap(_ test: TestStore, attemptMax: Int = 8) async throws -> [Reaped] {
    try await test.store.reapAbandoned(
      times, queue: "q", limit: 100, by: test.holder.id, attemptMax: attemptMax)
  }

  private func reasons(_ reaped: [Reaped]) -> [ReapReason] {
    reaped.compactMap { if case .republish(_, let reason) = $0 { reason } else { nil } }
  }

  @Test(
    "a claim without a confirm is published again when its holder is dead, or after the grace, whatever happened to it before"
  )
  func unpublished() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      _ = try await test.insert(1)
      let claim = try await test.claim()[0]
      #expect(try await reap(test).isEmpty)
      try await test.sql("UPDATE code_reviews SET claimed_at = now() - interval '1500 seconds'")
      #expect(try await reasons(reap(test)) == [.unpublished])
      // Republished for other reasons before: no reason to wait longer now.
      try await test.sql("UPDATE code_reviews SET republish_count = 5, claimed_at = now() - interval '900 seconds'")
      #expect(try await reap(test).isEmpty)
      try await test.sql("UPDATE code_reviews SET claimed_at = now() - interval '1500 seconds'")
      #expect(try await reasons(reap(test)) == [.unpublished])
      #expect(try await reap(test).isEmpty)
      try await test.store.leave(test.holder.id)
      #expect(try await reasons(reap(test)) == [.unpublished])
      let row = try await test.row(claim.reviewID)
      #expect(row.status == .queued)
      #expect(row.republishCount == 7)
      #expect(row.claimedAt != claim.claimedAt)
    }
  }

  @Test("a reaper that stops between its update and its publish leaves the row to the next one")
  func reaperDies() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      _ = try await test.insert(1)
      let other = Holder(role: "reap", host: "test", processID: 3)
      try await test.signOn(other)
      _ = try await test.claim(by: other.id)
      try await test.store.leave(other.id)
      let dead = Holder(role: "reap", host: "test", processID: 4)
      try await test.signOn(dead)
      let first = try await test.store.reapAbandoned(times, queue: "q", limit: 100, by: dead.id, attemptMax: 8)
      #expect(reasons(first) == [.unpublished])
      try await test.store.leave(dead.id)
      #expect(try await reasons(reap(test)) == [.unpublished])
    }
  }

  @Test("an ended lease is published again and counted, and at the last loss the review is failed")
  func leaseExpired() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      let id = try await test.insert(1)[0]
      for loss in 1...3 {
        let ticket =
          try await loss == 1
          ? test.claim()[0].ticket
          : Ticket(
            reviewID: id, attempt: 1, claimedAt: test.row(id).claimedAt!)
        #expect(try await test.lease([ticket]).count == 1)
        #expect(try await reap(test).isEmpty)
        try await test.sql("UPDATE code_reviews SET lease_expires_at = now() - interval '1 second'")
        let reaped = try await reap(test, attemptMax: 3)
        if loss < 3 {
          #expect(reasons(reaped) == [.leaseExpired])
        } else if case .failed(let failed, _, _)? = reaped.first {
          #expect(failed == id)
        } else {
          Issue.record("not failed: \(reaped)")
        }
        #expect(try await test.row(id).leaseLosses == loss)
      }
      #expect(try await test.row(id).errorCode == "attempts_exhausted")
    }
  }

  @Test(
    "what was left queued after an unclear call is published again when its backoff is over, and leased by nobody before"
  )
  func unclear() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      _ = try await test.insert(1)
      let ticket = try await test.claim()[0].ticket
      _ = try await test.lease([ticket])
      let status = try await test.store.leaveQueued(
        ticket, by: test.holder.id, message: "no answer", for: .seconds(60), isCounted: true, attemptMax: 8)
      #expect(status == .queued)
      #expect(try await test.lease([ticket]) == [.overtaken("waiting")])
      #expect(try await reap(test).isEmpty)
      try await test.sql("UPDATE code_reviews SET lease_expires_at = now()")
      #expect(try await reasons(reap(test)) == [.leaseExpired])
      #expect(try await test.row(ticket.reviewID).dispatchFailures == 1)
    }
  }

  @Test("a ticket is lost when the queue was empty after it and every consumer has said that it holds none")
  func lost() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      _ = try await test.insert(1)
      try await test.store.recordPublished(try await test.claim())
      #expect(try await reap(test).isEmpty)
      try await test.store.recordQueueEmpty("q", since: try await test.store.now())
      #expect(try await reap(test).isEmpty, "the consumer has not spoken since")
      #expect(try await test.store.heartbeat(test.holder.id, Holder.Report(unleasedTickets: 1)))
      #expect(try await reap(test).isEmpty, "the consumer holds a ticket")
      #expect(try await test.store.heartbeat(test.holder.id, Holder.Report()))
      #expect(try await reasons(reap(test)) == [.lost])
      #expect(try await reap(test).isEmpty, "it was published anew after the queue was empty")
    }
  }

  @Test("a ticket is lost when another that was published half a minute later has been leased first")
  func overtaken() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      let ids = try await test.insert(1)
      try await test.store.recordPublished(try await test.claim())
      let now = try await test.store.now()
      #expect(try await test.store.heartbeat(test.holder.id, Holder.Report(leasedUpTo: now)))
      #expect(try await reap(test).isEmpty)
      try await test.sql("UPDATE code_reviews SET published_at = now() - interval '90 seconds'")
      #expect(try await reasons(reap(test)) == [.lost])
      #expect(try await test.row(ids[0]).republishCount == 1)
    }
  }

  @Test("a published ticket that nobody has touched is stale after its time, which doubles")
  func stale() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      _ = try await test.insert(1)
      try await test.store.recordPublished(try await test.claim())
      try await test.sql("UPDATE code_reviews SET published_at = now() - interval '1500 seconds'")
      #expect(try await reap(test).isEmpty)
      try await test.sql("UPDATE code_reviews SET published_at = now() - interval '3001 seconds'")
      #expect(try await reasons(reap(test)) == [.stale])
      try await test.sql("UPDATE code_reviews SET published_at = now() - interval '3100 seconds'")
      #expect(try await reap(test).isEmpty)
    }
  }

  @Test("two reapers at once take each row once")
  func concurrently() async throws {
    try await withTestStore { test in
      _ = try await test.insert(200)
      try await test.claim(ownerLimit: 200)
      let reaped = try await withThrowingTaskGroup(of: [Reaped].self) { group in
        for _ in 0..<4 {
          let holder = Holder(role: "reap", host: "test", processID: 5)
          try await test.signOn(holder)
          group.addTask {
            var all: [Reaped] = []
            while true {
              let page = try await test.store.reapAbandoned(
                times, queue: "q", limit: 30, by: holder.id, attemptMax: 8)
              if page.isEmpty { return all }
              all += page
            }
          }
        }
        return try await group.reduce(into: []) { $0 += $1 }
      }
      #expect(reaped.count == 200)
    }
  }

  @Test("a silent review is taken once in its time; a forgotten one is published again and can be leased")
  func silent() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      let id = try await test.insert(1)[0]
      let ticket = try await test.claim()[0].ticket
      _ = try await test.lease([ticket])
      let record = DispatchRecord(reviewID: id, attempt: 1, agentVersion: nil)
      _ = try await test.store.recordDispatched([record], by: test.holder.id)
      #expect(try await test.store.takeSilent(times, limit: 10).isEmpty)
      try await test.sql("UPDATE code_reviews SET dispatched_at = now() - interval '3001 seconds'")
      let silent = try await test.store.takeSilent(times, limit: 10)
      #expect(silent.map(\.reviewID) == [id])
      #expect(try await test.store.takeSilent(times, limit: 10).isEmpty)
      let claim = try #require(try await test.store.forgetDispatch(silent[0], by: test.holder.id))
      guard case .leased = try await test.lease([claim.ticket])[0] else {
        Issue.record("not leased")
        return
      }
    }
  }

  @Test("a running review is silent after its time, and lost where the worker does not know it")
  func runningSilent() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await test.claim()
      _ = try await test.store.report(id, RunReport(status: .running, attempt: 1))
      try await test.sql("UPDATE code_reviews SET updated_at = now() - interval '1801 seconds'")
      let silent = try await test.store.takeSilent(times, limit: 10)
      #expect(silent.map(\.status) == [.running])
      #expect(try await test.store.failLost(silent[0], message: "gone"))
      #expect(try await test.row(id).errorCode == "worker_lost")
    }
  }
}
