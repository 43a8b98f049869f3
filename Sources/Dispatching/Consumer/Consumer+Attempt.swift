internal import CrashPoints
internal import FoundationEssentials
internal import Logging
internal import Platforms
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews
internal import Spans
internal import Telemetry
internal import WorkerAPI
internal import WorkerClient

extension Consumer {
  /// An attempt, from its lease to the settlement of its deliveries.
  func run(_ attempt: Attempt) async {
    var machine = AttemptMachine(attempt, policy: policy)
    let first = machine.begin(isolationGroup: entryLock.exclusiveGroup)
    let outcome = await follow(&machine, first)
    await conclude(outcome, machine.attempt)
  }

  /// Does what the machine decides, until the attempt has an outcome.
  private func follow(_ machine: inout AttemptMachine, _ first: AttemptMachine.Action) async -> AttemptOutcome {
    var action = first
    while true {
      switch action {
      case .enter(let group): return await runInGroup(group, &machine)
      case .prepare:
        let attempt = machine.attempt
        let preparation = await withSpan(.prepare, in: attempt.trace, attempt.spanAttributes) { span in
          let preparation = await prepare(attempt)
          span.note(preparation)
          return preparation
        }
        action = machine.prepared(preparation, at: environment.now)
      case .confirm: action = machine.confirmed(isWanted: await isStillWanted(machine.attempt.lease))
      case .admit:
        let admission = await admission()
        action = machine.admitted(admission, at: environment.now)
      case .call(let payload):
        // A process that ends after a failure signs off at once: others may have the review, and the worker is asked about it.
        guard !Task.isCancelled else { return .postponedAtShutdown }
        let answer = await call(payload, machine.attempt)
        action = machine.called(answer, hasGivenUpCalls: hasGivenUpCalls)
      case .ask:
        let evidence = await ask(machine.attempt.lease)
        action = machine.asked(evidence, isolationGroup: entryLock.exclusiveGroup, at: environment.now)
      case .askForEnd: action = machine.askedForEnd(await askForEnd(machine.attempt.lease))
      case .conclude(let outcome): return outcome
      }
    }
  }

  // MARK: Enter

  /// Prepares among the other reviews, or in a group that is isolated from them.
  private func runInGroup(_ group: Int?, _ machine: inout AttemptMachine) async -> AttemptOutcome {
    do {
      guard let group else { return try await entryLock.withShared { await entered(&machine) } }
      return try await entryLock.withExclusive(sharedBy: group) { await isolated(&machine) }
    } catch {
      // Cancelled while it waited for its turn.
      return .postponedAtShutdown
    }
  }

  /// Prepares a suspect. The row of this process says so meanwhile: another review may be leased here for the moment until it is postponed, and
  /// has no part in it if the process ends.
  private func isolated(_ machine: inout AttemptMachine) async -> AttemptOutcome {
    let (id, holder) = (machine.attempt.lease.reviewID, machine.attempt.lease.holder)
    let isNoted: Void? = await untilItWorks("isolating a review") { try await ledger.isolate(id, by: holder) }
    guard isNoted != nil else {
      return .postponed("it could not be noted that this review is prepared apart", for: .short())
    }
    let outcome = await entered(&machine)
    // If this is given up, later losses of this process are charged to fewer reviews than they could be.
    _ = await untilItWorks("ending the isolation of a review") { try await ledger.endIsolation(of: id, by: holder) }
    return outcome
  }

  private func entered(_ machine: inout AttemptMachine) async -> AttemptOutcome {
    await follow(&machine, machine.entered(keyFault: keys.fault, worker: workerOutage ?? .admitted))
  }

  // MARK: Prepare

  private func prepare(_ attempt: Attempt) async -> AttemptMachine.Preparation {
    guard let review = attempt.review else { return .interruptedByShutdown }
    let start = environment.now
    let preparer = preparer
    // It computes: with others in flight, elsewhere, so that it holds up none of them. Alone it stays where it is.
    let (result, cancellation) = await operations.run(
      until: start + policy.preparationMax, orPhase: .postponing, isComputing: inFlight.count > 1
    ) { () -> Result<PreparedPayload, PreparationError> in
      do throws(PreparationError) {
        return .success(try await preparer.prepare(review))
      } catch {
        return .failure(error)
      }
    }
    metrics.prepareSeconds.record(seconds: environment.now - start)
    switch (result, cancellation) {
    case (.success(let payload), _):
      CrashPoint.prepared.reached()
      return .ready(payload)
    case (.failure, .deadline): return .tookTooLong
    case (.failure, .phase), (.failure, .caller): return .interruptedByShutdown
    case (.failure(let error), nil):
      guard case .keyMissing = error else { return .failed(error, isKeyWrong: false) }
      return .failed(error, isKeyWrong: await keys.look() != nil)
    }
  }

