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
import Synchronization
import Telemetry
import Testing
import WorkerAPI
import WorkerClient

@testable import Dispatching

@Suite("The reaper, with a queue and a ledger in memory", .timeLimit(.minutes(2)))
struct ReaperTests {
  // MARK: What is put on its way again

  @Test("a consumer that dies with a lease: another one has the review within seconds (I6)")
  func deadConsumer() async throws {
    let stage = try await Stage()
    let id = try await stage.publish(1)[0]
    try await stage.lease(id, by: stage.other)
    stage.queue.purge()
    try await stage.running(stage.reaper(), stage.consumer) { _ in
      try await stage.advance(by: .seconds(20))
      #expect(stage.worker.starts == [])
      let killed = stage.clock.now
      stage.kill(stage.other)
      try await stage.advance(until: "it is dispatched") { stage.worker.starts == [id] }
      #expect(stage.clock.now - killed < .seconds(5))
    }
    #expect(try await stage.review(id).leaseLosses == 1)
  }

  @Test("a producer that dies between claim and publish: the reaper publishes for it")
  func deadProducer() async throws {
    let stage = try await Stage()
    let id = try await stage.submit(1)[0]
    _ = try await stage.ledger.claim(limit: 1, ownerLimit: 20, by: stage.other.id)
    try await stage.running(stage.reaper()) { _ in
      try await stage.advance(by: .seconds(5))
      #expect(try await stage.queue.status().messagesReady == 0, "it lives, and may publish it yet")
      stage.kill(stage.other)
      // Long before BATON_PUBLISH_GRACE is over.
      try await stage.advance(upTo: .seconds(8), until: "it is published") {
        try await stage.queue.status().messagesReady == 1
      }
    }
    #expect(try await stage.review(id).republishCount == 1)
  }

  @Test("a lease whose time is over is ended, although its holder lives, and nothing counts against the review")
  func leaseOver() async throws {
    let stage = try await Stage()
    let id = try await stage.publish(1)[0]
    try await stage.lease(id, by: stage.other, for: .seconds(60))
    stage.queue.purge()
    try await stage.running(stage.reaper()) { _ in
      try await stage.advance(by: .seconds(50))
      #expect(try await stage.queue.status().messagesReady == 0)
      try await stage.advance(upTo: .seconds(15), until: "it is published again") {
        try await stage.queue.status().messagesReady == 1
      }
    }
    #expect(try await stage.review(id).leaseLosses == 0)
  }

  @Test("leases that end one after another are seen half a second later at the latest, once one has ended")
  func leasesOver() async throws {
    let stage = try await Stage()
    let ids = try await stage.publish(9)
    let start = stage.clock.now
    var firstSeen: ContinuousClock.Instant?
    for (index, id) in ids.enumerated() {
      try await stage.lease(id, by: stage.other, for: .milliseconds(20_000 + 300 * index))
    }
    stage.queue.purge()
    try await stage.running(stage.reaper()) { _ in
      for index in ids.indices {
        try await stage.advance(by: .milliseconds(50), until: "it is published again") {
          try await stage.queue.status().messagesReady > index
        }
        let end = start + .milliseconds(20_000 + 300 * index)
        #expect(index == 0 || stage.clock.now - max(end, firstSeen ?? end) < .milliseconds(700))
        if firstSeen == nil { firstSeen = stage.clock.now }
      }
    }
  }

  @Test("a review that its consumers die of is failed in the end, and not published again")
  func exhausted() async throws {
    let stage = try await Stage { $0.failureMax = 1 }
    let id = try await stage.publish(1)[0]
    try await stage.lease(id, by: stage.other)
    stage.queue.purge()
    try await stage.running(stage.reaper()) { _ in
      try await stage.advance(by: .seconds(1))
      stage.kill(stage.other)
      try await stage.advance(until: "it is failed") { try await stage.review(id).status == .failed }
    }
    #expect(try await stage.review(id).errorCode == ErrorCode.attemptsExhausted.rawValue)
    #expect(try await stage.queue.status().messagesReady == 0)
  }

  // MARK: The proof that a ticket is lost

