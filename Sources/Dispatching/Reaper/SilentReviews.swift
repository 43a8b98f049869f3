internal import Logging
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews
internal import Synchronization
internal import Telemetry
internal import WorkerAPI
internal import WorkerClient

/// Asks the worker about reviews that it should have reported on: dispatched but still queued, or running for long.
///
/// A few at once, each taken when it can be asked. A worker that is unavailable is probed with one question at a time.
struct SilentReviews: Sendable {
  private let ledger: any ReviewLedger
  private let worker: any Worker
  private let workerURL: String
  private let publisher: ClaimPublisher
  private let holder: Holder.ID
  private let holderState: HolderState
  private let times: ReapTimes
  private let lease: Duration
  private let metrics: BatonMetrics
  private let showsCircuit: Bool
  private let interval: Duration
  private let environment: DispatchEnvironment
  private let logger: Logger
  private let circuit: Circuit

  /// Questions that are asked at once.
  private static let questionsAtOnce = 16
  /// What taking a review and writing its answer down may cost besides the question.
  private static let margin: Duration = .seconds(5)

  init(
    _ dependencies: Reaper.Dependencies, worker: any Worker, holder: Holder.ID, policy: DispatchPolicy,
    interval: Duration, logger: Logger
  ) {
    ledger = dependencies.ledger
    self.worker = worker
    environment = dependencies.environment
    circuit = Circuit(name: "worker", clock: environment.clock, random: environment.random)
    workerURL = dependencies.workerURL
    publisher = dependencies.publisher
    self.holder = holder
    holderState = dependencies.holderState
    times = policy.reapTimes
    lease = policy.workerTimeout + Self.margin
    metrics = dependencies.metrics
    showsCircuit = dependencies.showsCircuit
    self.interval = interval
    self.logger = logger
  }

  /// Asks until the task is cancelled; questions under way are given up then. Nothing is taken while this process is not signed on.
  func run() async {
    await feed(while: { holderState.isSignedOn }) { _ in }.run { error in
      logger.error("cannot look for silent reviews; trying again until it works", metadata: ["error": "\(error)"])
    }
  }

  /// Asks about what is silent now, until the worker is unavailable, or the deadline has come.
  func askDue(until deadline: ContinuousClock.Instant) async throws -> ReapCounts {
    let counts = CountBox()
    try await feed { result in counts.add(result) }.drain(until: deadline)
    var total = counts.total
    total.silentLeft = try await ledger.silentCount(times, comingDueWithin: lease)
    return total
  }

  private final class CountBox: Sendable {
    private let counts = Mutex(ReapCounts())
    var total: ReapCounts { counts.withLock { $0 } }
    func add(_ result: BatonMetrics.ReconcileResult) { counts.withLock { $0.add(result) } }
  }

  private func feed(
    while mayTake: @escaping @Sendable () -> Bool = { true },
    _ count: @escaping @Sendable (BatonMetrics.ReconcileResult) -> Void
  ) -> SlotFeed<SilentReview> {
    SlotFeed(
      count: Self.questionsAtOnce, circuit: circuit, interval: interval,
      wakeup: Wakeup(clock: environment.clock), random: environment.random,
      take: { mayTake() ? try await ledger.takeSilent(times, limit: $0, for: lease) : [] },
      work: { await ask($0, count) }, onCircuit: { note(isOpen: $0) })
  }

  private func note(isOpen: Bool) {
    if showsCircuit { metrics.circuitOpen(.worker).set(isOpen ? 1 : 0) }
    if isOpen {
      logger.warning(
        "the worker does not answer; asking about one silent review at a time until it does",
        metadata: ["error": "\(circuit.reason ?? "none")"])
    } else {
      logger.notice("the worker answers again; asking about all silent reviews")
    }
  }

  // MARK: One review

  private func ask(
    _ review: SilentReview, _ count: @escaping @Sendable (BatonMetrics.ReconcileResult) -> Void
  ) async -> SlotFeed<SilentReview>.Outcome {
    let answer = await worker.status(of: review.reviewID)
    // Given up because this process ends: it is asked again soon, by another.
    if case .failed = answer, Task.isCancelled { return .unknown }
    // An answer is written down, also when this process ends.
    return await uncancelled { await conclude(review, answer, count) }
  }

