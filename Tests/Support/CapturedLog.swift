package import Logging
internal import Synchronization

/// A logger whose lines a test can read.
package final class CapturedLog: Sendable {
  /// A line: its level, and its message with its metadata.
  package struct Line: Sendable {
    package let level: Logger.Level
    package let text: String
  }

  private let captured = Mutex<[Line]>([])

  package init() {}

  /// Writes into this log.
  package var logger: Logger { Logger(label: "captured") { _ in Handler(log: self) } }

  /// The lines of a level and above, in their order.
  package func lines(from level: Logger.Level = .trace) -> [String] {
    captured.withLock { $0.filter { $0.level >= level }.map(\.text) }
  }

  private func add(_ line: Line) { captured.withLock { $0.append(line) } }

  private struct Handler: LogHandler {
    let log: CapturedLog
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let all = metadata.merging(event.metadata ?? [:]) { $1 }
      let pairs = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
      log.add(Line(level: event.level, text: "\(event.message)\(pairs)"))
    }
  }
}
