internal import Logging
internal import ReviewQueue
internal import ReviewStore
internal import Reviews
internal import Telemetry

/// What is written into the row of a review whose attempt has ended.
enum RowWrite: Sendable, Equatable {
  /// The worker has it.
  indirect case record(agentVersion: String?, report: RunReport?, prepared: ContinuousClock.Instant)
  /// Nothing: the row says what is next.
  case none
  /// Back to pending, uncounted.
  case postpone(reason: String, for: RetryDelay, keepsPlace: Bool)
  /// Back to pending, with one failure more.
  case retryLater(message: String, after: RetryDelay)
  /// Stays queued, for the reaper to publish again: the worker may be running it, and its callbacks must find the review queued.
  case leaveQueued(message: String, for: RetryDelay, isCounted: Bool)
  case fail(ErrorCode, message: String)

  /// Until a review that this version cannot read is claimed again, for a newer consumer: during a rolling upgrade.
  static let unreadableDelay: Duration = .seconds(30)

  /// What an outcome writes.
  init(_ outcome: AttemptOutcome, of attempt: Attempt) {
    let mayBeRunning = attempt.ambiguousStarts > 0
    switch outcome {
    case .dispatched(let agentVersion, let report, let prepared):
      self = .record(agentVersion: agentVersion, report: report, prepared: prepared)
    case .supersededByRow: self = .none
    case .postponed(let reason, let delay, let keepsPlace):
      self =
        mayBeRunning
        ? .leaveQueued(message: reason, for: delay, isCounted: false)
        : .postpone(reason: reason, for: delay, keepsPlace: keepsPlace)
    case .retry(let message):
      let delay = RetryDelay.backoff(attempt: attempt.failures)
      self =
        mayBeRunning
        ? .leaveQueued(message: message, for: delay, isCounted: true) : .retryLater(message: message, after: delay)
    case .ambiguous(let message, let isCounted):
      // What is not counted is an outage: the circuit bounds how often it is tried.
      let delay: RetryDelay = isCounted ? .delayedBackoff(attempt: attempt.failures) : .short()
      self = .leaveQueued(message: message, for: delay, isCounted: isCounted)
    case .unreadable(let reason):
      let delay = RetryDelay.exactly(Self.unreadableDelay)
      self =
        mayBeRunning
        ? .leaveQueued(message: reason, for: delay, isCounted: false)
        : .postpone(reason: reason, for: delay, keepsPlace: false)
    case .failed(let code, let message): self = .fail(code, message: message)
    }
  }
}

/// The answer of a row to a ``RowWrite``.
enum RowVerdict: Sendable, Equatable {
  /// The row has this status now.
  case written(ReviewStatus)
  /// The dispatch is recorded, or known already.
  case recorded
  /// Nothing was written: the lease was no longer this one, and the row's present holder decides.
  case overtaken
  /// Postgres did not write it in time, or refused it.
  case notWritten
}

/// How the deliveries of a review are settled, counted and logged. A delivery is acknowledged only after the worker has the review (I4).
struct Settlement: Sendable, Equatable {
  var settlement: TicketSettlement
  var counted: BatonMetrics.TicketOutcome
  var level: Logger.Level
  var message: String

  init(
    _ settlement: TicketSettlement, _ counted: BatonMetrics.TicketOutcome, _ level: Logger.Level, _ message: String
  ) {
    (self.settlement, self.counted, self.level, self.message) = (settlement, counted, level, message)
  }

  /// What an outcome and the row's answer make of the deliveries.
  init(_ outcome: AttemptOutcome, _ write: RowWrite, _ verdict: RowVerdict) {
    let said = Self.words(outcome, write)
    switch (write, verdict) {
    case (.record, .notWritten):
      // The worker has the review.
      self.init(
        .acknowledge, .dispatched, .error,
        "the worker has the review, but it could not be recorded; the reaper reconciles it")
    case (.record, _): self.init(.acknowledge, said.counted, said.level, "review \(said.what)")
    case (.none, _): self.init(.reject, said.counted, said.level, "review \(said.what)")
    case (_, .overtaken), (_, .recorded):
      self.init(.reject, .duplicate, .notice, "overtaken: \(said.what): \(said.reason)")
    case (_, .notWritten):
      self.init(.requeue, .returned, .error, "not written, requeued: \(said.what): \(said.reason)")
    case (_, .written(let status)) where status != .failed || said.counted == .failed:
      self.init(.reject, said.counted, said.level, "review \(said.what): \(said.reason)")
    case (_, .written):
      // One failure too many ends the review, however it was meant to go on.
      self.init(
        .reject, .failed, .error, "review failed as \(ErrorCode.attemptsExhausted.rawValue): \(said.reason)")
    }
  }

  private static func words(
    _ outcome: AttemptOutcome, _ write: RowWrite
  ) -> (level: Logger.Level, what: String, reason: String, counted: BatonMetrics.TicketOutcome) {
    switch write {
    case .record: (.debug, "dispatched", "", .dispatched)
    case .none: (.debug, "overtaken", "", .duplicate)
    case .postpone(let reason, _, _), .leaveQueued(let reason, _, _):
      if case .unreadable = outcome {
        (.error, "left to a version that can read it", reason, .returned)
      } else if case .postpone = write {
        (.notice, "postponed", reason, .returned)
      } else {
        (.warning, "left queued", reason, .ambiguous)
      }
    case .retryLater(let message, _): (.warning, "trying again later", message, .retry)
    case .fail(let code, let message): (.error, "failed as \(code.rawValue)", message, .failed)
    }
  }
}
