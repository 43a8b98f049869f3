import FoundationEssentials
import InMemoryReviewQueue
import InMemoryReviewStore
import Platforms
import Primitives
import Resilience
import ReviewQueue
import ReviewStore
import Reviews
import ServiceLifecycle
import Support
import Telemetry
import Testing
import WorkerAPI
import WorkerClient

@testable import Dispatching

@Suite("The consumer, with a queue and a ledger in memory", .timeLimit(.minutes(2)))
struct ConsumerTests {
  // MARK: What the row says before the worker is called

  @Test("each verdict of the row has its settlement, without a call to the worker")
  func verdicts() async throws {
    let stage = try await Stage(prefetch: 20)
    let ids = try await stage.publish(4)
    let ticket = try await stage.ticket(ids[1])
    // Cancelled; dispatched already; of an older attempt.
    _ = try await stage.ledger.cancel(ids[0])
    try await stage.lease(ids[1], by: stage.other)
    _ = try await stage.ledger.recordDispatched(
      [DispatchRecord(reviewID: ids[1], attempt: 1, agentVersion: nil, prepared: stage.clock.now)],
      by: stage.other.id)
    _ = try await stage.ledger.cancel(ids[2])
    _ = try await stage.ledger.retry(ids[2])
    // Of no review; and no ticket.
    let stranger = UUID()
    stage.queue.publish(body: Ticket(reviewID: stranger, attempt: 1, claimedAt: ticket.claimedAt).body)
    stage.queue.publish(body: Array("not a ticket".utf8))
    try await stage.consuming {
      try await stage.advance(until: "all are settled") { stage.subscription.settlements.count == 6 }
    }
    #expect(stage.subscription.settlements.count { $0 == .acknowledge } == 2, "the duplicate, and the one dispatched")
    #expect(stage.subscription.settlements.count { $0 == .reject } == 4)
    #expect(stage.worker.starts == [ids[3]])
    let letters = try await stage.queue.deadLetters(limit: 10)
    #expect(letters.compactMap(\.reviewId) == [stranger] && letters.count == 2)
  }

  @Test("a review that is cancelled while it is prepared is not sent to the worker")
  func cancelledWhilePrepared() async throws {
    let stage = try await Stage()
    let (id, clock) = (try await stage.publish(1)[0], stage.clock)
    let isPreparing = Mutexed(false)
    stage.preparer.onPrepare { _ in
      isPreparing.change { $0 = true }
      _ = try? await Wakeup(clock: clock).wait(until: clock.now + .seconds(3))
      return .success(.sample)
    }
    try await stage.consuming {
      try await stage.advance(until: "it is prepared") { isPreparing.value }
      _ = try await stage.ledger.cancel(id)
      try await stage.advance(until: "it is settled") { stage.subscription.settlements == [.reject] }
    }
    #expect(stage.worker.starts == [])
  }

  @Test("a review that another process has leased is waited for, and taken over when that process is dead")
  func held() async throws {
    let stage = try await Stage()
    let id = try await stage.publish(1)[0]
    try await stage.lease(id, by: stage.other)
    try await stage.consuming {
      try await stage.advance(by: .seconds(20))
      #expect(stage.consumer.report.unleasedTickets == 1 && stage.worker.starts == [])
      let killed = stage.clock.now
      stage.kill(stage.other)
      // It asks before it starts: the dead one may have called the worker.
      try await stage.advance(until: "it is dispatched") { stage.subscription.settlements == [.acknowledge] }
      #expect(stage.clock.now - killed < .seconds(5), "I6")
    }
    #expect(stage.worker.starts == [id] && stage.worker.questions == 1)
    #expect(try await stage.review(id).leaseLosses == 1)
  }

  @Test("a process that dies while it prepares a suspect is charged to it, and to no other review that it has leased")
  func suspectOfADeath() async throws {
    let stage = try await Stage { $0.failureMax = 2 }
    let suspect = try await stage.publish(1)[0]
    try await stage.lease(suspect, by: stage.other)
    let isPreparing = Mutexed(false)
    stage.preparer.onPrepare { _ in
      isPreparing.change { $0 = true }
      try? await stage.environment.sleep(for: .seconds(60))
      return .success(.sample)
    }
    try await stage.consuming {
      stage.kill(stage.other)
      try await stage.advance(until: "the suspect is prepared") { isPreparing.value }
      let other = try await stage.submit(1)[0]
      _ = try await stage.ledger.claim(limit: 1, ownerLimit: 1_000, by: stage.producer.id)
      try await stage.lease(other, by: stage.holder)
      stage.kill(stage.holder)
      try await stage.advance(by: .seconds(1))
      try await stage.ledger.lookAtHolders()
      try await stage.advance(by: .seconds(5))
      _ = try await stage.ledger.reapAbandoned(
        stage.policy.reapTimes, queue: stage.policy.queue, limit: 10, by: stage.producer.id, failureMax: 2)
      #expect(try await stage.review(suspect).status == .failed)
      #expect(try await stage.review(suspect).leaseLosses == 2)
      #expect(try await stage.review(other).status == .queued)
      #expect(try await stage.review(other).leaseLosses == 0)
    }
  }

