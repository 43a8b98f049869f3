internal import Synchronization

/// Whether something has happened that happens once.
final class Milestone: Sendable {
  private let state = Atomic(false)

  var isReached: Bool { state.load(ordering: .acquiring) }

  func reach() { state.store(true, ordering: .releasing) }
}
