package import Logging
package import Platforms
package import Resilience
package import ReviewQueue
package import ReviewStore
internal import Reviews
internal import ServiceLifecycle
package import Telemetry

/// Takes deliveries, prepares their reviews, calls the worker, and settles.
///
/// One child task for each delivery; the prefetch bounds how many there are. A delivery is acknowledged only after its review's
/// dispatch has succeeded (I4). Otherwise it is
/// - rejected, after the row durably says what is next;
/// - requeued, if the row could not be written, or if Postgres did not say in time who has the review;
/// - rejected without a write, if Postgres refuses to lease this row; and if the review is leased elsewhere or locked, while too many such
///   deliveries wait here, or this one has waited for too long. The reaper publishes the review again when it is due. While this process shuts
///   down, a delivery that waits so is requeued;
/// - rejected after a copy of it was published: poison to the dead-letter queue, a ticket that outages have sent back too often to the same queue.
///
/// A delivery's path: `Consumer+Lease.swift` decides who has its review, `AttemptMachine` what an attempt does next,
/// `Consumer+Attempt.swift` does it, `Settlement` decides what becomes of the delivery.
package final class Consumer: Service {
  /// What a consumer works with.
  package struct Dependencies: Sendable {
    package var ledger: any ReviewLedger
    package var subscription: any TicketSubscription
    /// Publishes poison to the dead-letter queue, and fresh copies of tickets that outages have sent back too often.
    package var queue: any TicketQueue
    package var preparer: any PayloadPreparer
    package var worker: any Worker
    package var workerURL: String
    package var workerCircuit: Circuit
    package var keys: KeyWatch
    package var holderState: HolderState
    package var metrics: BatonMetrics
    package var environment: DispatchEnvironment

    package init(
      ledger: any ReviewLedger, subscription: any TicketSubscription, queue: any TicketQueue,
      preparer: any PayloadPreparer, worker: any Worker, workerURL: String, workerCircuit: Circuit,
      keys: KeyWatch, holderState: HolderState, metrics: BatonMetrics,
      environment: DispatchEnvironment = DispatchEnvironment()
    ) {
      self.ledger = ledger
      self.subscription = subscription
      self.queue = queue
      self.preparer = preparer
      self.worker = worker
      self.workerURL = workerURL
      self.workerCircuit = workerCircuit
      self.keys = keys
      self.holderState = holderState
      self.metrics = metrics
      self.environment = environment
    }
  }

  let ledger: any ReviewLedger
  let subscription: any TicketSubscription
  let queue: any TicketQueue
  let preparer: any PayloadPreparer
  let worker: any Worker
  let workerURL: String
  let circuit: Circuit
  let keys: KeyWatch
  let holderState: HolderState
  let metrics: BatonMetrics
  let environment: DispatchEnvironment
  let holder: Holder.ID
  let policy: DispatchPolicy
  let logger: Logger

  let inFlight = InFlightAttempts()
  let census: TicketCensus
  let entryLock = SharedExclusiveLock()
  let databaseOutage: DatabaseOutage
  let waitlist: LeaseWaitlist
  let leases: Batcher<Ticket, LeaseAnswer>
  let leaseChecks: Batcher<Lease, Bool>
  let records: Batcher<DispatchRecord, RecordAnswer>
  /// What ``records`` runs for a batch.
  let recordEach: @Sendable ([DispatchRecord]) async -> [Result<RecordAnswer, any Error>]
  let lease: @Sendable ([Ticket]) async throws -> [LeaseAnswer]
  let consumption: Consumption
  /// The phase of the drain, and the deadlines of preparations.
  let operations: TimedOperations<DrainSchedule.Phase>
  private let drainSchedule = DrainState()
  private let lastDispatch: LastDispatch
  private let faultAge = ConditionAge()

  package init(_ dependencies: Dependencies, holder: Holder.ID, policy: DispatchPolicy, logger: Logger) {
    ledger = dependencies.ledger
    subscription = dependencies.subscription
    queue = dependencies.queue
    preparer = dependencies.preparer
    worker = dependencies.worker
    workerURL = dependencies.workerURL
    circuit = dependencies.workerCircuit
    keys = dependencies.keys
    holderState = dependencies.holderState
    metrics = dependencies.metrics
    let environment = dependencies.environment
    self.environment = environment
    self.holder = holder
    self.policy = policy
    self.logger = logger
    census = TicketCensus(clock: environment.clock)
    databaseOutage = DatabaseOutage(environment: environment, logger: logger)
    consumption = Consumption(dependencies.subscription, environment: dependencies.environment, logger: logger)
    operations = TimedOperations(.running, clock: environment.clock)
    let ledger = ledger
    let lease: @Sendable ([Ticket]) async throws -> [LeaseAnswer] = { tickets in
      let start = environment.now
      return try await ledger.lease(
        tickets, by: holder, for: policy.leaseDuration, heartbeatTimeout: policy.heartbeatTimeout,
        failureMax: policy.failureMax
      ).map { LeaseAnswer(verdict: $0, since: start) }
    }
    self.lease = lease
    let leaseEach: @Sendable ([Ticket]) async -> [Result<LeaseAnswer, any Error>] = { tickets in
      await eachInHalves(tickets) { try await lease(Array($0)) }
    }
    waitlist = LeaseWaitlist(
      countMax: max(1, policy.prefetch / 4), ledger: ledger, heartbeatTimeout: policy.heartbeatTimeout,
      lease: leaseEach,
      environment: environment, logger: logger)
    leases = Batcher(maxBatch: 256, run: leaseEach)
    leaseChecks = Batcher(maxBatch: 256) {
      await eachInHalves($0) { try await ledger.stillLeased(Array($0), by: holder) }
    }
    let lastDispatch = LastDispatch()
    self.lastDispatch = lastDispatch
    let recordEach: @Sendable ([DispatchRecord]) async -> [Result<RecordAnswer, any Error>] = { records in
      await eachInHalves(records) { try await ledger.recordDispatched(Array($0), by: holder) }
    }
    self.recordEach = recordEach
    records = Batcher(maxBatch: 256) { records in
      lastDispatch.note(at: environment.now)
      return await recordEach(records)
    }
  }

  /// What the holder's heartbeat says of this consumer.
  package var report: Holder.Report {
    Holder.Report(
      unleasedTickets: inFlight.undecidedCount, inFlight: inFlight.count, leasedUpTo: inFlight.leasedUpTo)
  }

  /// What holds this consumer back, for its heartbeat.
  package var faults: [Holder.Fault] {
    var faults: [Holder.Fault] = []
    let now = environment.now
    if let workerOutage = circuit.outage() {
      faults.append(
        Holder.Fault(.circuit, target: "worker", for: now - workerOutage.since, reason: workerOutage.reason))
    }
    if let duration = databaseOutage.duration {
      faults.append(Holder.Fault(.databaseAway, for: duration))
    } else if let duration = faultAge.duration(of: fault != nil, now: now) {
      faults.append(Holder.Fault(.other, for: duration, reason: fault))
    }
    return faults
  }

  /// Since a worker last accepted a review; nil if none has.
  package var lastDispatchAge: Duration? { lastDispatch.age(at: environment.now) }

  /// What keeps this consumer from consuming, for `/readyz`; nil if nothing does.
  package var fault: String? {
    if let duration = databaseOutage.duration {
      return "Postgres has not answered for \(duration.components.seconds) s"
    }
    return keys.fault ?? consumption.fault
  }

  /// Why the worker cannot be called, for `/readyz`; nil if it can.
  package var workerFault: String? { circuit.outage() == nil ? nil : workerOutageReason }

  var workerOutageReason: String { "the worker is unavailable" + (circuit.reason.map { ": \($0)" } ?? "") }

  // MARK: Running

  /// How often a consumer that has not signed on yet looks whether it has.
  private static let signOnInterval: Duration = .milliseconds(20)

  /// Consumes until the service is shut down, then drains: what is in flight is finished, or postponed before
  /// BATON_DRAIN_TIMEOUT is over.
  package func run() async throws {
    // Before the first delivery, so that a process with a wrong key takes none.
    if await keys.look() != nil { await watchOnce() }
    while !holderState.hasSignedOn, !Task.isShuttingDownGracefully, !Task.isCancelled {
      try? await environment.sleep(for: Self.signOnInterval)
    }
    // Each says whether all that was to be consumed has been.
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        try await self.subscription.run()
        return false
      }
      group.addTask {
        await self.watch()
        return false
      }
      group.addTask {
        await self.lookForPostgres()
        return false
      }
      group.addTask {
        await self.askUnavailableWorker()
        return false
      }
      group.addTask {
        await self.answerRollCalls()
        return false
      }
      group.addTask {
        // Cancelled, as after the failure of a service: what waits for other processes ends as well.
        if (try? await gracefulShutdown()) != nil { await self.drain() } else { await self.waitlist.close() }
        return false
      }
      group.addTask {
        await self.consume()
        return true
      }
      // A subscription that fails ends what is in flight too: nothing can be settled any more.
      while try await group.next() == false {}
      group.cancelAll()
      try await group.waitForAll()
    }
  }

  private func consume() async {
    await withTaskExecutorPreference(environment.executor) {
      await withDiscardingTaskGroup { group in
        while let delivery = await subscription.next() {
          inFlight.received()
          census.received(delivery)
          group.addTask { await self.handle(delivery) }
        }
      }
    }
  }

  private func answerRollCalls() async {
    var answers = RollCallAnswers(
      ledger: ledger, subscription: subscription, census: census, holder: holder, holderState: holderState,
      environment: environment, logger: logger)
    await answers.run()
  }

  // MARK: Draining

  /// Whether this process is shutting down.
  var isDraining: Bool { operations.phase > .running }

  /// Until when what is in flight has to end; nil while this process is not shutting down.
  var drainDeadline: ContinuousClock.Instant? { drainSchedule.present?.end }

  /// Stops taking deliveries; what is in flight goes on, through the phases of ``DrainSchedule``.
  private func drain() async {
    let schedule = DrainSchedule(start: environment.now, policy: policy)
    logger.notice("draining", metadata: ["in_flight": "\(inFlight.count)"])
    drainSchedule.begin(schedule)
    operations.enter(.finishing)
    // Not waited for first: a broker or a Postgres that does not answer must not delay the phases.
    async let ended: Void = consumption.end()
    await waitlist.close()
    while let next = schedule.nextChange(after: environment.now) {
      operations.enter(schedule.phase(at: environment.now))
      // Until all that was in flight has ended.
      guard (try? await environment.sleep(until: next)) != nil else { return }
    }
    operations.enter(.over)
    await ended
  }
}
