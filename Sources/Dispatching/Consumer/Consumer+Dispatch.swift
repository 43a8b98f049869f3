internal import Logging
internal import Platforms
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews
internal import Telemetry
internal import WorkerAPI
internal import WorkerClient

extension Consumer {
  /// A review that has cost so many holders their life is prepared alone in its process: if it kills this one too, no
  /// bystander pays for it.
  private static let suspiciousLosses = 3
  /// Until a review that has come to such a process is claimed again, for another one.
  private static let aloneDelay: Duration = .seconds(1)
  /// Until a review whose token needs a key that is not here is tried again.
  private static let keyDelay: Duration = .seconds(60)
  /// If the lease is younger than this, the second look at the row is left out: the row was read just now.
  private static let freshness: Duration = .milliseconds(100)
  /// After waiting for permission to call for longer than this, the row is looked at again.
  private static let lookTime: Duration = .milliseconds(400)

  /// Prepares and dispatches a leased review, records the outcome, and settles its deliveries.
  func dispatch(_ leasedReview: LeasedReview, _ lease: Lease, _ trace: TraceContext) async {
    let leased = ContinuousClock.now
    var review = leasedReview
    if review.unclearStarts > 0, let ending = await askFirst(lease, &review) {
      return await conclude(ending, review, lease, trace)
    }
    // If a review is about to be prepared alone, this lease is handed back instead of held: if that review kills the process, every lease
    // that is held here counts as a loss.
    guard !gate.isWantedAlone else {
      return await conclude(
        .postponed("another review is prepared alone here", Self.aloneDelay), review, lease, trace)
    }
    let ending: Ending
    do {
      if review.leaseLosses >= Self.suspiciousLosses {
        ending = try await gate.withExclusive { [review] in await attempt(review, lease, trace, leased: leased) }
      } else {
        ending = try await gate.withShared { [review] in await attempt(review, lease, trace, leased: leased) }
      }
    } catch {
      // Cancelled while it waited for its turn.
      ending = .postponed("handed back at shutdown", .zero)
    }
    await conclude(ending, review, lease, trace)
  }

  /// How the attempt to dispatch a review ended.
  enum Ending: Sendable {
    /// The worker has it.
    case dispatched(agentVersion: String?, report: RunReport?, prepared: ContinuousClock.Instant)
    /// Cancelled, or leased by another consumer by now: the row says what is next.
    case overtaken
    case postponed(String, Duration)
    case retry(String)
    /// The worker may have it.
    case unclear(String, isCounted: Bool)
    /// This version cannot read the row.
    case unreadable(String)
    case failed(ErrorCode, String)
  }

  private func attempt(
    _ review: LeasedReview, _ lease: Lease, _ trace: TraceContext, leased: ContinuousClock.Instant
  ) async -> Ending {
    if let fault = keys.fault { return .postponed(fault, outageDelay()) }
    if let wait = workerIsOut() { return .postponed(outageReason, wait) }
    let payload: PreparedPayload
    switch await prepare(review, lease) {
    case .success(let ready): payload = ready
    case .failure(let ending): return ending.ending
    }
    let prepared = ContinuousClock.now
    if prepared - leased > Self.freshness, await !isStillWanted(lease) { return .overtaken }
    if let wait = await waitForAdmission() { return .postponed(outageReason, wait) }
    guard .now - leased < policy.callableTime else {
      return .postponed("its lease would end while the worker is called", outageDelay())
    }
    // Waiting for permission to call may have taken long, while another review probed the worker.
    if .now - prepared > Self.freshness + Self.lookTime, await !isStillWanted(lease) { return .overtaken }
    return await call(payload, lease, trace, prepared: prepared)
  }

  private struct NotPrepared: Error {
    var ending: Ending
  }

