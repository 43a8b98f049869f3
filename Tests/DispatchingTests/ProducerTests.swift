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

@Suite("The producer, with a queue and a ledger in memory", .timeLimit(.minutes(2)))
struct ProducerTests {
  @Test("what is due is claimed under the owner's limit and published, and more when slots become free (I3)")
  func claimed() async throws {
    let stage = try await Stage { $0.ownerLimit = 3 }
    let ids = try await stage.submit(5)
    try await stage.running(stage.producerService()) { _ in
      try await stage.advance(until: "three are in the queue") { try await stage.queue.status().messagesReady == 3 }
      try await stage.advance(until: "they are recorded as published") {
        try await stage.review(ids[0]).publishedAt != nil
      }
      try await stage.advance(by: .seconds(30))
      #expect(try await stage.queue.status().messagesReady == 3)
      _ = try await stage.ledger.cancel(ids[0])
      try await stage.advance(until: "another one is claimed") { try await stage.queue.status().messagesReady == 4 }
    }
    await stage.claims.close()
  }

  @Test("nothing is claimed while the queue holds as many messages as it is to hold (I8)")
  func depth() async throws {
    let stage = try await Stage { policy in
      policy.ownerLimit = 1_000
      policy.queueDepthMax = 30
    }
    try await stage.publish(30)
    let ids = try await stage.submit(20)
    try await stage.running(stage.producerService()) { _ in
      try await stage.advance(by: .seconds(20))
      #expect(try await stage.queue.status().messagesReady == 30)
      #expect(try await stage.review(ids[0]).status == .pending)
      stage.queue.purge()
      try await stage.advance(until: "the rest follows") { try await stage.queue.status().messagesReady == 20 }
    }
    await stage.claims.close()
  }

  @Test("what is on its way to the queue takes up its place there (I8)")
  func depthOnTheWay() async throws {
    let stage = try await Stage { policy in
      policy.ownerLimit = 1_000
      policy.queueDepthMax = 3
    }
    _ = try await stage.submit(12)
    let queue = SlowQueue(queue: stage.queue, clock: stage.clock, publishing: .seconds(1))
    let (producer, claims, _) = stage.producer(publishingTo: queue)
    try await stage.running(producer) { _ in
      try await stage.advance(by: .seconds(30))
      #expect(try await stage.queue.status().messagesReady == 3)
    }
    await claims.close()
  }

  @Test("a review that comes to an idle producer is published although the broker answers no question (I8 is known)")
  func unasked() async throws {
    let stage = try await Stage()
    let queue = SlowQueue(queue: stage.queue, clock: stage.clock, publishing: .zero)
    let (producer, claims, wakeup) = stage.producer(publishingTo: queue)
    try await stage.running(producer) { _ in
      for _ in 0..<3 {
        try await stage.advance(by: .seconds(20))
        queue.keepsStatus = true
        let ready = try await stage.queue.status().messagesReady
        for count in 1...2 {
          _ = try await stage.submit(1)
          wakeup.wake()
          try await stage.advance(upTo: .seconds(2), until: "it is published") {
            try await stage.queue.status().messagesReady == ready + count
          }
        }
        queue.keepsStatus = false
      }
    }
    await claims.close()
  }

  @Test("an idle producer claims nothing at its polls, and one finds a review of which no notification came")
  func polls() async throws {
    let stage = try await Stage()
    try await stage.running(stage.producerService()) { _ in
      try await stage.advance(by: .seconds(10))
      let (claims, polls) = (stage.faults.count(of: "claim_due"), stage.faults.count(of: "next_due"))
      try await stage.advance(by: .seconds(60))
      #expect(stage.faults.count(of: "claim_due") == claims)
      #expect(stage.faults.count(of: "next_due") >= polls + 10)
      _ = try await stage.submit(1)
      try await stage.advance(upTo: .seconds(6), until: "it is published") {
        try await stage.queue.status().messagesReady == 1
      }
    }
    await stage.claims.close()
  }