  @Test("at most a quarter of the prefetch is held: the reaper covers the rest; at shutdown held tickets go back")
  func heldBound() async throws {
    let stage = try await Stage(prefetch: 8)
    for id in try await stage.publish(5) { try await stage.lease(id, by: stage.other) }
    try await stage.consuming {
      try await stage.advance(until: "three are rejected") { stage.subscription.settlements.count == 3 }
      try await stage.advance(by: .seconds(5))
      #expect(stage.consumer.report.unleasedTickets == 2)
    }
    #expect(stage.subscription.settlements == [.reject, .reject, .reject, .requeue, .requeue])
    #expect(try await stage.queue.status().messagesReady == 2)
  }

  @Test("two tickets of a review get their answers at once, and the second goes on first: the review is sent once")
  func answersOutOfOrder() async throws {
    let stage = try await Stage()
    let ids = try await stage.publish(2)
    let ticket = try await stage.ticket(ids[1])
    let other = try await stage.ticket(ids[0])
    stage.queue.purge()
    stage.queue.publish(body: other.body)
    stage.faults.keepNextAnswer(of: "lease")
    try await stage.consuming {
      // While the statement of one review has no answer, both tickets of the other wait for the next statement.
      try await stage.advance(until: "a lease has no answer yet") { stage.faults.keepsAnswer }
      stage.queue.publish(body: ticket.body)
      stage.queue.publish(body: ticket.body)
      try await stage.advance(until: "both wait") { stage.consumer.report.unleasedTickets == 3 }
      stage.executor.runsNewestFirst = true
      stage.faults.releaseAnswer()
      try await stage.advance(until: "all are settled") { stage.subscription.settlements.count == 3 }
      stage.executor.runsNewestFirst = false
    }
    #expect(stage.worker.starts.sorted() == ids.sorted(), "I2")
    #expect(stage.subscription.settlements == [.acknowledge, .acknowledge, .acknowledge])
  }

  @Test("a locked row delays only its own review")
  func locked() async throws {
    let stage = try await Stage()
    let ids = try await stage.publish(3)
    stage.ledger.lock([ids[1]])
    try await stage.consuming {
      try await stage.advance(until: "the others are dispatched") { stage.subscription.settlements.count == 2 }
      try await stage.advance(by: .seconds(30))
      #expect(Set(stage.worker.starts) == [ids[0], ids[2]])
      #expect(stage.consumer.fault == nil, "it is no outage")
      stage.ledger.unlock()
      try await stage.advance(until: "it is dispatched") { stage.subscription.settlements.count == 3 }
    }
    #expect(stage.subscription.settlements.allSatisfy { $0 == .acknowledge })
  }

  @Test("nothing is taken before this process has signed on: its leases would count as lost")
  func signsOnFirst() async throws {
    let stage = try await Stage(isSignedOn: false)
    let id = try await stage.publish(1)[0]
    try await stage.consuming {
      try await stage.advance(by: .seconds(2))
      #expect(stage.worker.starts.isEmpty && stage.consumer.report.inFlight == 0)
      stage.holderState.signedOn()
      try await stage.advance(until: "it is dispatched") { stage.worker.starts == [id] }
    }
  }

  @Test(
    "the age of a lease counts from its statement: an answer that comes late is checked before the worker is called")
  func lateLease() async throws {
    let stage = try await Stage()
    let id = try await stage.publish(1)[0]
    stage.faults.keepNextAnswer(of: "lease")
    try await stage.consuming {
      try await stage.advance(until: "the lease has no answer yet") { stage.faults.keepsAnswer }
      // The process stands still, counts as dead, and another one takes the review.
      try await stage.advance(by: .seconds(16))
      try await stage.ledger.leave(stage.holder.id)
      try await stage.lease(id, by: stage.other)
      stage.faults.releaseAnswer()
      // In steps so small that the preparation, which has threads of its own, takes no time.
      try await stage.advance(by: .nanoseconds(1), until: "it is settled") {
        stage.subscription.settlements == [.reject]
      }
    }
    #expect(stage.worker.starts == [], "I2")
  }