  private func conclude(
    _ review: SilentReview, _ answer: StatusAnswer, _ count: (BatonMetrics.ReconcileResult) -> Void
  ) async -> SlotFeed<SilentReview>.Outcome {
    var outcome = SlotFeed<SilentReview>.Outcome.answered
    do {
      let evidence = try await ledger.weigh(answer, of: workerURL)
      if case .failed(let message) = evidence {
        outcome = .failed(message)
        logger.warning(
          "the worker could not be asked about a silent review; trying again",
          metadata: review.metadata(["error": "\(message)"]))
      }
      count(try await write(evidence, of: review))
    } catch {
      logger.warning(
        "the worker's answer about a silent review could not be written down; asking again soon",
        metadata: review.metadata(["error": "\(error)"]))
    }
    return outcome
  }

  private func write(
    _ evidence: WorkerEvidence, of review: SilentReview
  ) async throws -> BatonMetrics.ReconcileResult {
    let result = try await result(of: review, evidence)
    switch result {
    case .alive: try await ledger.recordAsked(review)
    case .unanswered:
      // Without an answer it stays due; an answer that is no evidence will not be another one soon.
      if case .failed = evidence { break }
      try await ledger.recordAsked(review)
    case .completed, .failed, .cancelled, .republished, .lost: break
    }
    metrics.reconciled(result).increment()
    logger.log(
      level: result == .lost ? .error : .info, "the worker was asked about a silent review",
      metadata: review.metadata(["was": "\(review.status.rawValue)", "result": "\(result.rawValue)"]))
    try await ledger.countReconciled([result.rawValue: 1])
    return result
  }

  private func result(
    of review: SilentReview, _ evidence: WorkerEvidence
  ) async throws -> BatonMetrics.ReconcileResult {
    switch evidence {
    case .known(let run) where run.attempt == review.attempt:
      try await ledger.rememberWorkerAnswers(workerURL)
      guard run.status.reviewStatus != .queued else { return .alive }
      if try await ledger.report(review.reviewID, RunReport(run)) == .applied {
        metrics.recordEnd(run.status.reviewStatus)
      }
      switch run.status.reviewStatus {
      case .completed: return .completed
      case .failed: return .failed
      case .cancelled: return .cancelled
      default: return .alive
      }
    case .known:
      // It knows another attempt, so it answers, and does not have this one.
      try await ledger.rememberWorkerAnswers(workerURL)
      return try await forget(review)
    // No evidence. A queued row may be started again, which an idempotent worker answers with the present status.
    case .unknown(isProven: false) where review.status != .queued: return .unanswered
    case .unknown: return try await forget(review)
    case .failed: return .unanswered
    }
  }

  /// The worker does not have it: a queued one is published again, a running one has been lost.
  private func forget(_ review: SilentReview) async throws -> BatonMetrics.ReconcileResult {
    if review.status == .running {
      let message = "the worker no longer knows this run"
      guard try await ledger.failLost(review, message: message) else { return .alive }
      metrics.ended(.failed).increment()
      return .lost
    }
    let claim = try await publisher.claiming(as: holder) { try await ledger.forgetDispatch(review, by: holder) }
    guard let claim else { return .alive }
    _ = await publisher.publish([claim])
    return .republished
  }
}

extension SilentReview {
  fileprivate func metadata(_ more: Logger.Metadata) -> Logger.Metadata {
    .review(reviewID, attempt: attempt, trace, more)
  }
}

extension RunReport {
  /// What a worker answered about a run, as if it had called back: without the details that a callback may not have either. They cannot be
  /// stored, and the status counts without them.
  init(_ run: RunStatus) {
    let usage = run.usage
    self.init(
      status: run.status.reviewStatus, attempt: run.attempt, sessionId: Self.name(run.sessionId),
      cliSessionId: Self.name(run.cliSessionId), errorMessage: run.errorMessage, model: Self.name(usage?.model),
      totalTokensIn: Self.amount(usage?.totalTokensIn), totalTokensOut: Self.amount(usage?.totalTokensOut),
      totalCostMicrousd: Self.amount(usage?.totalCostMicroUSD), gateResult: run.gateResult?.rawValue)
  }

  private static func name(_ text: String?) -> String? { text.flatMap { $0.isEmpty || !isName($0) ? nil : $0 } }

  private static func amount(_ number: Int64?) -> Int64? { number.flatMap { isAmount($0) ? $0 : nil } }
}

extension ReapCounts {
  fileprivate mutating func add(_ result: BatonMetrics.ReconcileResult) {
    switch result {
    case .alive, .completed, .failed, .cancelled: reconciled += 1
    case .republished: forgotten += 1
    case .lost: workerLost += 1
    case .unanswered: unanswered += 1
    }
  }
}
