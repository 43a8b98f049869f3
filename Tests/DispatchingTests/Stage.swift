import FoundationEssentials
import InMemoryReviewQueue
import InMemoryReviewStore
import Logging
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

/// The real consumer, producer and reaper, with a queue and a ledger in memory and a clock that the test moves.
///
/// Their tasks run on one executor, one job at a time: the clock is moved only when none of them can do anything more.
struct Stage: Sendable {
  let executor = SerialTaskExecutor()
  let clock = TestClock()
  let faults = LedgerFaults()
  let ledger: InMemoryLedger
  let queue: InMemoryTicketQueue
  let subscription: RecordingSubscription
  let worker = FakeWorker()
  let preparer = FakePreparer()
  /// The consumer's.
  let holder = Holder(role: "consume", host: "here", processID: 1)
  /// The producer's and the reaper's.
  let producer = Holder(role: "produce", host: "here", processID: 2)
  /// Of a consumer on another machine.
  let other = Holder(role: "consume", host: "there", processID: 3)
  let holderState: HolderState
  let metrics: BatonMetrics
  let policy: DispatchPolicy
  let environment: DispatchEnvironment
  let log = CapturedLog()
  let claims: ClaimPublisher
  let consumer: Consumer
  /// The sessions of the holders that live.
  private let sessions: Mutexed<[Holder.ID: Task<Void, Never>]>

  /// - Parameters:
  ///   - aliveFor: how long the consumer counts as alive without a heartbeat.
  ///   - isSignedOn: whether the consumer's process has signed on.
  init(
    prefetch: Int = 8, aliveFor: Duration = .seconds(86_400), isSignedOn: Bool = true,
    policy change: (inout DispatchPolicy) -> Void = { _ in }
  ) async throws {
    var policy = DispatchPolicy()
    policy.prefetch = prefetch
    change(&policy)
    self.policy = policy
    let (clock, faults, start) = (clock, faults, clock.now)
    let time: @Sendable () -> Timestamp = {
      Timestamp(microseconds: 1_800_000_000_000_000 + Int64((clock.now - start) / .microseconds(1)))
    }
    environment = DispatchEnvironment(clock: clock, random: RandomSource(SeededGenerator(seed: 7)))
    ledger = InMemoryLedger(
      clock: time, monotonicClock: clock, random: environment.random, intercept: { faults.on($0) },
      answer: { statement in
        await faults.beforeAnswer(of: statement)
        return true
      })
    queue = InMemoryTicketQueue(clock: clock, time: time)
    subscription = RecordingSubscription(queue.subscribe(prefetch: prefetch), clock: clock)
    metrics = BatonMetrics(factory: PrometheusRegistry())
    claims = ClaimPublisher(
      queue: queue, ledger: ledger, environment: environment, metrics: metrics, logger: log.logger)
    holderState = .following(clock, timeout: aliveFor)
    if isSignedOn { holderState.signedOn() }
    consumer = Consumer(
      Consumer.Dependencies(
        ledger: ledger, subscription: subscription, queue: queue, preparer: preparer, worker: worker,
        workerURL: "http://worker",
        workerCircuit: Circuit(name: "worker", clock: clock, random: environment.random),
        keys: KeyWatch(clock: clock) { nil }, holderState: holderState, metrics: metrics, environment: environment),
      holder: holder.id, policy: policy, logger: log.logger)
    var sessions: [Holder.ID: Task<Void, Never>] = [:]
    for holder in [holder, producer, other] {
      let session = ledger.session(of: holder, hearing: [.reviewsDue, .cancelsDue]) { _ in }
      sessions[holder.id] = Task(executorPreference: executor) { await session.run() }
    }
    self.sessions = Mutexed(sessions)
    await executor.idle()
  }

  /// Kills a holder: its session ends, and its heartbeats.
  func kill(_ holder: Holder) {
    sessions.change { $0.removeValue(forKey: holder.id)?.cancel() }
  }

  // MARK: Reviews

  /// Inserts reviews of one owner.
  func submit(_ count: Int) async throws -> [UUID] {
    var ids: [UUID] = []
    for _ in 0..<count {
      let number = UInt32(truncatingIfNeeded: environment.random.next())
      ids.append(
        try await ledger.submit(
          NewReview(
            owner: Owner(type: .org, id: "acme"), platform: .github, repoFullName: "acme/app", prNumber: 1,
            prUrl: "https://github.com/acme/app/pull/1", prTitle: "Title", prAuthor: "ada", baseRef: "main",
            headRef: "topic", headSha: "sha\(number)")
        ).id)
    }
    return ids
  }

  /// Inserts and claims reviews, and publishes their tickets.
  @discardableResult
  func publish(_ count: Int) async throws -> [UUID] {
    let ids = try await submit(count)
    let claims = try await ledger.claim(limit: count, ownerLimit: 1_000, by: producer.id)
    #expect(claims.count == count)
    #expect(await queue.publish(claims.map { ($0.ticket, $0.trace) }).allSatisfy { $0 == .confirmed })
    try await ledger.recordPublished(claims)
    return ids
  }

