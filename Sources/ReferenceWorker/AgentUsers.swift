internal import Synchronization

/// The user ids of runs: each is one run's at a time.
final class AgentUsers: Sendable {
  private let range: ClosedRange<UInt32>
  private let taken = Mutex<Set<UInt32>>([])

  init(_ range: ClosedRange<UInt32>) { self.range = range }

  /// nil if all are taken.
  func take() -> UInt32? {
    taken.withLock { taken in
      let free = range.first { !taken.contains($0) }
      if let free { taken.insert(free) }
      return free
    }
  }

  /// Of an agent that an earlier worker had begun.
  func adopt(_ user: UInt32) { taken.withLock { _ = $0.insert(user) } }

  /// Whether it is one of these: what stands in a file alone is no reason to end all processes of a user.
  func has(_ user: UInt32) -> Bool { range.contains(user) }

  func giveBack(_ user: UInt32) { taken.withLock { _ = $0.remove(user) } }
}
