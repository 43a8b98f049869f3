internal import Logging
internal import Resilience
internal import ReviewStore
internal import Reviews
internal import Telemetry

extension Consumer {
  /// Writes how the dispatch ended, then settles the deliveries that stand for the review.
  func conclude(_ ending: Ending, _ review: LeasedReview, _ ticket: Ticket, _ trace: TraceContext) async {
    switch ending {
    case .dispatched(let agentVersion, let report, let prepared):
      let record = DispatchRecord(
        reviewID: ticket.reviewID, attempt: ticket.attempt, agentVersion: agentVersion, prepared: prepared)
      await write(record, report, ticket, trace)
      logger.debug("review dispatched", metadata: metadata(ticket, trace))
      // Also where it could not be recorded: the worker has said yes, and the reaper reconciles the row.
      settle(hand.end(ticket), .acknowledge, .dispatched)
    case .overtaken:
      settle(hand.end(ticket), .reject, .duplicate)
    case .postponed(let reason, let delay):
      await write(ticket, trace, Note(.notice, "handed back", reason, .returned)) {
        try await store.postpone(ticket, by: holder, reason: reason, for: delay) ? .pending : nil
      }
    case .retry(let message):
      let delay = policy.retry.delay(attempt: review.dispatchFailures)
      await write(ticket, trace, Note(.warning, "trying again later", message, .retry)) {
        try await store.retryLater(
          ticket, by: holder, message: message, after: delay, attemptMax: policy.attemptMax)
      }
    case .unclear(let message, let isCounted):
      // By the republishes too: what is not counted as a failure still must not be tried as fast for ever.
      let delay =
        policy.retry.base / 2 + policy.retry.delay(attempt: max(review.dispatchFailures, review.republishCount))
      await write(ticket, trace, Note(.warning, "left queued", message, .ambiguous)) {
        try await store.leaveQueued(
          ticket, by: holder, message: message, for: delay, isCounted: isCounted, attemptMax: policy.attemptMax)
      }
    case .failed(let code, let message):
      await write(ticket, trace, Note(failure: code, message)) {
        try await store.fail(ticket, by: holder, code: code, message: message) ? .failed : nil
      }
    }
  }

  /// Records the dispatch, through an outage of Postgres if need be; what cannot be recorded is the reaper's.
  private func write(_ record: DispatchRecord, _ report: RunReport?, _ ticket: Ticket, _ trace: TraceContext) async {
    let isRecorded = await untilWritten("recording a dispatch") {
      let answer = try await records.submit(record)
      if answer == .cancelled { try await store.tellWorkerCancelled(ticket.reviewID, attempt: ticket.attempt) }
      if let report, try await store.report(ticket.reviewID, report) == .applied { metrics.recordEnd(report.status) }
      return true
    }
    if isRecorded == nil {
      logger.error(
        "the worker has the review, but it could not be recorded; the reaper reconciles it",
        metadata: metadata(ticket, trace))
    }
  }

  /// Repeats a statement until it succeeds, Postgres refuses it, or this process has drained for too long.
  /// - Returns: nil where it was given up.
  private func untilWritten<Result: Sendable>(
    _ what: String, _ statement: @Sendable () async throws -> Result
  ) async -> Result? {
    let goesOn = { (error: any Error) in
      if DatabaseOutage.isRefusal(error) {
        logger.error("Postgres refuses a statement", metadata: ["while": "\(what)", "error": "\(error)"])
        return false
      }
      return flow.drainDeadline.map { .now < $0 } ?? true
    }
    return await outage.untilItWorks(what, while: goesOn, statement)
  }

  /// How a delivery that was not dispatched is told and counted.
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

  /// Writes what is next into the row, and rejects the deliveries after that. While Postgres is away they are held.
  /// - Parameter statement: answers the row's new status; nil where the lease was no longer ours.
  private func write(
    _ ticket: Ticket, _ trace: TraceContext, _ note: Note, _ statement: @Sendable () async throws -> ReviewStatus?
  ) async {
    let written = await untilWritten("writing what became of a review", statement)
    let deliveries = hand.end(ticket)
    switch written {
    case .some(let status?):
      // One failure too many ends the review, however it was meant to go on.
      let isExhausted = status == .failed && note.outcome != .failed
      let note = isExhausted ? Note(failure: .attemptsExhausted, note.reason) : note
      metrics.recordEnd(status)
      logger.log(level: note.level, "review \(note.message)", metadata: metadata(ticket, trace))
      settle(deliveries, .reject, note.outcome)
    case .some(nil):
      // The lease was no longer ours: whoever has the row now decides.
      logger.notice("overtaken: \(note.message)", metadata: metadata(ticket, trace))
      settle(deliveries, .reject, .duplicate)
    case nil:
      logger.error("not written, given back to the broker: \(note.message)", metadata: metadata(ticket, trace))
      settle(deliveries, .giveBack, .returned)
    }
  }

  private func metadata(_ ticket: Ticket, _ trace: TraceContext) -> Logger.Metadata {
    .review(ticket.reviewID, attempt: ticket.attempt, trace)
  }
}
