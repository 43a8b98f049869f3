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

@Suite("The phases of a drain", .timeLimit(.minutes(2)))
struct ConsumerDrainTests {
  /// Answers after a time, or earlier if the task is cancelled.
  private static func later(_ stage: Stage, _ duration: Duration) async {
    try? await stage.environment.sleep(for: duration)
  }

  /// Has the worker accept each start after a time; a call that is given up has no clear answer.
  private func answers(after duration: Duration, _ stage: Stage) {
    stage.worker.onStart { id, _ in
      await Self.later(stage, duration)
      if Task.isCancelled { return .ambiguous(message: "given up") }
      return .dispatched(StartResponse(reviewId: id, status: .queued))
    }
  }

  @Test("what is still prepared when there is no time left for a call is handed back; nothing is started")
  func preparing() async throws {
    let stage = try await Stage()
    stage.preparer.onPrepare { _ in
      await Self.later(stage, .seconds(3_600))
      return .failure(.transient(message: "given up", retryAfter: nil))
    }
    let id = try await stage.publish(1)[0]
    try await stage.consuming {
      try await stage.advance(until: "it is prepared") { stage.consumer.report.inFlight == 1 }
    }
    let review = try await stage.review(id)
    #expect(review.status == .pending && review.dispatchFailures == 0)
    #expect(stage.worker.starts == [] && stage.subscription.settlements == [.reject])
    #expect(stage.log.lines().contains { $0.contains("handed back at shutdown") })
  }

  @Test("a broker that does not answer delays no phase: what is prepared is handed back when its time has come")
  func silentBroker() async throws {
    let stage = try await Stage()
    stage.preparer.onPrepare { _ in
      await Self.later(stage, .seconds(3_600))
      return .failure(.transient(message: "given up", retryAfter: nil))
    }
    let id = try await stage.publish(1)[0]
    stage.subscription.keepEnd()
    try await stage.running(stage.consumer) { group in
      try await stage.advance(until: "it is prepared") { stage.consumer.report.inFlight == 1 }
      let start = stage.clock.now
      await group.triggerGracefulShutdown()
      try await stage.advance(upTo: stage.policy.drainTimeout, until: "it is handed back") {
        stage.subscription.settlements == [.reject]
      }
      #expect(stage.clock.now - start < stage.policy.drainTimeout)
      stage.subscription.releaseEnd()
    }
    #expect(try await stage.review(id).status == .pending)
  }

  @Test("a preparation that ends in time is still dispatched")
  func prepared() async throws {
    let stage = try await Stage()
    stage.preparer.onPrepare { _ in
      await Self.later(stage, .seconds(5))
      return .success(.sample)
    }
    let id = try await stage.publish(1)[0]
    try await stage.consuming {
      try await stage.advance(until: "it is prepared") { stage.consumer.report.inFlight == 1 }
    }
    #expect(stage.worker.starts == [id] && stage.subscription.settlements == [.acknowledge])
  }

  @Test("an answer that comes while preparations are handed back is recorded")
  func answered() async throws {
    let stage = try await Stage()
    answers(after: .seconds(25), stage)
    let id = try await stage.publish(1)[0]
    try await stage.consuming {
      try await stage.advance(until: "it is called") { stage.worker.starts.count == 1 }
    }
    #expect(try await stage.review(id).dispatchedAt != nil)
    #expect(stage.subscription.settlements == [.acknowledge])
  }

  @Test("a call that is not answered is given up: the review stays queued, uncounted, as one that may run")
  func calling() async throws {
    let stage = try await Stage()
    answers(after: .seconds(3_600), stage)
    let id = try await stage.publish(1)[0]
    try await stage.consuming {
      try await stage.advance(until: "it is called") { stage.worker.starts.count == 1 }
    }
    let review = try await stage.review(id)
    #expect(review.status == .queued && review.dispatchFailures == 0 && review.dispatchedAt == nil)
    #expect(stage.worker.questions == 0, "it is not asked any more")
    #expect(stage.subscription.settlements == [.reject])
  }

