internal import DequeModule
internal import WorkerAPI

/// The events of a run, at most so many and so many bytes; the oldest are dropped.
struct EventLog: Sendable {
  /// The most bytes of messages and contents that one run keeps, about.
  static let byteCountMax = 4 * 1024 * 1024

  private var log: Deque<(event: RunEvent, byteCount: Int)> = []
  private(set) var byteCount = 0
  let countMax: Int

  init(countMax: Int) { self.countMax = max(countMax, 1) }

  var events: [RunEvent] { log.map(\.event) }

  /// - Parameter byteCount: of the line that the event came from.
  mutating func append(_ event: RunEvent, byteCount: Int) {
    log.append((event, byteCount))
    self.byteCount += byteCount
    while log.count > countMax || (self.byteCount > Self.byteCountMax && log.count > 1) {
      self.byteCount -= log.removeFirst().byteCount
    }
  }

  mutating func removeAll() {
    log.removeAll()
    byteCount = 0
  }
}
