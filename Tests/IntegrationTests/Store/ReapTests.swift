import FoundationEssentials
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Reap")
struct ReapTests {
  private let times = ReapTimes(
    heartbeatTimeout: .seconds(86_400), publishGrace: .seconds(1_000), staleAfter: .seconds(3_000),
    runningTimeout: .seconds(1_800))

  private func reap(_ test: TestStore, failureMax: Int = 8) async throws -> [Reaped] {
    try await test.store.reapAbandoned(
      times, queue: "q", limit: 100, by: test.holder.id, failureMax: failureMax)
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
      let first = try await test.store.reapAbandoned(times, queue: "q", limit: 100, by: dead.id, failureMax: 8)
      #expect(reasons(first) == [.unpublished])
      try await test.store.leave(dead.id)
      #expect(try await reasons(reap(test)) == [.unpublished])
    }
  }

  @Test("a dead holder's lease is published again and counted, and at the last loss the review is failed")
  func leaseLost() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      for loss in 1...3 {
        try await test.signOn(test.holder)
        let ticket =
          try await loss == 1
          ? test.claim()[0].ticket
          : Ticket(
            reviewID: id, attempt: 1, claimedAt: test.row(id).claimedAt!)
        #expect(try await test.lease([ticket]).count == 1)
        #expect(try await reap(test).isEmpty)
        try await test.store.leave(test.holder.id)
        let reaped = try await reap(test, failureMax: 3)
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

  @Test("a review whose counters are at their bound is published again, and holds up no others")
  func countersAtTheirBound() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      let ids = try await test.insert(2)
      _ = try await test.lease(try await test.claim().map(\.ticket))
      try await test.sql("UPDATE code_reviews SET lease_expires_at = now() - interval '1 second'")
      try await test.sql("UPDATE code_reviews SET republish_count = 1000000 WHERE id = '\(ids[0].lowercase)'")
      #expect(try await reasons(reap(test)) == [.leaseExpired, .leaseExpired])
    }
  }

  @Test("a review whose counters are at their bound is left queued, or fails at a counted failure")
  func countersAtTheirBoundOfADispatch() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      _ = try await test.insert(2)
      let tickets = try await test.claim().map(\.ticket)
      for (ticket, isCounted) in zip(tickets, [false, true]) {
        let lease = try await test.take(ticket)
        try await test.sql(
          "UPDATE code_reviews SET dispatch_failures = 1000000, unclear_starts = 1000000 WHERE id = '\(ticket.reviewID)'"
        )
        let status = try await test.store.leaveQueued(
          lease, message: "no answer", for: .seconds(60), isCounted: isCounted, failureMax: 8)
        #expect(status == (isCounted ? .failed : .queued))
        #expect(try await test.row(ticket.reviewID).dispatchFailures == 1_000_000)
      }
    }
  }

  @Test("a lease that has run out is published again, and not counted while its holder lives")
  func leaseExpired() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      let id = try await test.insert(1)[0]
      _ = try await test.lease(try await test.claim().map(\.ticket))
      try await test.sql("UPDATE code_reviews SET lease_expires_at = now() - interval '1 second', lease_losses = 7")
      #expect(try await reasons(reap(test)) == [.leaseExpired])
      #expect(try await test.row(id).leaseLosses == 7)
    }
  }

  @Test(
    "what was left queued after an unclear call is published again when its backoff is over, and not leased before that"
  )
  func unclear() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      _ = try await test.insert(1)
      let ticket = try await test.claim()[0].ticket
      let lease = try await test.take(ticket)
      let status = try await test.store.leaveQueued(
        lease, message: "no answer", for: .seconds(60), isCounted: true, failureMax: 8)
      #expect(status == .queued)
      #expect(try await test.lease([ticket]) == [.notDispatchable("waiting")])
      #expect(try await reap(test).isEmpty)
      try await test.sql("UPDATE code_reviews SET lease_expires_at = now()")
      #expect(try await reasons(reap(test)) == [.leaseExpired])
      #expect(try await test.row(ticket.reviewID).dispatchFailures == 1)
    }
  }

  @Test("a lease that was not given back, or an unclear call, makes the next holder ask first; pending clears it")
  func unclearStarts() async throws {
    try await withTestStore { test in
      func leased(_ ticket: Ticket) async throws -> Int? {
        guard case .leased(let review) = try await test.lease([ticket])[0] else { return nil }
        return review.unclearStarts
      }
      try await test.signOn(test.holder)
      let id = try await test.insert(1)[0]
      let ticket = try await test.claim()[0].ticket
      #expect(try await leased(ticket) == 0)
      try await test.sql("UPDATE code_reviews SET lease_expires_at = now() - interval '1 second'")
      #expect(try await reasons(reap(test)) == [.leaseExpired])
      let lease = try await test.take(ticket)
      _ = try await test.store.leaveQueued(lease, message: "no answer", for: .zero, isCounted: false, failureMax: 8)
      #expect(try await leased(ticket) == 2)
      let until = try #require(try await test.row(id).leaseExpiresAt)
      #expect(
        try await test.store.postpone(
          Lease(ticket, holder: test.holder.id, until: until), reason: "throttled", for: .zero) == .pending)
      #expect(try await leased(try await test.claim()[0].ticket) == 0)
    }
  }

  @Test("a published ticket that is untouched is stale after its time, which doubles")
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
                times, queue: "q", limit: 30, by: holder.id, failureMax: 8)
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

  @Test("rows that a foreign transaction has locked take no place of a page: those behind them are published again")
  func lockedRows() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(4)
      try await test.claim()
      for (number, id) in ids.enumerated() {
        try await test.sql(
          "UPDATE code_reviews SET claimed_at = now() - interval '\(100 - number) minutes' WHERE id = '\(id)'")
      }
      try await test.pool.withTransaction { foreign in
        _ = try await foreign.query(
          PostgresStatement(
            unprepared: "SELECT FROM code_reviews WHERE id IN ('\(ids[0])', '\(ids[1])', '\(ids[2])') FOR UPDATE"))
        let reaped = try await test.store.reapAbandoned(
          times, queue: "q", limit: 2, by: test.holder.id, failureMax: 8)
        #expect(reasons(reaped) == [.unpublished])
        #expect(try await test.row(ids[3]).republishCount == 1)
      }
    }
  }

  @Test(
    "a silent review that was taken comes due again when the call must have ended; one that was answered, after the whole time"
  )
  func silent() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      let id = try await test.insert(1)[0]
      let ticket = try await test.claim()[0].ticket
      _ = try await test.lease([ticket])
      let record = DispatchRecord(reviewID: id, attempt: 1, agentVersion: nil)
      _ = try await test.store.recordDispatched([record], by: test.holder.id)
      func take() async throws -> [SilentReview] {
        try await test.store.takeSilent(times, limit: 10, for: .seconds(100))
      }
      func pass(_ seconds: Int) async throws {
        try await test.sql(
          """
          UPDATE code_reviews SET dispatched_at = dispatched_at - interval '\(seconds) s',
                                  reconciled_at = reconciled_at - interval '\(seconds) s'
          """)
      }
      #expect(try await take().isEmpty)
      try await pass(3_001)
      #expect(try await test.store.silentCount(times, comingDueWithin: .zero) == 1)
      let abandoned = try await take()
      #expect(abandoned.map(\.reviewID) == [id])
      #expect(try await take().isEmpty)
      #expect(try await test.store.silentCount(times, comingDueWithin: .zero) == 0)
      #expect(try await test.store.silentCount(times, comingDueWithin: .seconds(101)) == 1)
      try await pass(101)
      let answered = try await take()
      #expect(answered.map(\.reviewID) == [id], "the one that took it has not said anything")
      // Too late: another has taken it since.
      try await test.store.recordAsked(abandoned[0])
      #expect(try await test.store.forgetDispatch(abandoned[0], by: test.holder.id) == nil)
      try await test.store.recordAsked(answered[0])
      try await pass(2_900)
      #expect(try await take().isEmpty)
      try await pass(101)
      let forgotten = try await take()
      let claim = try #require(try await test.store.forgetDispatch(forgotten[0], by: test.holder.id))
      guard case .leased = try await test.lease([claim.ticket])[0] else {
        Issue.record("not leased")
        return
      }
    }
  }

  @Test("a running review is silent after its time, and lost if the worker does not know it")
  func runningSilent() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await test.claim()
      _ = try await test.store.report(id, RunReport(status: .running, attempt: 1))
      try await test.sql("UPDATE code_reviews SET updated_at = now() - interval '1801 seconds'")
      let silent = try await test.store.takeSilent(times, limit: 10, for: .seconds(15))
      #expect(silent.map(\.status) == [.running])
      #expect(try await test.store.failLost(silent[0], message: "gone"))
      #expect(try await test.row(id).errorCode == "worker_lost")
    }
  }
}
