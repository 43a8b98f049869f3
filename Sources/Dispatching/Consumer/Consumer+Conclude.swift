internal import CrashPoints
internal import Logging
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews
internal import Spans
internal import Synchronization
internal import Telemetry

extension Consumer {
  /// Writes how an attempt ended, then settles the deliveries that stand for the review. While Postgres is unreachable, they are held.
  func conclude(_ outcome: AttemptOutcome, _ attempt: Attempt) async {
    let write = RowWrite(outcome, of: attempt)
    let verdict: RowVerdict
    if let statement = write.statementName {
      verdict = await withSpan(.record, in: attempt.trace, attempt.spanAttributes.with(.statement(statement))) { _ in
        await perform(write, attempt)
      }
    } else {
      verdict = await perform(write, attempt)
    }
    if verdict == .recorded { CrashPoint.recorded.reached() }
    if Spans.isEnabled { ActiveSpan.current?.note(outcome, verdict, of: attempt) }
    let deliveries = inFlight.end(attempt.lease)
    let settlement = Settlement(outcome, write, verdict)
    if case .written(let status) = verdict { metrics.recordEnd(status) }
    if case .dispatched = outcome { recordDelay(of: attempt) }
    logger.log(level: settlement.level, "\(settlement.message)", metadata: attempt.metadata)
    // A settlement makes room for a delivery: while the worker is unavailable, that would only be postponed until the next look. When the probe
    // has succeeded, there is room for all.
    if consumption.pause == nil, circuit.openFor != nil || consumption.isProbing && circuit.outage() == nil {
      await watchOnce()
    }
    settle(deliveries, settlement.settlement, settlement.counted)
  }

  /// Each of the two times by one clock: until the lease by the database's, from then on by this process's.
  private func recordDelay(of attempt: Attempt) {
    guard let review = attempt.review else { return }
    let delay = review.leasedAt.since(review.claimedAt) + (environment.now - attempt.leasedAt)
    metrics.dispatchDelaySeconds.record(seconds: delay)
  }

  private func perform(_ write: RowWrite, _ attempt: Attempt) async -> RowVerdict {
    let (lease, failureMax) = (attempt.lease, policy.failureMax)
    switch write {
    case .none: return .overtaken
    case .record(let agentVersion, let report, let prepared):
      let record = DispatchRecord(
        reviewID: lease.reviewID, attempt: lease.attempt, agentVersion: agentVersion, prepared: prepared)
      return await self.record(record, report)
    case .postpone(let reason, let delay, let keepsPlace):
      let delay = policy.duration(delay, environment)
      return await untilWritten {
        try await ledger.postpone(lease, reason: reason, for: delay, keepingPlace: keepsPlace)
      }
    case .retryLater(let message, let delay):
      let delay = policy.duration(delay, environment)
      return await untilWritten {
        try await ledger.retryLater(lease, message: message, after: delay, failureMax: failureMax)
      }
    case .leaveQueued(let message, let delay, let isCounted):
      let delay = policy.duration(delay, environment)
      return await untilWritten {
        try await ledger.leaveQueued(
          lease, message: message, for: delay, isCounted: isCounted, failureMax: failureMax)
      }
    case .fail(let code, let message):
      return await untilWritten { try await ledger.fail(lease, code: code, message: message) }
    }
  }

  /// Records the dispatch; what cannot be recorded is the reaper's.
  private func record(_ record: DispatchRecord, _ report: RunReport?) async -> RowVerdict {
    // One whose row has held up its batch is recorded apart from then on.
    let isAlone = Mutex(false)
    let isRecorded = await untilItWorks("recording a dispatch") {
      let answer: RecordAnswer
      do {
        answer =
          isAlone.withLock { $0 } ? try await recordEach([record])[0].get() : try await records.submit(record)
      } catch let fault as RowFault {
        isAlone.withLock { $0 = true }
        throw fault
      }
      if answer == .locked { throw RowLocked(reviewID: record.reviewID) }
      if answer == .cancelled { try await ledger.addCancel(of: record.reviewID, attempt: record.attempt) }
      if let report, try await ledger.report(record.reviewID, report) == .applied { metrics.recordEnd(report.status) }
      return true
    }
    return isRecorded == nil ? .notWritten : .recorded
  }

  /// - Parameter statement: answers the row's new status; nil if the lease was no longer this one.
  private func untilWritten(_ statement: @Sendable () async throws -> ReviewStatus?) async -> RowVerdict {
    switch await untilItWorks("writing the outcome of an attempt", statement) {
    case .some(let status?): .written(status)
    case .some(nil): .overtaken
    case nil: .notWritten
    }
  }

  /// Repeats a statement until it succeeds, Postgres refuses it, this process has drained for too long, or the deliveries that wait for it
  /// have been held for as long as they may be.
  /// - Returns: nil if it was given up.
  func untilItWorks<Result: Sendable>(
    _ what: String, _ statement: @Sendable () async throws -> Result
  ) async -> Result? {
    let deadline = environment.now + DispatchPolicy.holdMax
    let goesOn = { [self] (error: any Error) in
      if LedgerFaultKind(of: error).isRefusal {
        logger.error("Postgres refuses a statement", metadata: ["while": "\(what)", "error": "\(error)"])
        return false
      }
      return environment.now < min(drainDeadline ?? deadline, deadline)
    }
    return await databaseOutage.untilItWorks(what, while: goesOn, statement)
  }
}
