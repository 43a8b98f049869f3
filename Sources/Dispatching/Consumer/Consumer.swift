package import AMQPClient
package import Logging
package import Platforms
package import Resilience
package import ReviewQueue
package import ReviewStore
internal import Reviews
internal import ServiceLifecycle
internal import Synchronization
package import Telemetry
package import WorkerClient

/// Takes deliveries, prepares their reviews, calls the worker, and settles.
///
/// One child task for each delivery; the prefetch bounds how many there are. A delivery is acknowledged only after its review's
/// dispatch has succeeded (I4); otherwise it is rejected, after the row durably says what is next.
package struct Consumer: Service {
  /// What a consumer works with.
  package struct Dependencies: Sendable {
    package var store: ReviewStore
    package var deliveries: AMQPConsumer
    /// Publishes poison.
    package var tickets: TicketPublisher
    package var preparer: any PayloadPreparer
    package var worker: WorkerClient
    package var workerURL: String
    package var workerCircuit: Circuit
    package var keys: KeyWatch
    package var holderState: HolderState
    package var metrics: BatonMetrics

    package init(
      store: ReviewStore, deliveries: AMQPConsumer, tickets: TicketPublisher, preparer: any PayloadPreparer,
      worker: WorkerClient, workerURL: String, workerCircuit: Circuit, keys: KeyWatch = KeyWatch { nil },
      holderState: HolderState, metrics: BatonMetrics
    ) {
      self.store = store
      self.deliveries = deliveries
      self.tickets = tickets
      self.preparer = preparer
      self.worker = worker
      self.workerURL = workerURL
      self.workerCircuit = workerCircuit
      self.keys = keys
      self.holderState = holderState
      self.metrics = metrics
    }
  }

  let store: ReviewStore
  let source: AMQPConsumer
  let tickets: TicketPublisher
  let preparer: any PayloadPreparer
  let worker: WorkerClient
  let workerURL: String
  let circuit: Circuit
  let keys: KeyWatch
  let holderState: HolderState
  let metrics: BatonMetrics
  let holder: Holder.ID
  let policy: DispatchPolicy
  let logger: Logger

  let hand = WorkInHand()
  let census = TicketCensus()
  let gate = SharedExclusiveLock()
  let outage: DatabaseOutage
  let held: HeldTickets
  let leases: Batcher<Ticket, LeaseVerdict>
  let looks: Batcher<Lease, Bool>
  let records: Batcher<DispatchRecord, RecordAnswer>
  private let lease: @Sendable ([Ticket]) async throws -> [LeaseVerdict]
  let flow: DeliveryFlow

  package init(_ dependencies: Dependencies, holder: Holder.ID, policy: DispatchPolicy, logger: Logger) {
    store = dependencies.store
    source = dependencies.deliveries
    tickets = dependencies.tickets
    preparer = dependencies.preparer
    worker = dependencies.worker
    workerURL = dependencies.workerURL
    circuit = dependencies.workerCircuit
    keys = dependencies.keys
    holderState = dependencies.holderState
    metrics = dependencies.metrics
    self.holder = holder
    self.policy = policy
    self.logger = logger
    outage = DatabaseOutage(logger: logger)
    flow = DeliveryFlow(source: source, queue: policy.queue, prefetch: policy.prefetch, logger: logger)
    let store = store
    let lease: @Sendable ([Ticket]) async throws -> [LeaseVerdict] = { tickets in
      try await store.lease(
        tickets, by: holder, for: policy.leaseDuration, holderTimeout: policy.holderTimeout,
        attemptMax: policy.attemptMax)
    }
    self.lease = lease
    let leaseEach: @Sendable ([Ticket]) async -> [Result<LeaseVerdict, any Error>] = { tickets in
      await results(tickets) { try await lease(Array($0)) }
    }
    held = HeldTickets(countMax: max(1, policy.prefetch / 4), store: store, lease: leaseEach, logger: logger)
    leases = Batcher(maxBatch: 256, run: leaseEach)
    looks = Batcher(maxBatch: 256) { await results($0) { try await store.stillLeased(Array($0), by: holder) } }
    records = Batcher(maxBatch: 256) { await results($0) { try await store.recordDispatched(Array($0), by: holder) } }
  }

  /// What the holder's heartbeat says of this consumer.
  package var report: Holder.Report {
    Holder.Report(
      unleasedTickets: hand.undecidedCount, inFlight: hand.count, leasedUpTo: hand.leasedUpTo)
  }

  /// What keeps this consumer from consuming, for `/readyz`; nil if all is well.
  package var fault: String? {
    if let outage = outage.duration { return "Postgres has not answered for \(outage.components.seconds) s" }
    return keys.fault ?? flow.fault
  }

  /// Why the worker cannot be called, for `/readyz`; nil if it can.
  package var workerFault: String? { circuit.openFor == nil ? nil : outageReason }

  /// Consumes until the service is shut down, then drains: what is in flight is finished, or handed back when
  /// BATON_DRAIN_TIMEOUT is over.
  package func run() async throws {
    // Before the first delivery, so that a process with a wrong key takes none.
    if await keys.look() != nil { await pauseConsuming() }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await source.run() }
      group.addTask { await watch() }
      group.addTask { await answerRollCalls() }
      await withGracefulShutdownHandler {
        await consume()
      } onGracefulShutdown: {
        Task { await drain() }
      }
      group.cancelAll()
      try await group.waitForAll()
    }
  }

  private func consume() async {
    await withDiscardingTaskGroup { group in
      for await delivery in source.deliveries {
        flow.received()
        hand.received()
        census.received(delivery)
        group.addTask { await handle(delivery) }
      }
    }
  }

  /// Stops taking deliveries; what is in flight continues.
  private func drain() async {
    let start = ContinuousClock.now
    logger.notice("draining", metadata: ["in_flight": "\(hand.count)"])
    flow.drain(until: start + policy.drainTimeout)
    await source.stopConsuming()
    await held.close()
    // Time for the worker's answers that are under way, and for settling what is handed back.
    let preparing = max(policy.drainTimeout - policy.workerTimeout - .seconds(1), policy.drainTimeout / 2)
    try? await Task.sleep(until: start + preparing)
    hand.interruptAll()
    // And for recording the outcome of those that the worker has not answered by then.
    try? await Task.sleep(until: start + policy.drainTimeout - min(.seconds(1), policy.drainTimeout / 4))
    hand.giveUpCalls()
  }

  private func answerRollCalls() async {
    var answers = RollCallAnswers(store: store, source: source, census: census, holder: holder, logger: logger)
    await answers.run()
  }

  /// Looks after what no single delivery sees.
  private func watch() async {
    while !Task.isCancelled {
      try? await Task.sleep(for: .seconds(1))
      hand.interruptOverdue(at: .now)
      metrics.inflightReviews.set(hand.count)
      metrics.circuitOpen(.worker).set(circuit.openFor == nil ? 0 : 1)
      await keys.keepLooking()
      await pauseConsuming()
    }
  }

  /// Stops or goes on taking deliveries, as things are now.
  private func pauseConsuming() async {
    await flow.keepFlowing(
      inFlight: hand.count + hand.undecidedCount, keyFault: keys.fault, isCircuitOpen: circuit.openFor != nil,
      circuitReason: circuit.reason, isHolderAway: holderState.isAway, outage: outage.duration,
      isDatabaseBack: { await self.isDatabaseBack() })
  }

  /// By a lease of nothing: it needs what every lease needs. Postgres may answer, and the table be locked for a migration.
  private func isDatabaseBack() async -> Bool {
    await outage.untilItWorks("looking for Postgres", while: { _ in false }) { try await lease([]) } != nil
  }
}

/// Gives each of a batch its own result. A batch that Postgres refuses because of a row is run again in halves: all but that row have
/// their results.
private func results<Input: Sendable, Output: Sendable>(
  _ inputs: some BidirectionalCollection<Input> & Sendable,
  _ run: @Sendable (ArraySlice<Input>) async throws -> [Output]
) async -> [Result<Output, any Error>] {
  let inputs = ArraySlice(inputs)
  do {
    return try await run(inputs).map { .success($0) }
  } catch {
    guard inputs.count > 1, DatabaseOutage.isAboutRow(error) else {
      return Array(repeating: .failure(error), count: inputs.count)
    }
    let middle = inputs.startIndex + inputs.count / 2
    return await results(inputs[..<middle], run) + results(inputs[middle...], run)
  }
}
