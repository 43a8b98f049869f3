import FoundationEssentials
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Lease and dispatch")
struct LeaseTests {
  @Test("of many consumers with the same ticket exactly one gets the lease")
  func oneLease() async throws {
    try await withTestStore { test in
      _ = try await test.insert(1)
      let ticket = try await test.claim()[0].ticket
      let verdicts = try await withThrowingTaskGroup(of: [LeaseVerdict].self) { group in
        for _ in 0..<8 {
          let holder = Holder(role: "consume", host: "test", processID: 1)
          try await test.signOn(holder)
          group.addTask { try await test.lease([ticket, ticket], by: holder.id) }
        }
        return try await group.reduce(into: []) { $0 += $1 }
      }
      #expect(verdicts.filter { if case .leased = $0 { true } else { false } }.count == 1)
      #expect(verdicts.filter { if case .mine = $0 { true } else { false } }.count == 1)
      // Locked: while the one that gets it takes it.
      #expect(verdicts.filter { $0 == .leasedElsewhere || $0 == .lockedByOther }.count == 14)
    }
  }

  @Test("the lease brings the row, the configuration and the integration")
  func contents() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      let integration = UUID()
      try await test.sql(
        """
        WITH i AS (INSERT INTO platform_integrations (id, owner_type, owner_id, platform, installation_id)
        VALUES ('\(integration)', 'org', 'acme', 'github', '42') RETURNING id)
        UPDATE code_reviews SET platform_integration_id = i.id FROM i
        """)
      try await test.store.setConfiguration(
        #"{"review_style":"strict"}"#, of: Owner(type: .org, id: "acme"), platform: .github)
      let ticket = try await test.claim()[0].ticket
      guard case .leased(let review) = try await test.lease([ticket])[0] else {
        Issue.record("not leased")
        return
      }
      #expect(review.id == id)
      #expect(review.attempt == 1)
      #expect(review.claimedAt == ticket.claimedAt)
      #expect(review.configuration == #"{"review_style": "strict"}"#)
      #expect(review.integration == Integration(id: integration, installationId: "42", metadata: "{}"))
      #expect(try await test.row(id).publishedAt != nil)
    }
  }

  @Test("a ticket is refused with the reason that the row gives")
  func refusals() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(4)
      let claims = try await test.claim()
      func ticket(_ index: Int) -> Ticket { claims.first { $0.reviewID == ids[index] }!.ticket }
      _ = try await test.store.cancel(ids[0])
      _ = try await test.store.report(ids[1], RunReport(status: .running, attempt: 1))
      _ = try await test.store.cancel(ids[2])
      _ = try await test.store.retry(ids[2])
      let unknown = Ticket(reviewID: UUID(), attempt: 1, claimedAt: claims[0].claimedAt)
      let verdicts = try await test.lease([ticket(0), ticket(1), ticket(2), unknown])
      #expect(verdicts == [.notDispatchable("cancelled"), .dispatched, .notDispatchable("outdated"), .unknown])
    }
  }

  @Test(
    "a lease whose holder has died is had by the next, and the loss is counted; exhausted ones are left to the reaper")
  func deadHolder() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      let dead = Holder(role: "consume", host: "test", processID: 2)
      try await test.signOn(dead)
      let ticket = try await test.claim()[0].ticket
      _ = try await test.lease([ticket], by: dead.id)
      try await test.signOn(test.holder)
      #expect(try await test.lease([ticket]) == [.leasedElsewhere])
      try await test.addWitness()
      // A lock seen free once proves nothing; free for two seconds without a heartbeat does.
      try await test.store.lookAtHolders()
      #expect(try await test.lease([ticket]) == [.leasedElsewhere])
      try await test.sql(
        """
        UPDATE baton_holders SET lock_free_since = lock_free_since - interval '3 seconds',
                                 heartbeat_at = heartbeat_at - interval '3 seconds'
         WHERE id <> 'witness'
        """)
      try await test.signOn(test.holder)
      #expect(try await test.lease([ticket], failureMax: 1) == [.leasedElsewhere])
      guard case .leased(let review) = try await test.lease([ticket])[0] else {
        Issue.record("not leased")
        return
      }
      #expect(review.leaseLosses == 1)
      #expect(try await test.row(id).leaseOwner == test.holder.id.text)
    }
  }

  @Test("a record touches no status, and a zombie's record and writes match no row")
  func zombie() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      let zombie = Holder(role: "consume", host: "test", processID: 2)
      try await test.signOn(test.holder)
      let ticket = try await test.claim()[0].ticket
      // Never signed on: certainly dead.
      let lost = try await test.take(ticket, by: zombie.id)
      guard case .leased = try await test.lease([ticket])[0] else {
        Issue.record("not leased")
        return
      }
      let record = DispatchRecord(reviewID: id, attempt: 1, agentVersion: "v2")
      #expect(try await test.store.recordDispatched([record], by: zombie.id) == [.overtaken])
      #expect(try await test.store.postpone(lost, reason: "late", for: .zero) == nil)
      #expect(try await test.store.fail(lost, code: .configMissing, message: "late") == nil)
      #expect(try await test.store.recordDispatched([record], by: test.holder.id) == [.recorded])
      let row = try await test.row(id)
      #expect(row.status == .queued)
      #expect(row.agentVersion == "v2")
      #expect(row.dispatchedAt != nil)
      #expect(row.leaseOwner == nil)
    }
  }

  @Test("a late record of attempt 1 leaves attempt 2 alone")
  func lateRecord() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await test.signOn(test.holder)
      let ticket = try await test.claim()[0].ticket
      _ = try await test.lease([ticket])
      _ = try await test.store.cancel(id)
      #expect(try await test.store.retry(id) == .done(.pending, attempt: 2))
      let record = DispatchRecord(reviewID: id, attempt: 1, agentVersion: "v1")
      #expect(try await test.store.recordDispatched([record], by: test.holder.id) == [.overtaken])
      let row = try await test.row(id)
      #expect(row.dispatchedAt == nil)
      #expect(row.agentVersion == nil)
    }
  }

  @Test("a review cancelled while the worker is called is recorded as cancelled, and the worker is to be notified")
  func cancelDuringCall() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await test.signOn(test.holder)
      let ticket = try await test.claim()[0].ticket
      let lease = try await test.take(ticket)
      #expect(try await test.store.stillLeased([lease], by: test.holder.id) == [true])
      #expect(try await test.store.cancel(id) == .done(.cancelled, attempt: 1))
      #expect(try await test.store.stillLeased([lease], by: test.holder.id) == [false])
      let record = DispatchRecord(reviewID: id, attempt: 1, agentVersion: nil)
      #expect(try await test.store.recordDispatched([record], by: test.holder.id) == [.cancelled])
      #expect(try await test.store.takeOutbox(limit: 10, for: .seconds(15)).map(\.reviewID) == [id])
    }
  }

  @Test("failures are counted up to the last, which fails the review; what is uncounted never does")
  func attempts() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await test.signOn(test.holder)
      for round in 1...3 {
        var lease = try await test.take(try await test.claim()[0].ticket)
        #expect(try await test.store.postpone(lease, reason: "outage", for: .zero) == .pending)
        lease = try await test.take(try await test.claim()[0].ticket)
        let status = try await test.store.retryLater(lease, message: "no", after: .zero, failureMax: 3)
        #expect(status == (round < 3 ? .pending : .failed))
      }
      let row = try await test.row(id)
      #expect(row.errorCode == "attempts_exhausted")
      #expect(row.errorMessage == "no")
      #expect(row.dispatchFailures == 3)
    }
  }

  @Test("what a worker says is stored whatever bytes it holds, and fails no other record of its batch")
  func hostileText() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(2)
      try await test.signOn(test.holder)
      let tickets = try await test.claim().map(\.ticket)
      _ = try await test.lease(tickets)
      let records = tickets.map {
        DispatchRecord(reviewID: $0.reviewID, attempt: 1, agentVersion: $0.reviewID == ids[0] ? "v\u{0}1" : "v2")
      }
      #expect(try await test.store.recordDispatched(records, by: test.holder.id) == [.recorded, .recorded])
      #expect(try await test.row(ids[0]).agentVersion == "v1")
      let report = RunReport(
        status: .failed, attempt: 1, sessionId: "s\u{0}", errorMessage: String(repeating: "ü\u{0}", count: 9_000))
      #expect(try await test.store.report(ids[1], report) == .applied)
      let row = try await test.row(ids[1])
      #expect(row.sessionId == "s")
      #expect(row.errorMessage == String(repeating: "ü", count: 4_096))
    }
  }

  @Test(
    "batches of leases, publications and records over the same rows never deadlock, and each review is leased once at most"
  )
  func lockOrder() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      _ = try await test.insert(200)
      let claims = try await test.claim(ownerLimit: 200)
      let tickets = claims.map(\.ticket)
      let holder = test.holder.id
      let records = tickets.map { DispatchRecord(reviewID: $0.reviewID, attempt: 1, agentVersion: nil) }
      let leased = try await withThrowingTaskGroup(of: [UUID].self) { group in
        for round in 0..<20 {
          let isForward = round % 2 == 0
          group.addTask {
            try await test.lease(isForward ? tickets : tickets.reversed()).compactMap { verdict in
              if case .leased(let review) = verdict { review.id } else { nil }
            }
          }
          group.addTask {
            try await test.store.recordPublished(claims.shuffled())
            return []
          }
          group.addTask {
            _ = try await test.store.recordDispatched(isForward ? records.reversed() : records, by: holder)
            return []
          }
        }
        return try await group.reduce(into: []) { $0 += $1 }
      }
      #expect(Set(leased).count == leased.count)
      // What was locked each time is written now.
      #expect(
        try await test.store.recordDispatched(records, by: holder) == Array(repeating: .recorded, count: records.count))
      try await test.store.recordPublished(claims)
      let done = try await test.sql(
        """
        SELECT count(*) FROM code_reviews
         WHERE published_at IS NOT NULL AND dispatched_at IS NOT NULL AND lease_owner IS NULL AND lease_expires_at IS NULL
        """)
      #expect(try done[0].decode(0, as: Int64.self) == 200)
    }
  }
}
