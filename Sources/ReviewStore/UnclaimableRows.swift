internal import FoundationEssentials
internal import Synchronization

/// Rows that could not be claimed a moment ago, each alone: they are tried again later.
final class UnclaimableRows: Sendable {
  private static let time: Duration = .seconds(30)
  /// More are tried again, and fail again.
  private static let countMax = 1_000

  private let ends = Mutex<[UUID: ContinuousClock.Instant]>([:])

  /// Those that are not to be tried now.
  var rows: [UUID] {
    ends.withLock { ends in
      guard !ends.isEmpty else { return [] }
      let now = ContinuousClock.now
      ends = ends.filter { $0.value > now }
      return Array(ends.keys)
    }
  }

  func leaveOut(_ id: UUID) {
    ends.withLock { ends in
      if ends.count < Self.countMax { ends[id] = .now + Self.time }
    }
  }
}
