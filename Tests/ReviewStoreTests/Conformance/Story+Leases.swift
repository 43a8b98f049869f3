import FoundationEssentials
import Primitives
import ReviewStore
import Reviews
import Testing

extension Story {
  static let leases: [Story] = [
    Story("of two consumers with the same ticket one gets the lease, the other holds the ticket") { play in
      _ = try await play.submit()
      let claim = try await play.claim()[0]
      #expect(try await play.lease([claim])[0].word == "leased")
      #expect(try await play.lease([claim], by: play.other)[0] == .leasedElsewhere)
      #expect(try await play.lease([claim])[0].word == "mine")
    },
    Story("a lease records the publication, and the record of it that comes later changes nothing") { play in
      _ = try await play.submit()
      let claim = try await play.claim()[0]
      _ = try await play.take(claim)
      let published = try await play.row(claim.reviewID).publishedAt
      #expect(published != nil)
      try await play.publish([claim])
      #expect(try await play.row(claim.reviewID).publishedAt == published)
    },
    Story("a lease brings the counters and the owner's configuration") { play in
      try await play.ledger.setConfiguration("{}", of: Play.acme, platform: .github)
      _ = try await play.submit()
      let claim = try await play.claim()[0]
      guard case .leased(let review) = try await play.lease([claim])[0] else { throw NoSuchReview(id: claim.reviewID) }
      #expect(review.id == claim.reviewID && review.attempt == 1 && review.owner == Play.acme)
      #expect(review.dispatchFailures == 0 && review.leaseLosses == 0 && review.unclearStarts == 0)
      #expect(review.configuration == "{}" && review.integration == nil && review.previousHeadSha == nil)
      #expect(review.leasedUntil.since(review.leasedAt) == Play.leaseTime)
    },
    Story("a lease names the commit and the session of the pull request's review before it") { play in
      let first = try await play.submit(number: 7, sha: "a1")
      _ = try await play.claim()
      _ = try await play.report(first, .completed, session: "s1")
      _ = try await play.submit(number: 8, sha: "b1")
      _ = try await play.submit(number: 7, sha: "a2")
      for claim in try await play.claim() {
        guard case .leased(let review) = try await play.lease([claim])[0] else {
          throw NoSuchReview(id: claim.reviewID)
        }
        #expect(review.previousHeadSha == (review.prNumber == 7 ? "a1" : nil))
        #expect(review.previousSessionId == (review.prNumber == 7 ? "s1" : nil))
      }
    },
    Story("another repository that had the pull request's name gives neither commit nor session") { play in
      let first = try await play.submit(number: 7, sha: "a1", repositoryID: 1)
      _ = try await play.claim()
      _ = try await play.report(first, .completed, session: "s1")
      _ = try await play.submit(number: 7, sha: "a2", repositoryID: 2)
      let claim = try await play.claim()[0]
      guard case .leased(let review) = try await play.lease([claim])[0] else { throw NoSuchReview(id: claim.reviewID) }
      #expect(review.previousHeadSha == nil && review.previousSessionId == nil)
    },
    Story("an unknown review is poison, and the rest of its batch is leased") { play in
      _ = try await play.submit()
      let claim = try await play.claim()[0]
      var unknown = claim
      unknown.reviewID = UUID()
      #expect(try await play.lease([unknown, claim]).map(\.word) == ["unknown", "leased"])
    },
    Story("a lease that was taken over is worth nothing to its first holder") { play in
      let (claim, lease) = try await play.leased()
      try await play.pass(Play.leaseTime + .seconds(1))
      let second = try await play.take(claim, by: play.other)
      #expect(try await !play.isLeased(lease))
      #expect(try await play.isLeased(second))
      #expect(try await play.postpone(lease) == nil)
      #expect(try await play.retryLater(lease) == nil)
      #expect(try await play.leaveQueued(lease) == nil)
      #expect(try await play.fail(lease) == nil)
      #expect(try await play.record(claim.reviewID) == .overtaken)
      #expect(try await play.postpone(second) == .pending)
    },
    Story("two leases of one process have different ends") { play in
      let (claim, lease) = try await play.leased()
      try await play.drop(lease)
      let second = try await play.take(claim, for: .seconds(700))
      #expect(try await !play.isLeased(lease))
      #expect(try await play.fail(lease) == nil)
      #expect(try await play.isLeased(second))
      // The worker has it, whichever lease it was called for.
      #expect(try await play.record(claim.reviewID) == .recorded)
      #expect(try await play.fail(second) == nil)
    },
    Story("a lease that ran out may still be recorded, as long as no other process has it") { play in
      let (claim, _) = try await play.leased()
      try await play.pass(Play.leaseTime + .seconds(1))
      #expect(try await play.record(claim.reviewID, version: "v2") == .recorded)
      let row = try await play.row(claim.reviewID)
      #expect(row.dispatchedAt != nil && row.leaseOwner == nil && row.leaseExpiresAt == nil && row.agentVersion == "v2")
      #expect(row.status == .queued)
      #expect(try await play.reap().isEmpty)
    },
    Story("a record of a review that the reaper has taken over is recorded, and its new ticket is a duplicate") {
      play in
      let (claim, _) = try await play.leased()
      try await play.pass(Play.leaseTime + .seconds(1))
      let reaped = try await play.reap().claims
      #expect(try await play.record(claim.reviewID) == .recorded)
      #expect(try await play.lease(reaped, by: play.other) == [.dispatched])
      #expect(try await play.owed(reaped).isEmpty)
    },
    Story("a record repeats nothing: the time and the version of the first one stay") { play in
      let (claim, _) = try await play.leased()
      #expect(try await play.record(claim.reviewID, version: "v1") == .recorded)
      let first = try await play.row(claim.reviewID)
      #expect(try await play.record(claim.reviewID) == .recorded)
      let second = try await play.row(claim.reviewID)
      #expect(second.dispatchedAt == first.dispatchedAt && second.agentVersion == "v1")
    },
    Story("a record after a cancel says so, and leaves the review cancelled") { play in
      let (claim, lease) = try await play.leased()
      #expect(try await play.ledger.cancel(claim.reviewID) == .done(.cancelled, attempt: 1))
      #expect(try await !play.isLeased(lease))
      #expect(try await play.record(claim.reviewID) == .cancelled)
      #expect(try await play.row(claim.reviewID).status == .cancelled)
    },
    Story("a late record of the first attempt leaves the second alone") { play in
      let (claim, lease) = try await play.leased()
      _ = try await play.ledger.cancel(claim.reviewID)
      #expect(try await play.ledger.retry(claim.reviewID) == .done(.pending, attempt: 2))
      let second = try await play.claim()[0]
      #expect(second.attempt == 2)
      #expect(try await play.record(claim.reviewID) == .overtaken)
      #expect(try await play.fail(lease) == nil)
      #expect(try await play.row(claim.reviewID).dispatchedAt == nil)
      #expect(try await play.lease([second])[0].word == "leased")
    },
    Story("a callback that comes before the record is kept by it") { play in
      let (claim, lease) = try await play.leased()
      #expect(try await play.report(claim.reviewID, .running, session: "s1") == .applied)
      #expect(try await !play.isLeased(lease))
      #expect(try await play.postpone(lease) == nil, "the worker runs it")
      #expect(try await play.record(claim.reviewID, version: "v1") == .recorded)
      let row = try await play.row(claim.reviewID)
      #expect(row.status == .running && row.sessionId == "s1" && row.agentVersion == "v1")
    },
    Story("the end of a run comes before the record, and stays") { play in
      let (claim, _) = try await play.leased()
      #expect(try await play.report(claim.reviewID, .completed) == .applied)
      #expect(try await play.record(claim.reviewID) == .recorded)
      #expect(try await play.row(claim.reviewID).status == .completed)
    },
    Story("postponing is uncounted and delays the review; failures count up to the last") { play in
      let (claim, lease) = try await play.leased()
      #expect(try await play.postpone(lease, for: .seconds(60)) == .pending)
      #expect(try await play.claim().isEmpty)
      try await play.pass(.seconds(61))
      for failure in 1...2 {
        let lease = try await play.take(try await play.claim()[0])
        let status = try await play.retryLater(lease, after: .seconds(10), failureMax: 2)
        #expect(status == (failure == 1 ? .pending : .failed))
        #expect(try await play.row(claim.reviewID).dispatchFailures == failure)
        try await play.pass(.seconds(11))
      }
      let row = try await play.row(claim.reviewID)
      #expect(row.errorCode == "attempts_exhausted" && row.errorMessage == "no" && row.completedAt != nil)
      #expect(try await play.claim().isEmpty)
    },
    Story("what is back to pending has nothing of the claim and the lease") { play in
      let (claim, lease) = try await play.leased()
      #expect(try await play.postpone(lease) == .pending)
      let row = try await play.row(claim.reviewID)
      #expect(row.claimedAt == nil && row.publishedAt == nil && row.leaseOwner == nil && row.leaseExpiresAt == nil)
      #expect(row.attempt == 1 && row.statusReason == "outage" && row.errorCode == nil)
    },
    Story("a review left queued is leased by no one until its time, and its next holder asks first") { play in
      let (claim, lease) = try await play.leased()
      #expect(try await play.leaveQueued(lease, for: .seconds(60)) == .queued)
      #expect(try await play.lease([claim], by: play.other) == [.notDispatchable("waiting")])
      #expect(try await play.reap().isEmpty)
      try await play.pass(.seconds(61))
      let reaped = try await play.reap().claims
      guard case .leased(let review) = try await play.lease(reaped, by: play.other)[0] else {
        throw NoSuchReview(id: claim.reviewID)
      }
      #expect(review.unclearStarts == 1 && review.dispatchFailures == 1 && review.leaseLosses == 0)
    },
    Story("uncounted unclear starts never exhaust the attempts") { play in
      var (claim, lease) = try await play.leased()
      for _ in 0..<3 {
        #expect(
          try await play.leaveQueued(lease, for: .seconds(60), isCounted: false, failureMax: 2) == .queued)
        try await play.pass(.seconds(61))
        claim = try #require(try await play.reap().claims.first)
        lease = try await play.take(claim)
      }
      #expect(try await play.row(claim.reviewID).dispatchFailures == 0)
      #expect(try await play.leaveQueued(lease, isCounted: true, failureMax: 1) == .failed)
    },
    Story("a dropped lease is free at once, and its next holder asks first") { play in
      let (claim, lease) = try await play.leased()
      try await play.drop(lease)
      guard case .leased(let review) = try await play.lease([claim])[0] else { throw NoSuchReview(id: claim.reviewID) }
      #expect(review.unclearStarts == 1)
    },
    Story("what a worker says is stored without NUL and up to a size") { play in
      let (claim, _) = try await play.leased()
      #expect(try await play.record(claim.reviewID, version: "v\u{0}1") == .recorded)
      let message = String(repeating: "ü\u{0}", count: 9_000)
      let report = RunReport(status: .failed, attempt: 1, sessionId: "s\u{0}", errorMessage: message)
      #expect(try await play.ledger.report(claim.reviewID, report) == .applied)
      let row = try await play.row(claim.reviewID)
      #expect(row.agentVersion == "v1" && row.sessionId == "s")
      #expect(row.errorMessage == String(repeating: "ü", count: 4_096))
    },
  ]
}
