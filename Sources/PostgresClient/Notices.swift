internal import Synchronization

/// What has been said, so that it is said once only.
final class Notices: Sendable {
  private let said = Mutex<Set<String>>([])

  /// Whether this is the first time that a text is to be said.
  func isFirst(_ text: String) -> Bool { said.withLock { $0.insert(text).inserted } }
}
