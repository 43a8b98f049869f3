internal import Logging
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews
internal import Telemetry

extension Consumer {
  /// Until a review that this version cannot read is claimed again, for a newer consumer: during a rolling upgrade.
  private static let unreadableDelay: Duration = .seconds(30)
  /// How often the wait after an unclear start doubles.
  private static let unclearDelayMax = 1

  /// Writes how the dispatch ended, then settles the deliveries that stand for the review.
  /// - Parameter review: nil if its row could not be read.
  func conclude(_ ending: Ending, _ review: LeasedReview?, _ lease: Lease, _ trace: TraceContext) async {
    let failures = review?.dispatchFailures ?? 0
    let unclearStarts = review?.unclearStarts ?? 0
    switch ending {
    case .dispatched(let agentVersion, let report, let prepared):
      let record = DispatchRecord(
        reviewID: lease.reviewID, attempt: lease.attempt, agentVersion: agentVersion, prepared: prepared)
      await write(record, report, lease, trace)
      logger.debug("review dispatched", metadata: metadata(lease, trace))
      // Also if it could not be recorded: the worker has said yes, and the reaper reconciles the row.
      settle(hand.end(lease), .acknowledge, .dispatched)
    case .overtaken:
      settle(hand.end(lease), .reject, .duplicate)
    case .postponed(let reason, let delay) where unclearStarts > 0:
      // The worker may be running it: its callbacks must find the review queued.
      await leaveQueued(lease, trace, reason, for: delay, isCounted: false)
    case .postponed(let reason, let delay):
      await write(lease, trace, Note(.notice, "handed back", reason, .returned)) {
        try await store.postpone(lease, reason: reason, for: delay)
      }
    case .retry(let message) where unclearStarts > 0:
      await leaveQueued(lease, trace, message, for: policy.retry.delay(attempt: failures), isCounted: true)
    case .retry(let message):
      let delay = policy.retry.delay(attempt: failures)
      await write(lease, trace, Note(.warning, "trying again later", message, .retry)) {
        try await store.retryLater(
          lease, message: message, after: delay, attemptMax: policy.attemptMax)
      }
    case .unclear(let message, let isCounted):
      // What is not counted is an outage: the circuit bounds how often it is tried, and this wait grows by its own count, to seconds.
      let attempt = isCounted ? failures : min(unclearStarts, Self.unclearDelayMax)
      await leaveQueued(
        lease, trace, message, for: policy.retry.base / 2 + policy.retry.delay(attempt: attempt), isCounted: isCounted)
    case .unreadable(let reason):
      await write(lease, trace, Note(.error, "left to a version that can read it", reason, .returned)) {
        try await store.postpone(lease, reason: reason, for: Self.unreadableDelay)
      }
    case .failed(let code, let message):
      await write(lease, trace, Note(failure: code, message)) {
        try await store.fail(lease, code: code, message: message)
      }
    }
  }

  private func leaveQueued(
    _ lease: Lease, _ trace: TraceContext, _ message: String, for delay: Duration, isCounted: Bool
  ) async {
    await write(lease, trace, Note(.warning, "left queued", message, .ambiguous)) {
      try await store.leaveQueued(
        lease, message: message, for: delay, isCounted: isCounted, attemptMax: policy.attemptMax)
    }
  }

  /// Records the dispatch, through an outage of Postgres if need be; what cannot be recorded is the reaper's.
  private func write(_ record: DispatchRecord, _ report: RunReport?, _ lease: Lease, _ trace: TraceContext) async {
    let isRecorded = await untilWritten("recording a dispatch") {
      let answer = try await records.submit(record)
      if answer == .locked { throw RowLocked(reviewID: record.reviewID) }
      if answer == .cancelled { try await store.tellWorkerCancelled(lease.reviewID, attempt: lease.attempt) }
      if let report, try await store.report(lease.reviewID, report) == .applied { metrics.recordEnd(report.status) }
      return true
    }
    if isRecorded == nil {
      logger.error(
        "the worker has the review, but it could not be recorded; the reaper reconciles it",
        metadata: metadata(lease, trace))
    }
  }

  /// Repeats a statement until it succeeds, Postgres refuses it, this process has drained for too long, or the deliveries that wait for it
  /// have been held for as long as they may be.
  /// - Returns: nil if it was given up.
  private func untilWritten<Result: Sendable>(
    _ what: String, _ statement: @Sendable () async throws -> Result
  ) async -> Result? {
    let deadline = ContinuousClock.now + HeldTickets.timeMax
    let goesOn = { (error: any Error) in
      if DatabaseOutage.isRefusal(error) {
        logger.error("Postgres refuses a statement", metadata: ["while": "\(what)", "error": "\(error)"])
        return false
      }
      return .now < min(flow.drainDeadline ?? deadline, deadline)
    }
    return await outage.untilItWorks(what, while: goesOn, statement)
  }

  /// How a delivery that was not dispatched is logged and counted.
  private struct Note {
    var level: Logger.Level
    var what: String
    var reason: String
    var outcome: BatonMetrics.DeliveryOutcome

    init(_ level: Logger.Level, _ what: String, _ reason: String, _ outcome: BatonMetrics.DeliveryOutcome) {
      (self.level, self.what, self.reason, self.outcome) = (level, what, reason, outcome)
    }

    init(failure code: ErrorCode, _ reason: String) {
      self.init(.error, "failed as \(code.rawValue)", reason, .failed)
    }

    var message: String { "\(what): \(reason)" }
  }

  /// Writes what is next into the row, and rejects the deliveries after that. While Postgres is unreachable, they are held.
  /// - Parameter statement: answers the row's new status; nil if the lease was no longer ours.
  private func write(
    _ lease: Lease, _ trace: TraceContext, _ note: Note, _ statement: @Sendable () async throws -> ReviewStatus?
  ) async {
    let written = await untilWritten("recording the outcome of a review", statement)
    let deliveries = hand.end(lease)
    switch written {
    case .some(let status?):
      // One failure too many ends the review, however it was meant to go on.
      let isExhausted = status == .failed && note.outcome != .failed
      let note = isExhausted ? Note(failure: .attemptsExhausted, note.reason) : note
      metrics.recordEnd(status)
      logger.log(level: note.level, "review \(note.message)", metadata: metadata(lease, trace))
      settle(deliveries, .reject, note.outcome)
    case .some(nil):
      // The lease was no longer ours: the row's present holder decides.
      logger.notice("overtaken: \(note.message)", metadata: metadata(lease, trace))
      settle(deliveries, .reject, .duplicate)
    case nil:
      logger.error("not written, given back to the broker: \(note.message)", metadata: metadata(lease, trace))
      settle(deliveries, .giveBack, .returned)
    }
  }

  private func metadata(_ lease: Lease, _ trace: TraceContext) -> Logger.Metadata {
    .review(lease.reviewID, attempt: lease.attempt, trace)
  }
}
