internal import Synchronization

/// For how long something has been true without a break, as it is looked at again and again.
package final class ConditionAge: Sendable {
  private let since = Mutex<ContinuousClock.Instant?>(nil)

  package init() {}

  /// - Returns: nil while it is not true.
  package func duration(of isTrue: Bool, now: ContinuousClock.Instant) -> Duration? {
    since.withLock { since in
      guard isTrue else {
        since = nil
        return nil
      }
      let start = since ?? now
      since = start
      return now - start
    }
  }
}
