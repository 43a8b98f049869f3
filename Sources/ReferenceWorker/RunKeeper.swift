internal import FoundationEssentials
internal import Logging
internal import Resilience
internal import Reviews
internal import WorkerAPI

/// Holds the ledger, and hands out the work that follows from it: agents to run and callbacks to send.
///
/// The jobs are taken by ``ReferenceWorker``, one child task each, so that no task outlives the worker.
actor RunKeeper {
  /// Work for a task of its own.
  enum Job: Sendable {
    case runAgent(RunKey)
    /// Send the callbacks of a review, in order, until none waits.
    case sendCallbacks(UUID)
  }

  /// At most one job for every live agent, and one for every review with callbacks.
  nonisolated let jobs: AsyncStream<Job>
  private let newJob: AsyncStream<Job>.Continuation
  private var ledger: RunLedger
  private var outbox = Outbox()
  private var stops: [RunKey: Wakeup] = [:]
  private let sendsCallbacks: Bool
  private let now: @Sendable () -> Timestamp
  private let logger: Logger
  private let changed = Wakeup()

  init(
    concurrency: Int, eventCountMax: Int, sendsCallbacks: Bool,
    now: @escaping @Sendable () -> Timestamp = {
      Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
    }, logger: Logger
  ) {
    ledger = RunLedger(concurrency: concurrency, eventCountMax: eventCountMax)
    self.sendsCallbacks = sendsCallbacks
    self.now = now
    self.logger = logger
    (jobs, newJob) = AsyncStream.makeStream(of: Job.self)
  }

  // MARK: For the routes

  func start(_ request: StartRequest, body: [UInt8]) -> RunLedger.Verdict {
    let (verdict, actions) = ledger.start(Run.Order(request: request, body: body), at: now())
    perform(actions)
    return verdict
  }

  func cancel(_ reviewID: UUID, _ request: CancelRequest) -> Bool {
    let (success, actions) = ledger.cancel(reviewID, upTo: request.attempt, reason: request.reason, at: now())
    perform(actions)
    return success
  }

  func status(_ reviewID: UUID) -> RunStatus? { ledger.run(reviewID)?.status }

  func events(_ reviewID: UUID) -> [RunEvent]? { ledger.run(reviewID)?.events.events }

  // MARK: For the agents

  /// What an agent is to do, and the wake-up that ends it; nil where the run has ended meanwhile.
  func order(_ key: RunKey) -> (Run.Order, stop: Wakeup)? {
    guard let order = ledger.order(key), let stop = stops[key] else { return nil }
    return (order, stop)
  }

  func record(_ line: AgentLine, of key: RunKey) { perform(ledger.record(line, of: key, at: now())) }

  func timeOut(_ key: RunKey, minutes: Int) { perform(ledger.stop(key, for: .timedOut(minutes: minutes))) }

  func agentEnded(_ key: RunKey, _ exit: AgentExit) {
    stops[key] = nil
    perform(ledger.agentEnded(key, exit, at: now()))
    logger.info(
      "agent ended", metadata: ["review": "\(key)", "state": "\(ledger.run(key.reviewID)?.state.rawValue ?? "")"])
    changed.wake()
  }

  // MARK: For the callbacks

  func nextCallback(_ reviewID: UUID) -> Outbox.Entry? {
    defer { changed.wake() }
    return outbox.next(reviewID)
  }

  func settleCallback(_ reviewID: UUID) { outbox.settle(reviewID) }

  // MARK: For the end

  /// Begins no agent any more; waits for those that run, then ends them, and gives their callbacks a while.
  func drain(within limit: Duration, callbacksWithin callbackLimit: Duration) async {
    ledger.drain()
    await wait(until: .now + limit) { ledger.liveCount == 0 }
    for key in ledger.liveKeys { perform(ledger.stop(key, for: .shutdown)) }
    await wait(until: nil) { ledger.liveCount == 0 }
    await wait(until: .now + callbackLimit) { outbox.isEmpty }
    newJob.finish()
  }

  private func wait(until deadline: ContinuousClock.Instant?, _ condition: () -> Bool) async {
    while !condition() {
      guard deadline.map({ $0 > .now }) ?? true, (try? await changed.wait(until: deadline)) != nil else { return }
    }
  }

  private func perform(_ actions: [RunLedger.Action]) {
    for action in actions {
      switch action {
      case .begin(let key):
        stops[key] = Wakeup()
        newJob.yield(.runAgent(key))
      case .stop(let key): stops[key]?.wake()
      case .report(let entry):
        if sendsCallbacks, outbox.add(entry) { newJob.yield(.sendCallbacks(entry.key.reviewID)) }
      }
    }
  }
}