  @Test("a review that the ledger cannot lease costs only its own ticket")
  func rowFault() async throws {
    let stage = try await Stage()
    stage.faults["lease"] = .fail(.aboutRow)
    try await stage.publish(1)
    try await stage.consuming {
      try await stage.advance(until: "its ticket is rejected") { stage.subscription.settlements == [.reject] }
      #expect(stage.consumer.fault == nil, "it is no outage")
    }
  }

  @Test(
    "a consumer that cannot ask Postgres sends what it has as long as it counts as alive; after that others may have it, and it waits",
    arguments: [true, false])
  func trustedLease(isAlive: Bool) async throws {
    let stage = try await Stage(aliveFor: .seconds(15))
    let (clock, isStuck) = (stage.clock, Mutexed(true))
    stage.preparer.onPrepare { _ in
      while isStuck.value { try? await clock.sleep(for: .milliseconds(100)) }
      return .success(.sample)
    }
    let id = try await stage.publish(1)[0]
    try await stage.consuming {
      try await stage.advance(until: "it is prepared") { stage.consumer.report.inFlight == 1 }
      stage.faults["*"] = .fail(.unreachable)
      if !isAlive {
        stage.holderState.heard(since: stage.clock.now)
        let silence = stage.clock.now
        try await stage.advance(until: "it may count as dead") { stage.clock.now - silence > .seconds(1) }
      }
      isStuck.change { $0 = false }
      let start = stage.clock.now
      try await stage.advance(until: "it is sent, or waits") {
        // Heartbeats go on: what was prepared comes back after some steps of this clock, because preparing has threads of its own.
        if isAlive { stage.holderState.heard(since: stage.clock.now) }
        return stage.worker.starts == [id] || stage.clock.now - start > .seconds(5)
      }
      #expect(stage.worker.starts == (isAlive ? [id] : []))
      stage.faults["*"] = nil
      try await stage.advance(until: "it is recorded") { stage.subscription.settlements == [.acknowledge] }
      #expect(stage.worker.starts == [id])
    }
  }

  // MARK: A queue that is silent

  @Test("a consumer that gets nothing while messages are ready rebuilds its channel within 15 s (I9)")
  func silent() async throws {
    let stage = try await Stage()
    try await stage.consuming {
      try await stage.advance(until: "it consumes") { stage.subscription.channel.isOpen }
      stage.queue.stall()
      let id = try await stage.publish(1)[0]
      let start = stage.clock.now
      try await stage.advance(until: "the silence is noticed") { stage.consumer.fault != nil }
      try await stage.advance(until: "it is dispatched") { stage.subscription.settlements == [.acknowledge] }
      #expect(stage.clock.now - start <= .seconds(15))
      #expect(stage.subscription.channel.generation == 2)
      #expect(stage.worker.starts == [id])
    }
  }

  @Test("an empty queue, and one whose messages have no room, is no silence")
  func notSilent() async throws {
    let stage = try await Stage(prefetch: 2)
    stage.worker.onStart { id, attempt in
      try? await stage.environment.sleep(for: .seconds(50))
      return .accepted(id, attempt)
    }
    try await stage.consuming {
      try await stage.advance(by: .seconds(60))
      try await stage.publish(6)
      try await stage.advance(by: .seconds(40))
      #expect(stage.consumer.fault == nil)
      #expect(stage.subscription.channel.generation == 1)
      try await stage.advance(until: "all are dispatched") { stage.subscription.settlements.count == 6 }
    }
  }

  @Test("a delivery whose connection was lost is adopted by the attempt in flight: one start, and nothing is left")
  func adopted() async throws {
    let stage = try await Stage()
    let isReleased = Mutexed(false)
    stage.worker.onStart { id, attempt in
      while !isReleased.value, !Task.isCancelled { try? await stage.environment.sleep(for: .milliseconds(100)) }
      return .accepted(id, attempt)
    }
    let id = try await stage.publish(1)[0]
    try await stage.consuming {
      try await stage.advance(until: "it is called") { stage.worker.starts.count == 1 }
      stage.queue.disconnect()
      stage.queue.reconnect()
      try await stage.advance(until: "it is delivered again") { stage.subscription.channel.generation == 2 }
      try await stage.advance(until: "it is adopted") { stage.consumer.report.unleasedTickets == 0 }
      isReleased.change { $0 = true }
      try await stage.advance(until: "it is acknowledged") { stage.subscription.settlements == [.acknowledge] }
    }
    #expect(stage.worker.starts == [id])
    #expect(try await stage.queue.status().messagesReady == 0)
  }
}
