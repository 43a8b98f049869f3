internal import Platforms
internal import ReviewQueue
internal import ReviewStore
internal import Reviews
internal import Spans
internal import Telemetry
internal import Tracing

// What the spans of a delivery say of its path.

extension Attempt {
  var spanAttributes: SpanAttributes { .review(lease.reviewID, attempt: lease.attempt) }
}

extension ActiveSpan {
  /// A lease has been decided on.
  func end(_ verdict: LeaseVerdict?) {
    set([SpanKey.outcome: .string(verdict?.name ?? "none")])
    end()
  }

  /// How the preparation ended.
  func note(_ preparation: AttemptMachine.Preparation) {
    switch preparation {
    case .ready: break
    case .failed(.permanent(let code, _), _): fail(code.rawValue)
    case .failed(.transient, _): fail("transient")
    case .failed(.outage, _): fail("outage")
    case .failed(.keyMissing, _): fail("key_missing")
    case .tookTooLong: fail("timeout")
    case .interruptedByShutdown: fail("cancelled")
    }
  }

  /// How the attempt ended; a failure that the review's row has is this span's too.
  func note(_ outcome: AttemptOutcome, _ verdict: RowVerdict, of attempt: Attempt) {
    set([SpanKey.failures: .int64(Int64(attempt.failures))])
    switch (outcome, verdict) {
    case (_, .notWritten): fail("not_written")
    case (.failed(let code, _), _): fail(code.rawValue)
    case (_, .written(.failed)): fail(ErrorCode.attemptsExhausted.rawValue)
    case (.postponed, _): fail("postponed")
    case (.retry, _): fail("retry")
    case (.ambiguous, _): fail("ambiguous")
    case (.unreadable, _): fail("unreadable")
    case (.dispatched, _), (.supersededByRow, _): break
    }
  }
}

extension LeaseVerdict {
  fileprivate var name: String {
    switch self {
    case .leased: "leased"
    case .unreadable: "unreadable"
    case .mine: "mine"
    case .dispatched: "dispatched"
    case .notDispatchable: "not_dispatchable"
    case .leasedElsewhere: "leased_elsewhere"
    case .lockedByOther: "locked_by_other"
    case .unknown: "unknown"
    }
  }
}

extension RowWrite {
  /// The statement that it runs, by its name in `ReviewStore.statements`; nil if it runs none.
  var statementName: String? {
    switch self {
    case .record: "record"
    case .none: nil
    case .postpone: "postpone"
    case .retryLater: "retry_later"
    case .leaveQueued: "leave_queued"
    case .fail: "fail"
    }
  }
}
