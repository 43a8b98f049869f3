internal import Synchronization

/// When a worker last accepted a review.
final class LastDispatch: Sendable {
  private let instant = Mutex<ContinuousClock.Instant?>(nil)

  func note(at now: ContinuousClock.Instant) { instant.withLock { $0 = now } }
  func age(at now: ContinuousClock.Instant) -> Duration? { instant.withLock { $0 }.map { now - $0 } }
}