  @Test("after a purge the tickets are proved lost, and their reviews dispatched within 30 s (I6)")
  func purged() async throws {
    let stage = try await Stage()
    let ids = try await stage.publish(5)
    stage.queue.purge()
    stage.kill(stage.other)
    let purged = stage.clock.now
    try await stage.running(stage.reaper(), stage.consumer) { _ in
      try await stage.advance(until: "all are dispatched") { stage.subscription.settlements.count == 5 }
      #expect(stage.clock.now - purged < .seconds(30))
    }
    #expect(Set(stage.worker.starts) == Set(ids))
    for id in ids { #expect(try await stage.review(id).republishCount == 1) }
  }

  @Test("a ticket that a consumer has, and could not decide on yet, is not lost")
  func undecided() async throws {
    let stage = try await Stage()
    stage.faults["lease"] = .fail(.unreachable)
    let id = try await stage.publish(1)[0]
    stage.kill(stage.other)
    try await stage.running(stage.reaper(), stage.consumer) { _ in
      try await stage.advance(by: .seconds(50))
      #expect(stage.consumer.report.unleasedTickets == 1)
      stage.faults["lease"] = nil
      try await stage.advance(until: "it is dispatched") { stage.subscription.settlements == [.acknowledge] }
    }
    #expect(try await stage.review(id).republishCount == 0)
    #expect(stage.worker.starts == [id])
  }

  @Test("while a living consumer does not answer, and while messages are ready, nothing is proved")
  func unproved() async throws {
    let stage = try await Stage()
    let id = try await stage.publish(1)[0]
    stage.queue.purge()
    // The other consumer lives, and does not answer.
    try await stage.running(stage.reaper(), stage.consumer) { _ in
      try await stage.advance(by: .seconds(60))
      #expect(try await stage.review(id).republishCount == 0)
      stage.kill(stage.other)
      try await stage.advance(until: "it is dispatched") { stage.worker.starts == [id] }
    }
    // A message that no consumer takes.
    let ready = try await Stage()
    ready.kill(ready.other)
    ready.kill(ready.holder)
    let waiting = try await ready.publish(1)[0]
    try await ready.running(ready.reaper()) { _ in
      try await ready.advance(by: .seconds(60))
      #expect(try await ready.review(waiting).republishCount == 0)
    }
  }

  @Test("a consumer that has given a delivery back remembers it while the ledger does not answer")
  func givenBackInAnOutage() async throws {
    let stage = try await Stage()
    _ = try await stage.publish(1)
    try await stage.advance(by: .seconds(3))
    let calls = try await stage.ledger.openRollCall(
      stage.policy.queue, heartbeatTimeout: stage.policy.heartbeatTimeout)
    try await stage.ledger.seeRollCalls(
      calls, isQueueEmpty: true, heartbeatTimeout: stage.policy.heartbeatTimeout)
    let census = TicketCensus(clock: stage.clock)
    let answers = RollCallAnswers(
      ledger: stage.ledger, subscription: stage.subscription, census: census, holder: stage.holder.id,
      holderState: stage.holderState, environment: stage.environment, logger: stage.log.logger)
    let running = Task(executorPreference: stage.executor) {
      var answers = answers
      await answers.run()
    }
    await stage.executor.idle()
    census.gaveBack()
    stage.faults.failNext(of: ["unanswered_roll_calls"], .unreachable)
    try await stage.advance(by: .seconds(5))
    #expect(stage.faults.count(of: "unanswered_roll_calls") > 2)
    let waiting = { try await stage.ledger.unansweredRollCalls(of: stage.holder.id, after: nil).ids }
    #expect(calls.count == 1)
    #expect(try await waiting() == calls, "its ticket may be in the queue again")
    // One that was opened since is answered.
    let next = try await stage.ledger.openRollCall(
      stage.policy.queue, heartbeatTimeout: stage.policy.heartbeatTimeout)
    try await stage.ledger.seeRollCalls(next, isQueueEmpty: true, heartbeatTimeout: stage.policy.heartbeatTimeout)
    try await stage.advance(upTo: .seconds(5), until: "the next is answered") { try await waiting() == calls }
    running.cancel()
    try await stage.advance(by: .seconds(1))
    await running.value
  }

  @Test("what the ledger refuses ends one step of a pass: the others follow", arguments: ["reap", "prune_holders"])
  func refusedStep(statement: String) async throws {
    let stage = try await Stage()
    stage.faults[statement] = .fail(.refused)
    try await stage.running(stage.reaper()) { _ in
      try await stage.advance(by: .seconds(130))
      #expect(stage.faults.count(of: statement) > 1)
      #expect(stage.faults.count(of: "prune_holders") > 1 && stage.faults.count(of: "prune_roll_calls") > 1)
      #expect((stage.faults.count(of: "reaper_ran") > 0) == (statement != "reap"))
    }
  }

  @Test("a ticket that no proof finds is published again when it is stale, and later each time")
  func stale() async throws {
    let stage = try await Stage { $0.staleAfter = .seconds(60) }
    let id = try await stage.publish(1)[0]
    stage.queue.purge()
    try await stage.running(stage.reaper()) { _ in
      // The other consumer lives and answers no roll call.
      try await stage.advance(by: .seconds(55))
      #expect(try await stage.review(id).republishCount == 0)
      try await stage.advance(upTo: .seconds(15), until: "it is stale") {
        try await stage.review(id).republishCount == 1
      }
      try await stage.advance(by: .seconds(110))
      #expect(try await stage.review(id).republishCount == 1)
      try await stage.advance(upTo: .seconds(30), until: "it is stale again") {
        try await stage.review(id).republishCount == 2
      }
    }
  }

  // MARK: Silent reviews

  private func dispatch(_ stage: Stage, _ status: ReviewStatus) async throws -> UUID {
    let id = try await stage.publish(1)[0]
    try await stage.lease(id, by: stage.other)
    _ = try await stage.ledger.recordDispatched(
      [DispatchRecord(reviewID: id, attempt: 1, agentVersion: nil, prepared: stage.clock.now)], by: stage.other.id)
    if status == .running { _ = try await stage.ledger.report(id, RunReport(status: .running, attempt: 1)) }
    stage.queue.purge()
    return id
  }

  @Test(
    "a review that was dispatched and is silent: the worker's word is taken",
    arguments: [RunState.queued, .running, .completed, .failed, .cancelled])
  func asked(_ state: RunState) async throws {
    let stage = try await Stage { $0.staleAfter = .seconds(60) }
    let id = try await dispatch(stage, .queued)
    stage.worker.onStatus { .known(RunStatus(reviewId: $0, attempt: 1, status: state)) }
    try await stage.running(stage.reaper()) { _ in
      try await stage.advance(by: .seconds(50))
      #expect(stage.worker.questions == 0)
      try await stage.advance(upTo: .seconds(30), until: "the worker is asked") { stage.worker.questions > 0 }
      try await stage.advance(by: .seconds(1))
      #expect(stage.worker.questions == 1)
    }
    #expect(try await stage.review(id).status == state.reviewStatus)
    #expect(try await stage.review(id).republishCount == 0)
  }

  @Test("what a worker answers has the bounds of a callback: without the details that break them, its status is taken")
  func answeredDetails() {
    let long = String(repeating: "s", count: RunReport.nameByteCountMax + 1)
    let id = UUID()
    let report = RunReport(
      RunStatus(
        reviewId: id, attempt: 2, status: .completed, sessionId: long, cliSessionId: "a\u{0}b", gateResult: .pass,
        usage: Usage(model: long, totalTokensIn: -1, totalTokensOut: 7, totalCostMicroUSD: .min)))
    #expect(report == RunReport(status: .completed, attempt: 2, totalTokensOut: 7, gateResult: "pass"))
    let name = String(long.dropLast())
    let usage = Usage(model: name, totalTokensIn: 0, totalTokensOut: .max, totalCostMicroUSD: 1)
    let whole = RunReport(
      RunStatus(reviewId: id, attempt: 1, status: .failed, sessionId: name, cliSessionId: "c", usage: usage))
    #expect(
      whole
        == RunReport(
          status: .failed, attempt: 1, sessionId: name, cliSessionId: "c", model: name, totalTokensIn: 0,
          totalTokensOut: .max, totalCostMicrousd: 1))
  }