  @Test("a review is claimed while the confirms of others are outstanding, up to a number of batches")
  func overlappingPasses() async throws {
    let stage = try await Stage()
    let queue = SlowQueue(queue: stage.queue, clock: stage.clock, publishing: .seconds(8))
    let (producer, claims, wakeup) = stage.producer(publishingTo: queue)
    try await stage.running(producer) { _ in
      try await stage.advance(by: .seconds(1))
      var ids: [UUID] = []
      for _ in 0..<5 {
        ids += try await stage.submit(1)
        wakeup.wake()
        try await stage.advance(by: .milliseconds(200))
      }
      #expect(try await stage.queue.status().messagesReady == 0)
      for id in ids.prefix(4) { #expect(try await stage.review(id).status == .queued) }
      #expect(try await stage.review(ids[4]).status == .pending)
      try await stage.advance(until: "all are published") { try await stage.queue.status().messagesReady == 5 }
    }
    await claims.close()
  }

  @Test("a delayed review that comes due while another is being claimed is claimed soon, and not at the next poll")
  func dueDuringClaim() async throws {
    let stage = try await Stage()
    let ids = try await stage.submit(2)
    try await stage.delay(ids[0], by: .seconds(1))
    try await stage.delay(ids[1], by: .milliseconds(1_300))
    // Before it begins: its first claim may be over when the body does.
    stage.faults.keepNextAnswer(of: "claim_due")
    try await stage.running(stage.producerService()) { _ in
      try await stage.advance(until: "nothing is claimed yet") { stage.faults.keepsAnswer }
      stage.faults.releaseAnswer()
      try await stage.advance(by: .milliseconds(500))
      stage.faults.keepNextAnswer(of: "claim_due")
      try await stage.advance(until: "the first is claimed") { stage.faults.keepsAnswer }
      try await stage.advance(by: .milliseconds(500))
      stage.faults.releaseAnswer()
      try await stage.advance(upTo: .seconds(1), until: "both are published") {
        try await stage.queue.status().messagesReady == 2
      }
    }
    await stage.claims.close()
  }

  @Test("delayed reviews are claimed at their times, also while others keep the producer busy")
  func delayedAmongOthers() async throws {
    let stage = try await Stage { $0.ownerLimit = 1_000 }
    let wakeup = Wakeup(clock: stage.clock)
    let delayed = try await stage.submit(3)
    for (id, seconds) in zip(delayed, 1...) { try await stage.delay(id, by: .seconds(seconds)) }
    try await stage.running(stage.producerService(wakeup: wakeup)) { _ in
      for tenth in 1...35 {
        _ = try await stage.submit(1)
        wakeup.wake()
        try await stage.advance(by: .milliseconds(100))
        for (id, second) in zip(delayed, 1...) where tenth >= 10 * second + 3 {
          #expect(try await stage.review(id).status == .queued, "\(second) s, at \(tenth)")
        }
      }
    }
    await stage.claims.close()
  }

  @Test("the look for missed visits comes after the claims, and a claim does not wait for its answer")
  func looksAfterClaims() async throws {
    let stage = try await Stage()
    try await stage.running(stage.producerService()) { _ in
      try await stage.advance(by: .seconds(1))
      stage.faults.keepNextAnswer(of: "visit_missed")
      _ = try await stage.submit(1)
      try await stage.advance(upTo: .seconds(10), until: "it is published") {
        try await stage.queue.status().messagesReady == 1
      }
      try await stage.advance(until: "the look goes on") { stage.faults.keepsAnswer }
      stage.faults.releaseAnswer()
    }
    await stage.claims.close()
  }

  @Test(
    "the look for missed visits holds up no claim: not if it fails, and not if it fails slowly",
    arguments: ["note_owner_limit", "visit_missed"])
  func looksFail(_ statement: String) async throws {
    let stage = try await Stage()
    stage.faults[statement] = .fail(.busy)
    try await stage.running(stage.producerService()) { _ in
      _ = try await stage.submit(1)
      try await stage.advance(upTo: .seconds(10), until: "it is published") {
        try await stage.queue.status().messagesReady == 1
      }
    }
    #expect(stage.log.lines().count { $0.contains("cannot look for owners") } == 1)
    #expect(try await stage.producerService().runOnce() == Producer.Pass())
    await stage.claims.close()
  }

  @Test("a process that is not signed on, and one whose broker takes nothing, claims nothing")
  func nothing() async throws {
    let stage = try await Stage()
    let ids = try await stage.submit(2)
    let away = HolderState(timeout: .seconds(15), clock: stage.clock)
    try await stage.running(stage.producerService(away)) { _ in
      try await stage.advance(by: .seconds(20))
      #expect(try await stage.review(ids[0]).status == .pending)
      stage.queue.disconnect()
      away.follow(OpenSession())
      away.signedOn()
      try await stage.advance(by: .seconds(10))
      #expect(try await stage.review(ids[0]).status == .pending)
      stage.queue.reconnect()
      away.heard(since: stage.clock.now)
      stage.queue.block()
      try await stage.advance(by: .seconds(10))
      #expect(try await stage.review(ids[0]).status == .pending)
      stage.queue.unblock()
      away.heard(since: stage.clock.now)
      try await stage.advance(until: "they are published") { try await stage.queue.status().messagesReady == 2 }
    }
    await stage.claims.close()
  }

  @Test(
    "a ticket whose confirm was lost is published again by its claimer, whether the queue has it or not: one start",
    arguments: [false, true])
  func lostConfirms(isQueued: Bool) async throws {
    let stage = try await Stage()
    stage.queue.fault = { _ in .confirmLost(isQueued: isQueued) }
    _ = try await stage.submit(2)
    try await stage.running(stage.producerService()) { _ in
      try await stage.advance(until: "tickets are owed") { stage.claims.claimAllowance == 0 }
      stage.queue.fault = nil
      try await stage.advance(until: "nothing is owed") { stage.claims.claimAllowance > 0 }
      #expect(try await stage.queue.status().messagesReady >= 2)
    }
    await stage.claims.close()
    try await stage.consuming {
      try await stage.advance(until: "both are dispatched, and the queue is empty") {
        try await stage.queue.status().messagesReady == 0 && stage.worker.starts.count >= 2
          && stage.consumer.report.inFlight == 0
      }
    }
    #expect(stage.worker.starts.count == 2 && Set(stage.worker.starts).count == 2)
  }

  @Test("claims whose answer was lost are found and published")
  func lostAnswer() async throws {
    let stage = try await Stage()
    stage.faults["claim_due"] = .loseAnswer
    let ids = try await stage.submit(3)
    try await stage.running(stage.producerService()) { _ in
      try await stage.advance(until: "they are in the queue") { try await stage.queue.status().messagesReady == 3 }
      stage.faults["claim_due"] = nil
    }
    for id in ids { #expect(try await stage.review(id).republishCount == 0) }
    await stage.claims.close()
  }

  @Test("a pass claims and publishes what is due, and says how much")
  func once() async throws {
    let stage = try await Stage()
    _ = try await stage.submit(3)
    let pass = Task(executorPreference: stage.executor) { try await stage.producerService().runOnce() }
    // The record of the publications waits a moment.
    try await stage.advance(by: .seconds(1))
    #expect(try await pass.value == Producer.Pass(claimed: 3, published: 3))
  }
}

/// A queue whose tickets are on their way for a time, and that may keep its answers.
private final class SlowQueue: TicketQueue {
  private let queue: InMemoryTicketQueue
  private let clock: TestClock
  private let publishing: Duration
  private let keeps = Mutexed(false)
  private let released: Wakeup

  init(queue: InMemoryTicketQueue, clock: TestClock, publishing: Duration) {
    self.queue = queue
    self.clock = clock
    self.publishing = publishing
    released = Wakeup(clock: clock)
  }

  /// Whether it answers no question about its depth for now.
  var keepsStatus: Bool {
    get { keeps.value }
    set {
      keeps.change { $0 = newValue }
      if !newValue { released.wake() }
    }
  }

  var name: String { queue.name }
  var isConnected: Bool { queue.isConnected }
  var isBlocked: Bool { queue.isBlocked }

  func publish(_ tickets: [(ticket: Ticket, trace: TraceContext)]) async -> [TicketPublishOutcome] {
    if publishing > .zero { _ = try? await Wakeup(clock: clock).wait(until: clock.now + publishing) }
    return await queue.publish(tickets)
  }

  func republish(_ delivery: TicketDelivery) async -> TicketPublishOutcome { await queue.republish(delivery) }

  func publishDead(_ delivery: TicketDelivery, reason: String) async -> TicketPublishOutcome {
    await queue.publishDead(delivery, reason: reason)
  }

  func status() async throws -> TicketQueueStatus {
    while keepsStatus { try await released.wait(until: nil) }
    return try await queue.status()
  }

  func deadCount() async throws -> Int { try await queue.deadCount() }
  func deadLetters(limit: Int) async throws -> [DeadLetter] { try await queue.deadLetters(limit: limit) }
}

extension Stage {
  /// Has a pending review wait.
  fileprivate func delay(_ id: UUID, by duration: Duration) async throws {
    let now = try await ledger.now()
    ledger.schedule(id, at: Timestamp(microseconds: now.microseconds + Int64(duration / .microseconds(1))))
  }

  /// A producer of its own, which a wake-up wakes.
  fileprivate func producer(publishingTo queue: SlowQueue) -> (Producer, ClaimPublisher, Wakeup) {
    let claims = ClaimPublisher(
      queue: queue, ledger: ledger, environment: environment, metrics: metrics, logger: log.logger)
    let wakeup = Wakeup(clock: clock)
    return (producerService(publisher: claims, wakeup: wakeup), claims, wakeup)
  }
}
