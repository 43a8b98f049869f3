internal import Synchronization

/// Turns a connection's total of reconnects, which only grows, into what a counter of the metrics takes: how many were added since the last
/// call.
final class ReconnectCounter: Sendable {
  private let seen = Mutex(0)

  /// How many reconnects are new.
  /// - Parameter total: the present total.
  func new(_ total: Int) -> Int {
    seen.withLock { seen in
      defer { seen = max(seen, total) }
      return max(0, total - seen)
    }
  }
}
