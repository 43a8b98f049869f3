internal import Synchronization

/// When this process stops waiting for what, after it was asked to end. Time comes in, the phase comes out.
struct DrainSchedule: Sendable, Equatable {
  /// What this process still does.
  enum Phase: Int, Comparable, Sendable, CaseIterable {
    /// Everything.
    case running
    /// It takes nothing new; what is in flight goes on.
    case finishing
    /// Preparations are interrupted, and their reviews postponed; calls to the worker go on.
    case postponing
    /// No call to the worker is waited for any more: it may have what it was given.
    case givingUpCalls
    /// Nothing more is written.
    case over

    static func < (one: Phase, other: Phase) -> Bool { one.rawValue < other.rawValue }
  }

  let start: ContinuousClock.Instant
  /// Leaves time for the worker's answers that are under way, and for settling what is postponed.
  let postponingAt: ContinuousClock.Instant
  /// Leaves time for writing the outcome of reviews that the worker has not answered by then.
  let givingUpCallsAt: ContinuousClock.Instant
  let end: ContinuousClock.Instant

  init(start: ContinuousClock.Instant, policy: DispatchPolicy) {
    let timeout = policy.drainTimeout
    self.start = start
    postponingAt = start + max(timeout - policy.workerTimeout - .seconds(1), timeout / 2)
    givingUpCallsAt = start + (timeout - min(.seconds(1), timeout / 4))
    end = start + timeout
  }

  func phase(at now: ContinuousClock.Instant) -> Phase {
    if now >= end { return .over }
    if now >= givingUpCallsAt { return .givingUpCalls }
    if now >= postponingAt { return .postponing }
    return now >= start ? .finishing : .running
  }

  /// When the phase begins that follows the one at a moment; nil if none does.
  func nextChange(after now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
    [postponingAt, givingUpCallsAt, end].filter { $0 > now }.min()
  }
}

/// When this process's drain has begun, and how it goes on.
final class DrainState: Sendable {
  private let schedule = Mutex<DrainSchedule?>(nil)

  var present: DrainSchedule? { schedule.withLock { $0 } }

  func begin(_ schedule: DrainSchedule) { self.schedule.withLock { $0 = schedule } }
}