  private func prepare(_ review: LeasedReview, _ lease: Lease) async -> Result<PreparedPayload, NotPrepared> {
    let start = ContinuousClock.now
    let preparation = Task { () -> Result<PreparedPayload, PreparationError> in
      do throws(PreparationError) {
        return .success(try await preparer.prepare(review))
      } catch {
        return .failure(error)
      }
    }
    hand.preparing(lease, until: start + policy.preparationMax) { preparation.cancel() }
    let result = await preparation.value
    let interruption = hand.prepared(lease)
    metrics.prepareSeconds.record(seconds: .now - start)
    switch (result, interruption) {
    case (.success(let payload), _): return .success(payload)
    case (_, .shuttingDown): return .failure(NotPrepared(ending: .postponed("handed back at shutdown", .zero)))
    case (_, .tookTooLong):
      return .failure(NotPrepared(ending: .retry("preparing the payload took longer than \(policy.preparationMax)")))
    case (.failure(.permanent(let code, let message)), _):
      return .failure(NotPrepared(ending: .failed(code, message)))
    case (.failure(.transient(let message, let retryAfter?)), _):
      return .failure(NotPrepared(ending: .postponed(message, retryAfter)))
    case (.failure(.transient(let message, nil)), _): return .failure(NotPrepared(ending: .retry(message)))
    case (.failure(.outage(_, let message, let retryAfter)), _):
      return .failure(NotPrepared(ending: .postponed(message, retryAfter ?? outageDelay())))
    case (.failure(.keyMissing(let message)), _):
      // With a wrong key, this process takes nothing more, and another one has the review soon. With this row's key alone missing, the
      // review waits for the operator.
      let isWrong = await keys.look() != nil
      return .failure(NotPrepared(ending: .postponed(message, isWrong ? outageDelay() : Self.keyDelay)))
    }
  }

  /// Whether the row still wants this dispatch: not cancelled, no newer attempt, the lease still ours. Where Postgres does not
  /// answer, the lease is trusted: the worker's start is idempotent, and the record says how the row stands.
  private func isStillWanted(_ lease: Lease) async -> Bool {
    (try? await looks.submit(lease)) ?? true
  }

  private func call(
    _ payload: PreparedPayload, _ lease: Lease, _ trace: TraceContext, prepared: ContinuousClock.Instant
  ) async -> Ending {
    let start = ContinuousClock.now
    let outcome = await untilGivenUp(lease) {
      await worker.start(payload.body, reviewID: lease.reviewID, attempt: lease.attempt, trace: trace)
    }
    metrics.dispatchSeconds.record(seconds: .now - start)
    switch outcome {
    case .dispatched(let response):
      circuit.succeeded()
      return .dispatched(
        agentVersion: response.agentVersion ?? payload.agentVersion, report: await report(response, lease),
        prepared: prepared)
    case .unavailable(let message):
      circuit.failed(reason: message)
      return .postponed("the worker cannot be reached: \(message)", outageDelay())
    case .throttled(let retryAfter, let message):
      circuit.failed(retryAfter: retryAfter, reason: message)
      return .postponed("the worker throttles: \(message)", (retryAfter ?? .zero) + outageDelay())
    case .outage(let message):
      circuit.failed(reason: message)
      return .postponed("not an answer of the worker's own: \(message)", outageDelay())
    case .again(let message):
      circuit.failed(reason: message)
      return .postponed("the worker asks for it again: \(message)", outageDelay())
    case .refused(let message):
      // A refusal proves that the worker is up.
      circuit.succeeded()
      return .failed(.workerRejected, message)
    case .ambiguous(let message, let isAnswer):
      return await ask(lease, message, isAnswer: isAnswer, prepared)
    }
  }

  /// A call of the worker, which the end of the drain cancels.
  private func untilGivenUp<Answer: Sendable>(
    _ lease: Lease, _ call: @escaping @Sendable () async -> Answer
  ) async -> Answer {
    let calling = Task { await call() }
    hand.calling(lease) { calling.cancel() }
    return await calling.value
  }

  /// The worker may or may not have it: asks, instead of guessing (I2).
  private func ask(
    _ lease: Lease, _ message: String, isAnswer: Bool, _ prepared: ContinuousClock.Instant
  ) async -> Ending {
    if hand.hasGivenUpCalls { return .unclear("handed back at shutdown while the worker was called", isCounted: false) }
    switch await question(lease) {
    case .known(let run) where run.attempt == lease.attempt: return Self.dispatched(run, prepared)
    case .known: return .unclear("\(message); the worker has another attempt", isCounted: true)
    case .unknown(let isProven):
      // An unclear answer counts as a failed attempt, so that a broken worker exhausts the attempts. No answer does not count.
      return .unclear(
        "\(message); the worker does not know the review" + (isProven ? "" : ", as far as it can be asked"),
        isCounted: isProven || isAnswer)
    case .failed(let second):
      return .unclear("\(message); asked about it, the worker failed too: \(second)", isCounted: false)
    }
  }

