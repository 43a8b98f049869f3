import Primitives
import ReviewStore
import Reviews
import Testing

extension Story {
  static let claims: [Story] = [
    Story("an owner never has more queued and running reviews than its limit") { play in
      let ids = try await play.submit(count: 5)
      let claims = try await play.claim(ownerLimit: 2)
      #expect(claims.count == 2)
      #expect(try await play.claim(ownerLimit: 2, by: play.reaper).isEmpty)
      _ = try await play.report(claims[0].reviewID, .running)
      #expect(try await play.claim(ownerLimit: 2).isEmpty, "a running review keeps its slot")
      _ = try await play.report(claims[0].reviewID, .completed)
      #expect(try await play.claim(ownerLimit: 2).count == 1)
      #expect(ids.count == 5)
    },
    Story("an owner's own limit wins over the default, also zero, until it is taken away") { play in
      _ = try await play.submit(count: 3, .org("two")) + play.submit(count: 3, .org("none"))
      try await play.ledger.setLimit(of: .org("two"), to: 2)
      try await play.ledger.setLimit(of: .org("none"), to: 0)
      #expect(try await play.claim().count == 2)
      try await play.ledger.setLimit(of: .org("none"), to: nil)
      #expect(try await play.claim().count == 3)
    },
    Story("a limit below what is active claims nothing, and takes nothing back") { play in
      _ = try await play.submit(count: 4)
      #expect(try await play.claim(ownerLimit: 3).count == 3)
      try await play.ledger.setLimit(of: Play.acme, to: 1)
      #expect(try await play.claim(ownerLimit: 3).isEmpty)
    },
    Story("a paused owner's reviews wait until it is resumed; what is queued goes on") { play in
      let (claim, _) = try await play.leased()
      _ = try await play.submit()
      #expect(try await play.ledger.setPaused(true, Play.acme))
      #expect(try await play.claim().isEmpty)
      #expect(try await play.record(claim.reviewID) == .recorded)
      #expect(try await play.ledger.setPaused(false, Play.acme))
      #expect(try await play.claim().count == 1)
      #expect(try await !play.ledger.setPaused(true, .org("unknown")))
    },
    Story("higher priority goes first, then what was available first") { play in
      let low = try await play.submit()
      let late = try await play.submit(priority: 5)
      let high = try await play.submit(priority: 9)
      #expect(try await play.claim(1).ids == [high])
      #expect(try await play.claim(1).ids == [late])
      #expect(try await play.claim(1).ids == [low])
    },
    Story("owners have turns: the one with more active reviews waits for the others") { play in
      _ = try await play.submit(count: 20, .org("busy"))
      let lone = try await play.submit(.org("lone"))
      let claims = try await play.claim(10)
      #expect(claims.count == 10 && claims.ids.contains(lone))
      let late = try await play.submit(count: 5, .org("late"))
      let next = try await play.claim(4)
      #expect(next.count == 4 && next.ids.isSubset(of: late))
    },
    Story("owners of the same name and another kind have slots of their own") { play in
      _ = try await play.submit(Owner(type: .user, id: "acme"))
      _ = try await play.submit(Owner(type: .org, id: "acme"))
      #expect(try await play.claim(ownerLimit: 1).count == 2)
    },
    Story("a delayed review is claimed when its time has come, and one held indefinitely when it is released") { play in
      let (delayed, held) = (try await play.submit(), try await play.submit())
      let now = try await play.ledger.now().shifted(by: play.world.shift)
      try await play.world.schedule(delayed, at: now.shifted(by: .seconds(100)))
      try await play.world.schedule(held, at: .infinity)
      #expect(try await play.claim().isEmpty)
      #expect(try await !play.ledger.nextDue().isNow)
      let wait = try #require(try await play.ledger.nextDue().delay)
      #expect(wait > .seconds(40) && wait <= .seconds(100))
      try await play.pass(.seconds(101))
      #expect(try await play.claim().ids == [delayed])
      #expect(try await play.ledger.nextDue().delay == nil)
      try await play.pass(.seconds(1_000_000))
      #expect(try await play.claim().isEmpty)
      try await play.world.schedule(held, at: now)
      #expect(try await play.ledger.nextDue().isNow)
      #expect(try await play.claim().ids == [held])
    },
    Story("a delayed review that has come due counts as overdue until a claim looks for it; others may leave it out") {
      play in
      let delayed = try await play.submit()
      let now = try await play.ledger.now().shifted(by: play.world.shift)
      try await play.world.schedule(delayed, at: now.shifted(by: .seconds(100)))
      #expect(try await play.claim().isEmpty)
      try await play.pass(.seconds(101))
      #expect(try await play.ledger.nextDue() == NextDue(isNow: true, delay: DelayedReviews.overdueWait))
      let other = try await play.submit(.org("other"))
      let claims = try await play.ledger.claim(
        limit: 100, ownerLimit: 20, by: play.producer.id, looksAtDelayed: false)
      #expect(claims.ids == [other])
      #expect(try await play.ledger.nextDue().delay == DelayedReviews.overdueWait)
      #expect(try await play.claim().ids == [delayed])
      #expect(try await play.ledger.nextDue() == NextDue(isNow: false, delay: nil))
    },
    Story("two claims of one review have different times") { play in
      _ = try await play.submit()
      let first = try await play.claim()
      try await play.unclaim(first)
      let second = try await play.claim()
      #expect(second[0].claimedAt > first[0].claimedAt)
      try await play.publish(first)
      #expect(try await play.row(first[0].reviewID).publishedAt == nil)
      #expect(try await play.owed(first).isEmpty)
      #expect(try await play.owed(second) == second)
      try await play.unclaim(first)
      #expect(try await play.row(first[0].reviewID).status == .queued)
    },
    Story("a claim that is given back keeps its place among the pending reviews") { play in
      let first = try await play.submit()
      let claim = try await play.claim()
      _ = try await play.submit()
      try await play.unclaim(claim)
      let row = try await play.row(first)
      #expect(row.claimedAt == nil && row.availableAt == row.createdAt)
      #expect(try await play.claim(1).ids == [first])
    },
    Story("a review that was postponed keeps its place among its owner's reviews, and is due when its delay is over") {
      play in
      let first = try await play.submit()
      let lease = try await play.take(try await play.claim()[0])
      let (second, third) = (try await play.submit(), try await play.submit())
      #expect(try await play.postpone(lease, for: .seconds(60)) == .pending)
      #expect(try await play.claim(1).ids == [second])
      try await play.pass(.seconds(61))
      #expect(try await play.claim(1).ids == [first], "it is older than the third")
      #expect(try await play.claim(1).ids == [third])
    },
    Story("what waits for its own target, or has failed, does not keep its place: its owner's other reviews have turns")
    { play in
      let (first, second) = (try await play.submit(), try await play.submit())
      #expect(try await play.postpone(try await play.take(try await play.claim(1)[0])) == .pending)
      let lease = try await play.take(try await play.claim(1)[0])
      #expect(lease.reviewID == first)
      #expect(try await play.postpone(lease, keepingPlace: false) == .pending)
      let other = try await play.take(try await play.claim(1)[0])
      #expect(other.reviewID == second)
      #expect(try await play.retryLater(other) == .pending)
      #expect(try await play.claim(1).ids == [first])
      #expect(try await play.claim(1).ids == [second])
    },
    Story("a new attempt has a place of its own: it goes behind what was submitted before") { play in
      let first = try await play.submit()
      let lease = try await play.take(try await play.claim()[0])
      #expect(try await play.postpone(lease) == .pending)
      _ = try await play.ledger.cancel(first)
      let second = try await play.submit()
      _ = try await play.ledger.retry(first)
      #expect(try await play.claim(1).ids == [second])
      #expect(try await play.claim(1).ids == [first])
    },
    Story("a claim whose review may have been started is not given back, so that its callbacks count") { play in
      let (claim, lease) = try await play.leased()
      #expect(try await play.leaveQueued(lease, for: .seconds(60)) == .queued)
      try await play.unclaim([claim])
      #expect(try await play.row(claim.reviewID).status == .queued)
      try await play.pass(.seconds(61))
      let again = try await play.reap().claims
      try await play.unclaim(again)
      #expect(try await play.row(claim.reviewID).status == .queued)
      #expect(try await play.report(claim.reviewID, .completed) == .applied)
    },
    Story("own claims are those without a ticket in use, the oldest first, up to a number") { play in
      let ids = try await play.submit(count: 3)
      var claims: [Claim] = []
      for _ in ids { claims += try await play.claim(1) }
      #expect(try await play.ownClaims() == claims)
      #expect(try await play.ownClaims(limit: 2) == Array(claims.prefix(2)))
      #expect(try await play.ownClaims(of: play.reaper).isEmpty)
      try await play.publish([claims[0]])
      _ = try await play.lease([claims[1]])
      #expect(try await play.ownClaims() == [claims[2]])
    },
    Story("a review has the trace of its submission, through every claim") { play in
      let id = try await play.submit()
      let claim = try await play.claim()[0]
      #expect(claim.reviewID == id)
      try await play.unclaim([claim])
      #expect(try await play.claim()[0].trace == claim.trace)
      #expect(try await play.ledger.apply(RunReport(status: .running), to: id).trace == claim.trace)
    },
    Story("empty batches are answered") { play in
      try await play.publish([])
      try await play.unclaim([])
      #expect(try await play.owed([]).isEmpty)
      #expect(try await play.lease([]).isEmpty)
      #expect(try await play.ledger.stillLeased([], by: play.consumer.id).isEmpty)
      #expect(try await play.ledger.recordDispatched([], by: play.consumer.id).isEmpty)
    },
    Story("a higher limit for all owners lets those be claimed from that were full") { play in
      try await play.ledger.noteOwnerLimit(1)
      _ = try await play.submit(count: 3)
      #expect(try await play.claim(ownerLimit: 1).count == 1)
      #expect(try await play.claim(ownerLimit: 1).isEmpty)
      try await play.ledger.noteOwnerLimit(2)
      #expect(try await play.claim(ownerLimit: 2).count == 1)
      #expect(try await play.ledger.visitMissed(after: nil, ownerLimit: 2).found == 0)
    },
  ]
}
