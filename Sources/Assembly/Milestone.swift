internal import Synchronization

/// Something that happens once.
final class Milestone: Sendable {
  private struct State {
    var isReached = false
    var actions: [@Sendable () -> Void] = []
  }

  private let state = Mutex(State())

  var isReached: Bool { state.withLock { $0.isReached } }

  /// Runs an action when it has happened: now, if it has.
  func whenReached(_ action: @escaping @Sendable () -> Void) {
    let isReached = state.withLock { state in
      if !state.isReached { state.actions.append(action) }
      return state.isReached
    }
    if isReached { action() }
  }

  func reach() {
    let actions = state.withLock { state in
      defer { state.actions = [] }
      state.isReached = true
      return state.actions
    }
    for action in actions { action() }
  }
}
