internal import Logging
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews
internal import Telemetry

/// One attempt to dispatch a review, from its lease to its settlement. Its deliveries are with ``InFlightAttempts``, because more may come
/// while it runs.
struct Attempt: Sendable {
  /// What does not change. An object, because an attempt is copied at each step of its path, and the row has some thirty texts: to retain
  /// each of them again and again would cost more than all of Baton's own code on the path.
  private final class Facts: Sendable {
    let lease: Lease
    let review: LeasedReview?
    let trace: TraceContext
    let leasedAt: ContinuousClock.Instant

    init(_ lease: Lease, _ review: LeasedReview?, _ trace: TraceContext, _ leasedAt: ContinuousClock.Instant) {
      (self.lease, self.review, self.trace, self.leasedAt) = (lease, review, trace, leasedAt)
    }
  }

  private let facts: Facts
  /// Earlier starts that may have reached the worker, or may still arrive there.
  let ambiguousStarts: Int

  /// An attempt of a review that could be read.
  init(lease: Lease, review: LeasedReview, trace: TraceContext, leasedAt: ContinuousClock.Instant) {
    facts = Facts(lease, review, trace, leasedAt)
    ambiguousStarts = review.unclearStarts
  }

  /// An attempt of a review whose row this version cannot read.
  init(unreadable lease: Lease, mayBeRunning: Bool, trace: TraceContext, leasedAt: ContinuousClock.Instant) {
    facts = Facts(lease, nil, trace, leasedAt)
    ambiguousStarts = mayBeRunning ? 1 : 0
  }

  /// What every write repeats.
  var lease: Lease { facts.lease }
  /// The row; nil if this version cannot read it.
  var review: LeasedReview? { facts.review }
  var trace: TraceContext { facts.trace }
  /// When the lease was taken, by this process's clock.
  var leasedAt: ContinuousClock.Instant { facts.leasedAt }

  /// Counted failures of earlier attempts to dispatch this review.
  var failures: Int { facts.review?.dispatchFailures ?? 0 }

  /// For the log.
  var metadata: Logger.Metadata { .review(lease.reviewID, attempt: lease.attempt, trace) }
}

/// How an attempt ended.
enum AttemptOutcome: Sendable, Equatable {
  /// The worker has it.
  indirect case dispatched(agentVersion: String?, report: RunReport?, prepared: ContinuousClock.Instant)
  /// The row has changed in the meantime (a cancel, a newer attempt, another lease): it says what is next.
  case supersededByRow
  /// Not called, for a reason that is not the review's: back to pending, uncounted. After an unclear start it stays queued (``RowWrite``).
  /// - Parameter keepsPlace: whether it goes before what its owner has submitted since. Only if all reviews wait for the same: what one platform or
  ///   key holds up would otherwise take each slot of its owner before the others.
  case postponed(String, for: RetryDelay, keepsPlace: Bool = true)
  /// Not called, and a failure counted: back to pending.
  case retry(String)
  /// The worker may have it.
  case ambiguous(String, isCounted: Bool)
  /// This version cannot read the row.
  case unreadable(String)
  case failed(ErrorCode, String)

  /// Shutting down, before the worker was called.
  static let postponedAtShutdown = Self.postponed("handed back at shutdown", for: .exactly(.zero))
}

/// How long a review stays away before it is dispatched again.
enum RetryDelay: Sendable, Equatable {
  case exactly(Duration)
  /// After the given time, a short wait more: half of BATON_RETRY_BASE, so that nothing comes back at once, and a part of the base by chance,
  /// so that what was postponed together does not come back together.
  case short(after: Duration = .zero)
  /// The backoff of an attempt.
  case backoff(attempt: Int)
  /// Half of BATON_RETRY_BASE and the backoff of an attempt.
  case delayedBackoff(attempt: Int)
}

extension DispatchPolicy {
  /// The length of a delay; chance decides a part of it.
  func duration(_ delay: RetryDelay, _ environment: DispatchEnvironment) -> Duration {
    switch delay {
    case .exactly(let duration): duration
    case .short(let after): after + retry.base / 2 + retry.delay(attempt: 0, from: environment.random)
    case .backoff(let attempt): retry.delay(attempt: attempt, from: environment.random)
    case .delayedBackoff(let attempt): retry.base / 2 + retry.delay(attempt: attempt, from: environment.random)
    }
  }
}