  @Test("a review that the worker does not know is published again if it is queued; a running one is lost")
  func forgotten() async throws {
    for status in [ReviewStatus.queued, .running] {
      let stage = try await Stage { policy in
        policy.staleAfter = .seconds(60)
        policy.runningTimeout = .seconds(60)
      }
      try await stage.ledger.rememberWorkerAnswers("http://worker")
      let id = try await dispatch(stage, status)
      try await stage.running(stage.reaper()) { _ in
        try await stage.advance(upTo: .seconds(90), until: "the worker is asked") { stage.worker.questions > 0 }
        try await stage.advance(by: .seconds(1))
      }
      let review = try await stage.review(id)
      if status == .queued {
        #expect(review.status == .queued && review.republishCount == 1 && review.dispatchedAt == nil)
        #expect(try await stage.queue.status().messagesReady == 1)
      } else {
        #expect(review.status == .failed && review.errorCode == ErrorCode.workerLost.rawValue)
      }
    }
  }

  @Test("what a worker does not know is no evidence until it has once answered: a running review stays as it is")
  func noEvidence() async throws {
    let stage = try await Stage { $0.runningTimeout = .seconds(60) }
    let id = try await dispatch(stage, .running)
    try await stage.running(stage.reaper()) { _ in
      try await stage.advance(upTo: .seconds(90), until: "the worker is asked") { stage.worker.questions > 0 }
      try await stage.advance(by: .seconds(1))
    }
    #expect(try await stage.review(id).status == .running)
  }

