import FoundationEssentials
import Primitives
import ReviewStore
import Reviews
import Testing

extension Story {
  static let silence: [Story] = [
    Story("a silent review that was taken comes due again when the call must have ended") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.record(claim.reviewID)
      try await play.pass(.seconds(1_501))
      #expect(try await play.ledger.silentCount(Play.times, comingDueWithin: .zero) == 1)
      let first = try await play.takeSilent(for: .seconds(100))
      #expect(first.map(\.reviewID) == [claim.reviewID] && first.map(\.status) == [.queued])
      #expect(try await play.takeSilent().isEmpty)
      #expect(try await play.ledger.silentCount(Play.times, comingDueWithin: .zero) == 0)
      #expect(try await play.ledger.silentCount(Play.times, comingDueWithin: .seconds(200)) == 1)
      try await play.pass(.seconds(101))
      let second = try await play.takeSilent(for: .seconds(100))
      #expect(second.count == 1)
      // The first one is too late: another has taken it since.
      try await play.recordAsked(first[0])
      #expect(try await play.forgetDispatch(first[0]) == nil)
      try await play.recordAsked(second[0])
      try await play.pass(.seconds(1_400))
      #expect(try await play.takeSilent().isEmpty)
      try await play.pass(.seconds(101))
      #expect(try await play.takeSilent().count == 1)
    },
    Story("a dispatch that the worker does not know is forgotten, and its new ticket is leased") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.record(claim.reviewID)
      try await play.pass(.seconds(1_501))
      let silent = try await play.takeSilent()[0]
      let again = try #require(try await play.forgetDispatch(silent))
      let row = try await play.row(claim.reviewID)
      #expect(row.dispatchedAt == nil && row.publishedAt == nil && row.republishCount == 1)
      #expect(try await play.forgetDispatch(silent) == nil)
      #expect(try await play.ownClaims(of: play.reaper) == [again])
      guard case .leased(let review) = try await play.lease([again])[0] else { throw NoSuchReview(id: claim.reviewID) }
      #expect(review.unclearStarts == 1, "a worker that could not be asked may be running it")
    },
    Story("a run that its worker has lost is failed, unless it has reported since") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.report(claim.reviewID, .running)
      try await play.pass(.seconds(1_801))
      let silent = try await play.takeSilent()[0]
      #expect(silent.status == .running)
      #expect(try await play.forgetDispatch(silent) == nil, "it is not queued")
      #expect(try await play.failLost(silent))
      #expect(try await play.row(claim.reviewID).errorCode == "worker_lost")
      #expect(try await !play.failLost(silent))
    },
    Story("a run that ends while the worker is asked about it stays as it ended") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.report(claim.reviewID, .running)
      try await play.pass(.seconds(1_801))
      let silent = try await play.takeSilent()[0]
      #expect(try await play.report(claim.reviewID, .completed) == .applied)
      #expect(try await !play.failLost(silent))
      #expect(try await play.row(claim.reviewID).status == .completed)
    },
    Story("a running review that reports is not silent") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.report(claim.reviewID, .running)
      for _ in 0..<3 {
        try await play.pass(.seconds(1_000))
        #expect(try await play.report(claim.reviewID, .running) == .applied)
      }
      #expect(try await play.takeSilent().isEmpty)
    },
    Story("a page takes those that were silent for longest") { play in
      let claims = [try await play.leased().claim, try await play.leased().claim]
      _ = try await play.record(claims[1].reviewID)
      try await play.pass(.seconds(10))
      _ = try await play.record(claims[0].reviewID)
      try await play.pass(.seconds(1_600))
      let first = try await play.ledger.takeSilent(Play.times, limit: 1, for: .seconds(15))
      #expect(first.map(\.reviewID) == [claims[1].reviewID])
    },
    Story("a worker's silence about a review is evidence once it has answered") { play in
      #expect(try await !play.ledger.workerHasAnswered("http://a"))
      try await play.ledger.rememberWorkerAnswers("http://a")
      try await play.ledger.rememberWorkerAnswers("http://a")
      #expect(try await play.ledger.workerHasAnswered("http://a"))
      #expect(try await !play.ledger.workerHasAnswered("http://b"))
      try await play.ledger.countReconciled(["alive": 2, "lost": 1])
    },
  ]

  static let operations: [Story] = [
    Story("the same pull request and commit is one review") { play in
      let id = try await play.submit(number: 1, sha: "a")
      #expect(try await play.submit(number: 1, sha: "a") == id)
      #expect(try await play.submit(number: 1, sha: "b") != id)
      #expect(try await play.submit(.org("other"), number: 1, sha: "a") != id)
      #expect(try await play.ledger.review(UUID()) == nil)
    },
    Story("a pull request is known by its repository's number; its name and the name's letter case are labels") {
      play in
      func submit(_ name: String, _ sha: String, _ id: Int64?) async throws -> UUID {
        try await play.submit(number: 1, sha: sha, repository: name, repositoryID: id)
      }
      let id = try await submit("acme/shop", "a", 7)
      #expect(try await play.row(id).platformRepositoryId == 7)
      #expect(try await submit("acme/store", "a", 7) == id, "under another name")
      #expect(try await submit("ACME/Shop", "a", nil) == id, "in another letter case")
      #expect(try await submit("ACME/Shop", "a", 8) == id, "whose name another repository has taken")
      #expect(try await submit("acme/other", "a", 8) != id)
      let next = try await submit("ACME/Shop", "b", nil)
      #expect(next != id)
      #expect(try await play.row(next).repoFullName == "acme/shop")
    },
    Story("a review that is available later is claimed then, and one at infinity never") { play in
      let first = try await play.submit()
      let now = try await play.row(first).createdAt
      let later = try await play.submit(availableAt: now.shifted(by: .seconds(1_000)))
      _ = try await play.submit(availableAt: .infinity)
      #expect(try await play.claim().ids == [first])
      #expect(try await play.claim().isEmpty)
      try await play.pass(.seconds(1_001))
      #expect(try await play.claim().ids == [later])
      try await play.pass(.seconds(1_000_000))
      #expect(try await play.claim().isEmpty)
    },
    Story("a retry starts with nothing of the old attempt") { play in
      let (claim, _) = try await play.leased()
      let id = claim.reviewID
      let report = RunReport(
        status: .running, attempt: 1, sessionId: "s1", cliSessionId: "c1", model: "m", totalTokensIn: 5,
        totalTokensOut: 6, totalCostMicrousd: 7, gateResult: "fail")
      #expect(try await play.ledger.report(id, report) == .applied)
      #expect(try await play.ledger.cancel(id) == .done(.cancelled, attempt: 1))
      let ended = try await play.row(id)
      #expect(ended.model == "m" && ended.totalTokensIn == 5 && ended.gateResult == "fail" && ended.completedAt != nil)
      #expect(ended.errorCode == "cancelled_by_user")
      #expect(try await play.ledger.retry(id) == .done(.pending, attempt: 2))
      let row = try await play.row(id)
      #expect(row.sessionId == nil && row.cliSessionId == nil && row.startedAt == nil && row.completedAt == nil)
      #expect(row.model == nil && row.totalTokensIn == nil && row.totalTokensOut == nil && row.gateResult == nil)
      #expect(row.errorCode == nil && row.errorMessage == nil && row.dispatchedAt == nil && row.claimedAt == nil)
      #expect(row.leaseLosses == 0 && row.dispatchFailures == 0 && row.republishCount == 0)
    },
    Story("a retry of a held or delayed review is due at once") { play in
      let id = try await play.submit()
      try await play.world.schedule(id, at: .infinity)
      _ = try await play.ledger.cancel(id)
      #expect(try await play.ledger.retry(id) == .done(.pending, attempt: 2))
      #expect(try await play.claim().ids == [id])
    },
    Story("a late report of an earlier attempt's session leaves the new attempt alone, queued or dispatched") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.report(claim.reviewID, .failed, session: "s1")
      _ = try await play.ledger.retry(claim.reviewID)
      _ = try await play.claim()
      #expect(try await play.report(claim.reviewID, .completed, attempt: nil, session: "s1") == .ignored(.queued))
      #expect(try await play.report(claim.reviewID, .completed, attempt: 1) == .ignored(.queued))
      #expect(try await play.report(claim.reviewID, .completed, attempt: nil) == .ignored(.queued))
      #expect(try await play.record(claim.reviewID, attempt: 2) == .recorded)
      #expect(try await play.report(claim.reviewID, .completed, attempt: nil, session: "s1") == .ignored(.queued))
      #expect(try await play.report(claim.reviewID, .running, attempt: nil, session: "s2") == .applied)
      #expect(try await play.report(claim.reviewID, .completed, attempt: nil, session: "s1") == .ignored(.running))
      #expect(try await play.report(claim.reviewID, .completed, attempt: nil) == .applied)
    },
    Story("the first report of a run says when it started, and a later one changes only its details") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.report(claim.reviewID, .running)
      let started = try await play.row(claim.reviewID).startedAt
      _ = try await play.report(claim.reviewID, .running, session: "s1")
      let row = try await play.row(claim.reviewID)
      #expect(row.startedAt == started && row.sessionId == "s1")
      #expect(try await play.ledger.transitions(of: claim.reviewID).map(\.toStatus) == [.pending, .queued, .running])
    },
    Story("a cancel keeps its reason when the worker reports it too") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.ledger.cancel(claim.reviewID, code: .superseded, reason: "a newer push", actor: nil)
      #expect(try await play.report(claim.reviewID, .cancelled) == .ignored(.cancelled))
      let row = try await play.row(claim.reviewID)
      #expect(row.errorCode == "superseded" && row.errorMessage == "a newer push")
    },
    Story("a report of what no run can be changes nothing") { play in
      let (claim, _) = try await play.leased()
      #expect(try await play.report(claim.reviewID, .queued) == .ignored(.queued))
      #expect(try await play.report(claim.reviewID, .pending) == .ignored(.pending))
      #expect(try await play.report(UUID(), .running) == .unknownReview)
      #expect(try await play.ledger.cancel(UUID()) == .unknownReview)
      #expect(try await play.ledger.retry(UUID()) == .unknownReview)
    },
    Story("the history names each change and its reason") { play in
      let (claim, lease) = try await play.leased()
      _ = try await play.retryLater(lease)
      _ = try await play.take(try await play.claim()[0])
      _ = try await play.report(claim.reviewID, .failed)
      let history = try await play.ledger.transitions(of: claim.reviewID)
      #expect(history.map(\.toStatus) == [.pending, .queued, .pending, .queued, .failed])
      #expect(history.map(\.reason) == ["submitted", "claimed", "no", "claimed", "reported by the worker"])
      #expect(history.map(\.fromStatus) == [nil, .pending, .queued, .pending, .queued])
    },
  ]

  static let outbox: [Story] = [
    Story("a cancel of a claimed review is due for the worker once, however often it is added") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.ledger.cancel(claim.reviewID)
      try await play.ledger.addCancel(of: claim.reviewID, attempt: 1)
      #expect(try await play.ledger.outboxCount() == 1)
      let entry = try #require(try await play.ledger.takeOutbox(limit: 10, for: .seconds(15)).first)
      #expect(entry.reviewID == claim.reviewID && entry.attempt == 1 && entry.tries == 1)
      #expect(entry.trace == claim.trace)
      try await play.ledger.deleteOutbox(entry.id)
      #expect(try await play.ledger.outboxCount() == 0)
    },
    Story("a review that fails after an unclear start is cancelled at the worker, where the start may still arrive") {
      play in
      let (_, lease) = try await play.leased()
      #expect(try await play.fail(lease) == .failed)
      #expect(try await play.ledger.outboxCount() == 0, "no earlier start can have reached the worker")
      let unclear = try await play.leasedAfterAnUnclearStart()
      #expect(try await play.fail(unclear) == .failed)
      let entries = try await play.ledger.takeOutbox(limit: 10, for: .seconds(15))
      #expect(entries.map(\.reviewID) == [unclear.reviewID] && entries.map(\.attempt) == [1])
    },
    Story("a review whose last unclear start fails it is cancelled at the worker") { play in
      let (claim, lease) = try await play.leased()
      #expect(try await play.leaveQueued(lease, isCounted: true, failureMax: 1) == .failed)
      #expect(try await play.ledger.takeOutbox(limit: 10, for: .seconds(15)).map(\.reviewID) == [claim.reviewID])
    },
    Story("a review whose holders have all died is cancelled at the worker, which one of them may have called") {
      play in
      let (claim, _) = try await play.leased()
      try await play.kill(play.consumer)
      #expect(try await play.reap(failureMax: 1).claims.isEmpty)
      #expect(try await play.row(claim.reviewID).status == .failed)
      #expect(try await play.ledger.takeOutbox(limit: 10, for: .seconds(15)).map(\.reviewID) == [claim.reviewID])
    },
    Story("an entry that one sender has taken comes due again when its call must have ended") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.ledger.cancel(claim.reviewID)
      #expect(try await play.ledger.takeOutbox(limit: 10, for: .seconds(100)).count == 1)
      #expect(try await play.ledger.takeOutbox(limit: 10, for: .seconds(100)).isEmpty)
      try await play.pass(.seconds(101))
      #expect(try await play.ledger.takeOutbox(limit: 10, for: .seconds(100)).map(\.tries) == [2])
    },
    Story("an entry that is not accepted waits as long as it is to, and is given up after a day") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.ledger.cancel(claim.reviewID)
      for tries in 1...10 {
        let entry = try #require(try await play.ledger.takeOutbox(limit: 1, for: .seconds(15)).first)
        #expect(entry.tries == tries)
        #expect(try await !play.ledger.failOutbox(entry.id, error: "refused", retryAfter: .seconds(60 * tries)))
        try await play.pass(.seconds(60 * tries - 30))
        #expect(try await play.ledger.outboxCount() == 0)
        try await play.pass(.seconds(31))
      }
      #expect(try await play.ledger.undeliveredCancels(of: claim.reviewID).map(\.lastError) == ["refused"])
      try await play.pass(.seconds(86_400))
      let entry = try #require(try await play.ledger.takeOutbox(limit: 1, for: .seconds(15)).first)
      #expect(try await play.ledger.failOutbox(entry.id, error: "gone", retryAfter: .seconds(5)))
      try await play.pass(.seconds(1_000_000))
      #expect(try await play.ledger.outboxCount() == 0)
      let left = try await play.ledger.undeliveredCancels(of: claim.reviewID)
      #expect(left.count == 1 && left[0].nextTry == nil && left[0].givenUpAt != nil && left[0].tries == 11)
      #expect(try await !play.ledger.failOutbox(-1, error: "unknown", retryAfter: .zero))
    },
    Story("each attempt has a cancel of its own") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.ledger.cancel(claim.reviewID)
      _ = try await play.ledger.retry(claim.reviewID)
      _ = try await play.claim()
      _ = try await play.ledger.cancel(claim.reviewID)
      #expect(try await play.ledger.takeOutbox(limit: 10, for: .seconds(15)).map(\.attempt).sorted() == [1, 2])
    },
  ]

  static let locks: [Story] = [
    Story("a locked review costs only itself a claim, a lease, a record, and its place in a page") { play in
      let ids = try await play.submit(count: 2)
      try await play.world.whileLocked([ids[0]]) {
        let claimed = try await play.claim().ids
        #expect(claimed == [ids[1]])
      }
      let first = try await play.claim()
      let claims = first + (try await play.ownClaims().filter { $0.reviewID == ids[1] })
      #expect(first.ids == [ids[0]] && claims.count == 2)
      try await play.world.whileLocked([ids[0]]) {
        #expect(try await play.lease(claims).map(\.word) == ["locked", "leased"])
        #expect(try await play.record(ids[0]) == .locked)
        #expect(try await play.record(ids[1]) == .recorded)
        try await play.publish(claims)
      }
      #expect(try await play.row(ids[0]).publishedAt == nil)
      try await play.kill(play.producer)
      try await play.world.whileLocked([ids[0]]) {
        let reaped = try await play.reap(limit: 1)
        #expect(reaped.isEmpty)
      }
      #expect(try await play.reap().reasons == [.unpublished])
    },
    Story("what a holder writes of a locked review fails, and is written when the lock has gone") { play in
      let (claim, lease) = try await play.leased()
      let locked = RowLocked(reviewID: claim.reviewID)
      try await play.world.whileLocked([claim.reviewID]) {
        await #expect(throws: locked) { try await play.postpone(lease) }
        await #expect(throws: locked) { try await play.retryLater(lease) }
        await #expect(throws: locked) { try await play.leaveQueued(lease) }
        await #expect(throws: locked) { try await play.fail(lease) }
        await #expect(throws: locked) { try await play.drop(lease) }
        let isLeased = try await play.isLeased(lease)
        #expect(isLeased, "looking needs no lock")
      }
      #expect(try await play.postpone(lease) == .pending)
    },
    Story("a callback, a cancel and a retry of a locked review have to be repeated") { play in
      let (claim, _) = try await play.leased()
      let locked = RowLocked(reviewID: claim.reviewID)
      try await play.world.whileLocked([claim.reviewID]) {
        async let report = refusal { _ = try await play.report(claim.reviewID, .running) }
        async let cancel = refusal { _ = try await play.ledger.cancel(claim.reviewID) }
        async let retry = refusal { _ = try await play.ledger.retry(claim.reviewID) }
        let refusals = await [report, cancel, retry]
        #expect(refusals == [locked, locked, locked])
      }
      #expect(try await play.report(claim.reviewID, .running) == .applied)
    },
    Story("a locked review takes no place among the silent ones") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.record(claim.reviewID)
      try await play.pass(.seconds(1_501))
      try await play.world.whileLocked([claim.reviewID]) {
        let silent = try await play.takeSilent()
        #expect(silent.isEmpty)
      }
      #expect(try await play.takeSilent().count == 1)
    },
  ]
}

/// The lock that a call has met.
private func refusal(_ call: @Sendable () async throws -> Void) async -> RowLocked? {
  do {
    try await call()
    return nil
  } catch {
    return error as? RowLocked
  }
}