  @Test("what cannot be written by the end of the drain goes back to the queue, unless the worker has the review")
  func notWritten() async throws {
    for isAccepted in [false, true] {
      let stage = try await Stage()
      stage.faults["record"] = .fail(.unreachable)
      stage.faults["postpone"] = .fail(.unreachable)
      stage.worker.onStart { id, _ in
        isAccepted ? .dispatched(StartResponse(reviewId: id, status: .queued)) : .unavailable(message: "down")
      }
      try await stage.publish(1)
      try await stage.consuming {
        try await stage.advance(until: "it is called") { stage.worker.starts.count == 1 }
        try await stage.advance(by: .seconds(2))
        #expect(stage.subscription.settlements == [])
      }
      #expect(stage.subscription.settlements == [isAccepted ? .acknowledge : .requeue])
      #expect(try await stage.queue.status().messagesReady == (isAccepted ? 0 : 1))
    }
  }

  @Test(
    "a consumer that is cancelled, or loses its queue for good, ends at once, whatever is in flight and without Postgres",
    arguments: [true, false])
  func cancelled(isCancelled: Bool) async throws {
    let stage = try await Stage()
    stage.preparer.onPrepare { _ in
      await Self.later(stage, .seconds(3_600))
      return .failure(.transient(message: "given up", retryAfter: nil))
    }
    let ids = try await stage.publish(3)
    try await stage.lease(ids[0], by: stage.other)
    let (ended, consumer) = (Mutexed(false), stage.consumer)
    let running = Task(executorPreference: stage.executor) {
      defer { ended.change { $0 = true } }
      try await consumer.run()
    }
    try await stage.advance(until: "two are prepared, and one is waited for") {
      stage.consumer.report.inFlight == 2 && stage.consumer.report.unleasedTickets == 1
    }
    // A cancelled task gets no answer.
    stage.faults["*"] = .fail(.unreachable)
    let start = stage.clock.now
    if isCancelled { running.cancel() } else { stage.subscription.fail() }
    try await stage.advance(by: .microseconds(10), until: "it has ended") { ended.value }
    #expect(stage.clock.now - start < .seconds(1))
    if isCancelled {
      try await running.value
    } else {
      await #expect(throws: QueueIsOther.self) { try await running.value }
    }
    #expect(stage.worker.starts == [])
    #expect(
      !stage.subscription.settlements.contains(.acknowledge)
        && stage.log.lines().allSatisfy { !$0.contains("Postgres does not answer") })
  }

  @Test("a dead letter that cannot be published ends with its task")
  func cancelledDeadLetter() async throws {
    let stage = try await Stage()
    stage.queue.fault = { _ in .notSent("closed") }
    stage.queue.publish(body: Array("not a ticket".utf8))
    let (ended, consumer) = (Mutexed(false), stage.consumer)
    let running = Task(executorPreference: stage.executor) {
      defer { ended.change { $0 = true } }
      try await consumer.run()
    }
    try await stage.advance(until: "it was tried") {
      stage.log.lines().contains { $0.contains("dead letter not confirmed") }
    }
    running.cancel()
    try await stage.advance(by: .microseconds(10), until: "it has ended") { ended.value }
  }

  @Test("no delivery is taken once the drain has begun")
  func nothingNew() async throws {
    let stage = try await Stage()
    answers(after: .seconds(10), stage)
    let first = try await stage.publish(1)[0]
    try await stage.running(stage.consumer) { group in
      try await stage.advance(until: "it is called") { stage.worker.starts.count == 1 }
      await group.triggerGracefulShutdown()
      try await stage.advance(by: .seconds(1))
      try await stage.publish(3)
    }
    #expect(stage.worker.starts == [first])
    #expect(try await stage.queue.status() == TicketQueueStatus(messagesReady: 3, consumers: 0))
  }
}