  @Test("a worker that is unavailable is probed with one question at a time, and all are asked when it answers")
  func workerOut() async throws {
    let stage = try await Stage { $0.staleAfter = .seconds(60) }
    for _ in 0..<20 { _ = try await dispatch(stage, .queued) }
    stage.worker.onStatus { _ in .failed(message: "down") }
    try await stage.running(stage.reaper()) { _ in
      try await stage.advance(by: .seconds(120))
      let whileOut = stage.worker.questions
      #expect(whileOut >= 5 && whileOut < 40)
      stage.worker.onStatus { .known(RunStatus(reviewId: $0, attempt: 1, status: .completed)) }
      try await stage.advance(upTo: .seconds(120), until: "all are asked") { stage.worker.questions >= whileOut + 20 }
    }
  }

  // MARK: One pass

  @Test("a pass recovers first and then asks; it says what it did, and what it has left")
  func once() async throws {
    let stage = try await Stage { $0.staleAfter = .seconds(60) }
    let silent = try await dispatch(stage, .queued)
    let owed = try await stage.submit(1)[0]
    try await stage.advance(by: .seconds(70))
    _ = try await stage.ledger.claim(limit: 1, ownerLimit: 20, by: stage.other.id)
    stage.worker.onStatus { .known(RunStatus(reviewId: $0, attempt: 1, status: .completed)) }
    stage.kill(stage.other)
    let counts = Mutexed<ReapCounts?>(nil)
    let pass = Task(executorPreference: stage.executor) {
      let done = try await stage.reaper().runOnce(cancels: nil, askingMax: .seconds(10))
      counts.change { $0 = done }
    }
    try await stage.advance(upTo: .seconds(30), until: "the pass has ended") { counts.value != nil }
    try await pass.value
    #expect(counts.value?.unpublished == 1 && counts.value?.reconciled == 1 && counts.value?.silentLeft == 0)
    #expect(try await stage.review(silent).status == .completed)
    #expect(try await stage.review(owed).republishCount == 1)
  }

  @Test("without the broker nothing is taken that could not be published")
  func brokerAway() async throws {
    let stage = try await Stage()
    let id = try await stage.publish(1)[0]
    try await stage.lease(id, by: stage.other)
    stage.queue.disconnect()
    try await stage.running(stage.reaper()) { _ in
      try await stage.advance(by: .seconds(1))
      stage.kill(stage.other)
      try await stage.advance(by: .seconds(30))
      #expect(try await stage.review(id).republishCount == 0)
      stage.queue.reconnect()
      try await stage.advance(upTo: .seconds(5), until: "it is published again") {
        try await stage.review(id).republishCount == 1
      }
    }
  }
}
