import Foundation
import Synchronization

/// The wall clock, moved by hand from the real time on.
final class TestWallClock: Sendable {
  private let offset = Mutex<TimeInterval>(0)

  var now: Date { Date().addingTimeInterval(offset.withLock { $0 }) }

  func advance(by seconds: TimeInterval) { offset.withLock { $0 += seconds } }
}

/// A wall clock that stands still until it is moved.
final class StoppedClock: Sendable {
  private let seconds: Mutex<TimeInterval>

  init(_ seconds: TimeInterval) { self.seconds = Mutex(seconds) }

  var now: Date { Date(timeIntervalSince1970: seconds.withLock { $0 }) }

  func advance(by interval: TimeInterval) { seconds.withLock { $0 += interval } }
}