  // MARK: Confirm

  /// Whether the row still wants this dispatch: not cancelled, no newer attempt, the lease still this one. If Postgres does not
  /// answer, the lease is trusted as long as this process counts as alive. After that another may have taken it and started the review: the call
  /// waits for the answer.
  private func isStillWanted(_ lease: Lease) async -> Bool {
    let end = environment.now + DispatchPolicy.holdMax
    let answer = await databaseOutage.untilItWorks("looking at a lease") { _ in
      !holderState.countsAsAlive && environment.now < min(drainDeadline ?? end, end)
    } _: {
      try await leaseChecks.submit(lease)
    }
    return answer ?? holderState.countsAsAlive
  }

  // MARK: Admit

  /// What the circuit says while it is open; nil while it is not.
  private var workerOutage: AttemptMachine.Admission? {
    guard case .open = circuit.state, circuit.openFor != nil else { return nil }
    return .refused(reason: workerOutageReason)
  }

  /// Permission to call: while another review probes the worker, its outcome decides.
  private func admission() async -> AttemptMachine.Admission {
    let circuit = circuit
    var deadline: ContinuousClock.Instant?
    while true {
      switch circuit.admit() {
      case .admitted, .probe: return .admitted
      case .refused:
        if let workerOutage { return workerOutage }
        let end = deadline ?? environment.now + policy.workerTimeout
        deadline = end
        guard environment.now < end, !hasGivenUpCalls, !Task.isCancelled else {
          return .refused(reason: workerOutageReason)
        }
        _ = await operations.run(until: end, orPhase: .givingUpCalls) { try? await circuit.waitWhileProbed() }
      }
    }
  }

  // MARK: Call

  /// Whether no call to the worker is waited for any more.
  private var hasGivenUpCalls: Bool { operations.phase >= .givingUpCalls }

  private func call(_ payload: PreparedPayload, _ attempt: Attempt) async -> DispatchOutcome {
    let start = environment.now
    let (worker, lease, trace) = (worker, attempt.lease, attempt.trace)
    let (answer, _) = await operations.run(until: nil, orPhase: .givingUpCalls) {
      await worker.start(payload.body, reviewID: lease.reviewID, attempt: lease.attempt, trace: trace)
    }
    CrashPoint.answered.reached()
    metrics.dispatchSeconds.record(seconds: environment.now - start)
    switch answer {
    // A refusal proves that the worker is up.
    case .dispatched, .refused: circuit.succeeded()
    case .unavailable(let message), .outage(let message), .again(let message): circuit.failed(reason: message)
    case .throttled(let retryAfter, let message): circuit.failed(retryAfter: retryAfter, reason: message)
    // Says nothing about the worker yet: it is asked about the attempt next, and that answer counts.
    case .ambiguous: break
    }
    return answer
  }

  // MARK: Ask

  private func status(of lease: Lease) async -> StatusAnswer {
    let worker = worker
    return await operations.run(until: nil, orPhase: .givingUpCalls) { await worker.status(of: lease.reviewID) }.result
  }

  /// Asks the worker about a review, and records for the circuit whether it has answered.
  private func ask(_ lease: Lease) async -> WorkerEvidence {
    let answer = await status(of: lease)
    if case .known = answer { await rememberWorkerAnswers() }
    return await recordEvidence(answer)
  }

  /// What an answer proves, which is recorded for the circuit. One that cannot be weighed proves nothing: something else may have answered in the
  /// worker's place.
  func recordEvidence(_ answer: StatusAnswer) async -> WorkerEvidence {
    guard let evidence = try? await ledger.weigh(answer, of: workerURL) else {
      return .failed("its answer counts only together with earlier ones, which could not be read")
    }
    switch evidence {
    case .known, .unknown: circuit.succeeded()
    case .failed(let message): circuit.failed(reason: message)
    }
    return evidence
  }

  private func askForEnd(_ lease: Lease) async -> RunStatus? {
    guard case .known(let run) = await status(of: lease) else { return nil }
    await rememberWorkerAnswers()
    return run
  }

  private func rememberWorkerAnswers() async {
    do {
      try await ledger.rememberWorkerAnswers(workerURL)
    } catch {
      logger.debug("not remembered that the worker answers", metadata: ["error": "\(error)"])
    }
  }
}