  /// An earlier start of this attempt may have reached the worker: asks before it is repeated (I2).
  /// - Parameter review: its unclear starts are over if the worker says that it does not have the attempt.
  /// - Returns: how the dispatch ends; nil if the attempt may be started.
  private func askFirst(_ lease: Lease, _ review: inout LeasedReview) async -> Ending? {
    if workerIsOut() != nil { return .unclear(outageReason, isCounted: false) }
    if await waitForAdmission() != nil { return .unclear(outageReason, isCounted: false) }
    switch await question(lease) {
    case .known(let run) where run.attempt == lease.attempt: return Self.dispatched(run, .now)
    case .known, .unknown(isProven: true): review.unclearStarts = 0
    case .unknown(isProven: false): break
    case .failed(let message):
      return .unclear(
        "an earlier start may have succeeded, and the worker could not be asked: \(message)", isCounted: false)
    }
    return nil
  }

  /// Asks the worker about a review, and the circuit hears of it.
  private func question(_ lease: Lease) async -> WorkerEvidence {
    let answer = await untilGivenUp(lease) { await worker.status(of: lease.reviewID) }
    let evidence = (try? await store.weigh(answer, of: workerURL)) ?? .unknown(isProven: false)
    switch evidence {
    case .known:
      circuit.succeeded()
      await rememberWorkerAnswers()
    case .unknown: circuit.succeeded()
    case .failed(let message): circuit.failed(reason: message)
    }
    return evidence
  }

  /// The worker has the attempt, as it answered when it was asked.
  private static func dispatched(_ run: RunStatus, _ prepared: ContinuousClock.Instant) -> Ending {
    .dispatched(
      agentVersion: nil, report: run.status.reviewStatus == .queued ? nil : RunReport(run), prepared: prepared)
  }

  private func rememberWorkerAnswers() async {
    do {
      try await store.rememberWorkerAnswers(workerURL)
    } catch {
      logger.debug("not remembered that the worker answers", metadata: ["error": "\(error)"])
    }
  }

  /// A start that is answered with a later state than queued counts as a callback. An end is asked for once more, because the
  /// answer of a start lacks the usage and the result of the gate.
  private func report(_ response: StartResponse, _ lease: Lease) async -> RunReport? {
    let status = response.status.reviewStatus
    guard status != .queued else { return nil }
    if status.isTerminal,
      case .known(let run) = await untilGivenUp(lease, { await worker.status(of: lease.reviewID) }),
      run.attempt == lease.attempt, run.status.reviewStatus.isTerminal
    {
      await rememberWorkerAnswers()
      return RunReport(run)
    }
    return RunReport(status: status, attempt: lease.attempt)
  }

  // MARK: The worker's circuit

  var outageReason: String { "the worker is out" + (circuit.reason.map { ": \($0)" } ?? "") }

  private func outageDelay() -> Duration {
    policy.retry.base / 2 + policy.retry.delay(attempt: 1)
  }

  /// How long not to call a worker that is out; nil while it is not.
  private func workerIsOut() -> Duration? {
    guard case .open = circuit.state, let openFor = circuit.openFor else { return nil }
    return openFor + outageDelay()
  }

  /// Waits for permission to call: while another review probes the worker, its outcome decides.
  /// - Returns: nil with the permission; otherwise how long to stay away.
  private func waitForAdmission() async -> Duration? {
    let deadline = ContinuousClock.now + policy.workerTimeout
    while true {
      switch circuit.admit() {
      case .admitted, .probe: return nil
      case .refused:
        if let wait = workerIsOut() { return wait }
        guard .now < deadline, !hand.hasGivenUpCalls else { return outageDelay() }
        try? await Task.sleep(for: .milliseconds(20))
      }
    }
  }
}
