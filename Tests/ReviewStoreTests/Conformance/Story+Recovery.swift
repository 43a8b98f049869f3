import FoundationEssentials
import Primitives
import ReviewStore
import Reviews
import Testing

extension Story {
  static let recovery: [Story] = [
    Story("of two reapers one takes an abandoned review") { play in
      _ = try await play.submit(count: 3)
      _ = try await play.claim()
      try await play.kill(play.producer)
      #expect(try await play.reap(limit: 2).reasons == [.unpublished, .unpublished])
      #expect(try await play.reap(by: play.other).reasons == [.unpublished])
      #expect(try await play.reap().isEmpty)
    },
    Story("a reaper that dies between its update and its publish leaves the review to the next one") { play in
      _ = try await play.submit()
      let claim = try await play.claim()[0]
      try await play.kill(play.producer)
      let first = try await play.reap().claims
      #expect(first.ids == [claim.reviewID])
      try await play.kill(play.reaper)
      let second = try await play.reap(by: play.other)
      #expect(second.reasons == [.unpublished])
      #expect(try await play.row(claim.reviewID).republishCount == 2)
      #expect(try await play.owed(first).isEmpty)
      #expect(try await play.owed(second.claims) == second.claims)
    },
    Story("a living claimer has its grace, which does not grow") { play in
      _ = try await play.submit()
      _ = try await play.claim()
      for _ in 0..<3 {
        try await play.pass(.seconds(900))
        #expect(try await play.reap().isEmpty)
        try await play.pass(.seconds(101))
        #expect(try await play.reap().reasons == [.unpublished])
      }
    },
    Story("a claimer that has left is gone at once") { play in
      _ = try await play.submit()
      _ = try await play.claim()
      #expect(try await play.reap().isEmpty)
      try await play.ledger.leave(play.producer.id)
      #expect(try await play.reap().reasons == [.unpublished])
    },
    Story("a dead holder's lease is published again and counted, and at the last loss the review is failed") { play in
      let id = try await play.submit()
      var claim = try await play.claim()[0]
      for (loss, holder) in [play.consumer, play.other].enumerated() {
        _ = try await play.take(claim, by: holder)
        #expect(try await play.reap(failureMax: 2).isEmpty)
        try await play.kill(holder)
        let reaped = try await play.reap(failureMax: 2)
        #expect(try await play.row(id).leaseLosses == loss + 1)
        if let next = reaped.claims.first { claim = next }
        #expect(reaped.reasons == (loss == 0 ? [.leaseExpired] : []))
      }
      let row = try await play.row(id)
      #expect(row.status == .failed && row.errorCode == "attempts_exhausted")
      #expect(row.errorMessage == "2 consumers died while they prepared this review")
    },
    Story("if a holder dies that had isolated a review, the others that it had are not charged") { play in
      _ = try await play.submit()
      _ = try await play.submit()
      let claims = try await play.claim()
      for claim in claims { _ = try await play.take(claim, by: play.consumer) }
      let suspect = claims[0].reviewID
      try await play.ledger.isolate(suspect, by: play.consumer.id)
      try await play.kill(play.consumer)
      // As if each loss were the last that it may have.
      let reaped = try await play.reap(failureMax: 1)
      #expect(reaped.claims.map(\.reviewID) == [claims[1].reviewID])
      #expect(try await play.row(suspect).leaseLosses == 1)
      #expect(try await play.row(claims[1].reviewID).leaseLosses == 0)
    },
    Story("the next consumer charges a lost lease only to what the dead holder had isolated") { play in
      _ = try await play.submit()
      _ = try await play.submit()
      let claims = try await play.claim()
      for claim in claims { _ = try await play.take(claim, by: play.consumer) }
      try await play.ledger.isolate(claims[0].reviewID, by: play.consumer.id)
      try await play.kill(play.consumer)
      let losses = try await play.lease(claims, by: play.other).map { verdict in
        guard case .leased(let review) = verdict else { throw NoSuchReview(id: claims[0].reviewID) }
        return review.leaseLosses
      }
      #expect(losses == [1, 0])
    },
    Story("once its isolation has ended, the loss of a holder is charged to all that it has") { play in
      let (claim, _) = try await play.leased()
      let suspects = [UUID(), UUID()]
      for id in suspects { try await play.ledger.isolate(id, by: play.consumer.id) }
      for id in suspects { try await play.ledger.endIsolation(of: id, by: play.consumer.id) }
      try await play.kill(play.consumer)
      #expect(try await play.reap().reasons == [.leaseExpired])
      #expect(try await play.row(claim.reviewID).leaseLosses == 1)
    },
    Story("a lease of a living holder that has run out is published again, and not counted") { play in
      let (claim, _) = try await play.leased()
      try await play.pass(Play.leaseTime + .seconds(1))
      #expect(try await play.reap(failureMax: 1).reasons == [.leaseExpired])
      #expect(try await play.row(claim.reviewID).leaseLosses == 0)
    },
    Story("a dead holder's lease is had by the next consumer, and the loss is counted") { play in
      let (claim, _) = try await play.leased()
      try await play.kill(play.consumer)
      guard case .leased(let review) = try await play.lease([claim], by: play.other)[0] else {
        throw NoSuchReview(id: claim.reviewID)
      }
      #expect(review.leaseLosses == 1 && review.unclearStarts == 1)
    },
    Story("a holder that sends a heartbeat after it was missed is alive") { play in
      let (claim, _) = try await play.leased()
      try await play.ledger.lookAtHolders()
      try await play.pass(.seconds(50))
      #expect(try await play.lease([claim], by: play.other) == [.leasedElsewhere])
      #expect(try await play.reap().isEmpty)
    },
    Story("after a pause of the ledger each holder has two seconds to come back before it is judged") { play in
      let (claim, _) = try await play.leased()
      try await play.passSilently(.seconds(200))
      _ = try await play.ledger.heartbeat(play.reaper.id, Holder.Report())
      try await play.ledger.lookAtHolders()
      try await play.passSilently(.milliseconds(1_500), but: [play.reaper])
      #expect(try await play.lease([claim], by: play.other) == [.leasedElsewhere])
      #expect(try await play.reap().isEmpty)
      try await play.passSilently(.seconds(1), but: [play.reaper])
      #expect(try await play.lease([claim], by: play.other)[0].word == "leased")
    },
    Story("a missed holder is not dead before two seconds have passed") { play in
      let (claim, _) = try await play.leased()
      try await play.ledger.lookAtHolders()
      #expect(try await play.ledger.timeUntilDeathsAreSure(heartbeatTimeout: .seconds(100)) != nil)
      #expect(try await play.lease([claim], by: play.other) == [.leasedElsewhere])
      try await play.kill(play.consumer)
      #expect(try await play.lease([claim], by: play.other)[0].word == "leased")
    },
    Story("a missed holder of whose sessions none is left is dead a second sooner than one that has another session") {
      play in
      _ = try await play.submit(count: 2)
      let claims = try await play.claim()
      for (claim, holder) in zip(claims, [play.consumer, play.other]) {
        #expect(try await play.ledger.heartbeat(holder.id, Holder.Report()).isKnown)
        _ = try await play.take(claim, by: holder)
      }
      play.silence(play.consumer, play.other)
      try await play.world.endSessions(of: play.consumer.id)
      try await play.ledger.lookAtHolders()
      try await play.pass(.milliseconds(1_100))
      let verdicts = try await play.lease(claims, by: play.reaper)
      #expect(verdicts.map(\.word) == ["leased", "held"])
    },
    Story("a holder is known until it leaves, and a heartbeat does not enter it again") { play in
      let report = Holder.Report(unleasedTickets: 3, inFlight: 4)
      #expect(try await play.ledger.heartbeat(play.consumer.id, report).isKnown)
      try await play.ledger.leave(play.consumer.id)
      #expect(try await !play.ledger.heartbeat(play.consumer.id, report).isKnown)
      try await play.ledger.register(play.consumer)
      #expect(try await play.ledger.heartbeat(play.consumer.id, report).isKnown)
    },
    Story("holders that were silent for an hour are removed, unless something is theirs") { play in
      let (claim, _) = try await play.leased()
      try await play.kill(play.consumer)
      try await play.kill(play.other)
      try await play.pass(.seconds(3_700))
      try await play.ledger.pruneHolders()
      #expect(try await play.ledger.heartbeat(play.consumer.id, Holder.Report()).isKnown, "it has a lease")
      #expect(try await !play.ledger.heartbeat(play.other.id, Holder.Report()).isKnown)
      #expect(try await play.row(claim.reviewID).leaseOwner == play.consumer.id.text)
    },
    Story("a published ticket that nothing touches is stale after its time, which doubles up to an hour") { play in
      _ = try await play.submit()
      try await play.publish(try await play.claim())
      for wait in [1_500, 3_000, 3_600, 3_600] {
        try await play.pass(.seconds(wait - 100))
        #expect(try await play.reap().isEmpty)
        try await play.pass(.seconds(101))
        let reaped = try await play.reap()
        #expect(reaped.reasons == [.stale])
        try await play.publish(reaped.claims)
      }
    },
    Story("what is dispatched is never abandoned, whatever happens to the holder and the queue") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.record(claim.reviewID)
      try await play.kill(play.consumer)
      try await play.emptyQueue()
      try await play.pass(.seconds(100_000))
      #expect(try await play.reap().isEmpty)
    },
    Story("a page takes the oldest claims, so that what is taken anew never hides the rest") { play in
      _ = try await play.submit(count: 4)
      var claims: [Claim] = []
      for _ in 0..<4 { claims += try await play.claim(1) }
      try await play.kill(play.producer)
      #expect(try await play.reap(limit: 1).claims.ids == [claims[0].reviewID])
      try await play.kill(play.reaper)
      #expect(try await play.reap(by: play.other, limit: 1).claims.ids == [claims[1].reviewID])
    },
    Story("a pass of a reaper is recorded") { play in try await play.ledger.recordReaperRun() },
  ]

  static let rollCalls: [Story] = [
    Story("nothing is opened before a published ticket was missed for two seconds") { play in
      let open = { try await play.ledger.openRollCall(Play.queue, heartbeatTimeout: .seconds(100)).count }
      _ = try await play.submit()
      let claims = try await play.claim()
      try await play.pass(.seconds(10))
      #expect(try await open() == 0, "not published")
      try await play.publish(claims)
      #expect(try await open() == 0, "just published")
      try await play.pass(.seconds(3))
      #expect(try await open() == 1)
      #expect(try await open() == 1, "the one that is open waits to be seen")
      try await play.pass(.seconds(6))
      #expect(try await open() == 2)
    },
    Story("a ticket is lost when every consumer has answered without it, and not before") { play in
      _ = try await play.submit()
      try await play.publish(try await play.claim())
      try await play.pass(.seconds(3))
      let calls = try await play.ledger.openRollCall(Play.queue, heartbeatTimeout: .seconds(100))
      try await play.see(calls)
      #expect(try await play.answer(play.consumer) == 1)
      #expect(try await play.reap().isEmpty)
      #expect(try await play.answer(play.other) == 1)
      #expect(try await play.answer(play.other) == 0)
      let reaped = try await play.reap()
      #expect(reaped.reasons == [.lost])
      try await play.publish(reaped.claims)
      #expect(try await play.reap().isEmpty, "it was published after the roll call")
    },
    Story("a consumer's heartbeat says whether a roll call waits for its answer") { play in
      let isAsked = { try await play.ledger.heartbeat(play.consumer.id, Holder.Report()).isAsked }
      _ = try await play.submit()
      try await play.publish(try await play.claim())
      try await play.pass(.seconds(3))
      let calls = try await play.ledger.openRollCall(Play.queue, heartbeatTimeout: .seconds(100))
      #expect(try await !isAsked(), "not seen yet")
      try await play.see(calls)
      #expect(try await isAsked())
      _ = try await play.answer(play.consumer)
      #expect(try await !isAsked())
    },
    Story("a ticket that a consumer still has to decide on is not lost") { play in
      let ids = try await play.submit(count: 2)
      try await play.publish(try await play.claim())
      try await play.pass(.seconds(3))
      try await play.see(try await play.ledger.openRollCall(Play.queue, heartbeatTimeout: .seconds(100)))
      _ = try await play.answer(play.consumer, undecided: [ids[0]])
      _ = try await play.answer(play.other)
      #expect(try await play.reap().claims.ids == [ids[1]])
    },
    Story("a roll call that no empty queue has shown is not seen, and a consumer answers none") { play in
      _ = try await play.submit()
      try await play.publish(try await play.claim())
      try await play.pass(.seconds(3))
      let calls = try await play.ledger.openRollCall(Play.queue, heartbeatTimeout: .seconds(100))
      try await play.see(calls, isQueueEmpty: false)
      #expect(try await play.answer(play.consumer) == 0)
      // A review that was claimed later has been leased: the older tickets have left the queue.
      try await play.pass(.seconds(2))
      let now = try await play.ledger.now()
      let ahead = Holder.Report(leasedUpTo: now.shifted(by: .seconds(60)))
      #expect(try await play.ledger.heartbeat(play.other.id, ahead).isKnown)
      try await play.see(calls, isQueueEmpty: false)
      #expect(try await play.answer(play.consumer) == 0, "by a clock that was ahead")
      #expect(try await play.ledger.heartbeat(play.other.id, Holder.Report(leasedUpTo: now)).isKnown)
      try await play.see(calls, isQueueEmpty: false)
      #expect(try await play.answer(play.consumer) == 1)
    },
    Story("a consumer that came since the opening proves nothing by what was leased, and has to answer") { play in
      _ = try await play.submit()
      try await play.publish(try await play.claim())
      try await play.pass(.seconds(3))
      let calls = try await play.ledger.openRollCall(Play.queue, heartbeatTimeout: .seconds(100))
      try await play.pass(.seconds(2))
      let newcomer = Holder(role: "consume", host: "test", processID: 9)
      try await play.join(newcomer)
      let now = try await play.ledger.now()
      #expect(try await play.ledger.heartbeat(play.other.id, Holder.Report(leasedUpTo: now)).isKnown)
      try await play.see(calls, isQueueEmpty: false)
      #expect(try await play.answer(play.consumer) == 0)
      try await play.see(calls)
      #expect(try await play.answer(newcomer) == 1)
    },
    Story("a consumer that gave a delivery back answers nothing that was opened before") { play in
      _ = try await play.submit()
      try await play.publish(try await play.claim())
      try await play.pass(.seconds(3))
      try await play.see(try await play.ledger.openRollCall(Play.queue, heartbeatTimeout: .seconds(100)))
      let now = try await play.ledger.unansweredRollCalls(of: play.consumer.id, after: nil).now
      #expect(try await play.ledger.unansweredRollCalls(of: play.consumer.id, after: now).ids.isEmpty)
      #expect(try await play.answer(play.consumer) == 1)
    },
    Story("a consumer that dies leaves a roll call without its answer; the next one completes without it") { play in
      _ = try await play.submit()
      try await play.publish(try await play.claim())
      try await play.pass(.seconds(3))
      try await play.see(try await play.ledger.openRollCall(Play.queue, heartbeatTimeout: .seconds(100)))
      _ = try await play.answer(play.consumer)
      try await play.kill(play.other)
      #expect(try await play.reap().isEmpty, "its ticket may be in the queue again")
      try await play.see(try await play.ledger.openRollCall(Play.queue, heartbeatTimeout: .seconds(100)))
      _ = try await play.answer(play.consumer)
      #expect(try await play.reap().reasons == [.lost])
    },
    Story("a lease that is dropped makes every older proof void") { play in
      _ = try await play.submit()
      let claim = try await play.claim()[0]
      try await play.publish([claim])
      try await play.pass(.seconds(3))
      let calls = try await play.ledger.openRollCall(Play.queue, heartbeatTimeout: .seconds(100))
      let lease = try await play.take(claim)
      try await play.see(calls)
      for holder in [play.consumer, play.other] { _ = try await play.answer(holder) }
      try await play.drop(lease)
      #expect(try await play.reap().isEmpty)
    },
    Story("a roll call of another queue proves nothing") { play in
      _ = try await play.submit()
      try await play.publish(try await play.claim())
      try await play.pass(.seconds(3))
      try await play.see(try await play.ledger.openRollCall("another", heartbeatTimeout: .seconds(100)))
      for holder in [play.consumer, play.other] { #expect(try await play.answer(holder) == 1) }
      #expect(try await play.reap().isEmpty)
    },
    Story("old roll calls are removed") { play in
      _ = try await play.submit()
      try await play.publish(try await play.claim())
      try await play.emptyQueue()
      try await play.pass(.seconds(601))
      try await play.ledger.pruneRollCalls()
      #expect(try await play.reap().isEmpty)
    },
  ]
}

extension Play {
  func see(_ calls: [Int64], isQueueEmpty: Bool = true) async throws {
    try await ledger.seeRollCalls(calls, isQueueEmpty: isQueueEmpty, heartbeatTimeout: Self.times.heartbeatTimeout)
  }

  /// Answers what is asked, as a consumer does.
  /// - Returns: how many roll calls.
  func answer(_ holder: Holder, undecided: [UUID] = []) async throws -> Int {
    let ids = try await ledger.unansweredRollCalls(of: holder.id, after: nil).ids
    try await ledger.answerRollCalls(ids, by: holder.id, undecided: undecided)
    return ids.count
  }
}
