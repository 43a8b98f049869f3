import Foundation
import Synchronization

/// The wall clock, moved by hand from the real time on.
final class TestWallClock: Sendable {
  private let offset = Mutex<TimeInterval>(0)

  var now: Date { Date().addingTimeInterval(offset.withLock { $0 }) }

  func advance(by seconds: TimeInterval) { offset.withLock { $0 += seconds } }
}