  /// The ticket of a review as it is now.
  func ticket(_ id: UUID) async throws -> Ticket {
    let review = try #require(try await ledger.review(id))
    return Ticket(reviewID: id, attempt: review.attempt, claimedAt: try #require(review.claimedAt))
  }

  /// Leases a review for a holder.
  func lease(_ id: UUID, by holder: Holder, for duration: Duration = .seconds(600)) async throws {
    let verdicts = try await ledger.lease(
      [try await ticket(id)], by: holder.id, for: duration, heartbeatTimeout: policy.heartbeatTimeout,
      failureMax: policy.failureMax)
    guard case .leased = verdicts[0] else { throw NeverHappened(what: "a lease, and not \(verdicts[0])") }
  }

  func review(_ id: UUID) async throws -> Review { try #require(try await ledger.review(id)) }

  // MARK: Time

  /// Moves the clock on until a condition holds; holders that live send heartbeats.
  func advance(
    by step: Duration = .milliseconds(100), upTo limit: Duration = .seconds(600), until what: String,
    _ condition: () async throws -> Bool
  ) async throws {
    let end = clock.now + limit
    while true {
      let sessions = sessions.value
      for holder in [holder, producer, other] where sessions[holder.id] != nil {
        let report = holder.id == self.holder.id ? consumer.report : Holder.Report()
        guard let standing = try? await ledger.heartbeat(holder.id, report) else { continue }
        if holder.id == self.holder.id { holderState.isAsked = standing.isAsked }
      }
      await executor.idle()
      if try await condition() { return }
      guard clock.now < end else { throw NeverHappened(what: what) }
      clock.advance(by: step)
    }
  }

  func advance(by duration: Duration) async throws {
    let end = clock.now + duration
    try await advance(upTo: duration + .seconds(1), until: "the time has passed") { clock.now >= end }
  }

  // MARK: Services

  /// Runs services during the body; then they are asked to end.
  func running(_ services: any Service..., during body: (ServiceGroup) async throws -> Void) async throws {
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(services: services.map { .init(service: $0) }, logger: log.logger))
    let ended = Mutexed(false)
    let running = Task(executorPreference: executor) {
      defer { ended.change { $0 = true } }
      try await group.run()
    }
    do {
      try await body(group)
    } catch {
      running.cancel()
      throw error
    }
    await group.triggerGracefulShutdown()
    try await advance(upTo: policy.drainTimeout + .seconds(5), until: "the services have ended") { ended.value }
    try await running.value
  }

  /// Runs the consumer during the body; then it is asked to end.
  func consuming(_ body: () async throws -> Void) async throws {
    try await running(consumer) { _ in try await body() }
  }

  func reaper(interval: Duration = .seconds(2)) -> Reaper {
    Reaper(
      Reaper.Dependencies(
        ledger: ledger, recoveryLedger: ledger, publisher: claims, worker: worker, workerURL: "http://worker",
        holderState: .signedOn(clock), metrics: metrics, environment: environment),
      holder: producer.id, policy: policy, interval: interval, wakeup: Wakeup(clock: clock), logger: log.logger)
  }

  func producerService(
    _ state: HolderState? = nil, publisher: ClaimPublisher? = nil, wakeup: Wakeup? = nil
  ) -> Producer {
    Producer(
      ledger: ledger, publisher: publisher ?? claims, holder: producer.id, holderState: state ?? .signedOn(clock),
      wakeup: wakeup ?? Wakeup(clock: clock), policy: policy, environment: environment, metrics: metrics,
      logger: log.logger)
  }
}

/// A value that tasks share.
final class Mutexed<Value: Sendable>: Sendable {
  private let mutex: Mutex<Value>

  init(_ value: Value) { mutex = Mutex(value) }

  var value: Value { mutex.withLock { $0 } }
  func change(_ body: @Sendable (inout Value) -> Void) { mutex.withLock { body(&$0) } }
}

extension HolderState {
  /// Of a holder that stays signed on.
  static func signedOn(_ clock: TestClock, timeout: Duration = .seconds(86_400)) -> HolderState {
    let state = following(clock, timeout: timeout)
    state.signedOn()
    return state
  }

  /// With a session that is open, and has not signed on.
  static func following(_ clock: TestClock, timeout: Duration) -> HolderState {
    let state = HolderState(timeout: timeout, clock: clock)
    state.follow(OpenSession())
    return state
  }
}

/// A holder's session that is always open.
struct OpenSession: LedgerSession {
  var events: any AsyncSequence<LedgerEvent, Never> { AsyncStream<LedgerEvent> { $0.finish() } }
  var isOpen: Bool { true }
  func run() async {}
  func replace() {}
  func heartbeat(_ report: Holder.Report) async throws -> Holder.Standing {
    Holder.Standing(isKnown: true, isAsked: false)
  }
  func signOn() async throws {}
}
