internal import FoundationEssentials
internal import Glibc
internal import Primitives
internal import Reviews
internal import Telemetry

/// Why results cannot be written.
enum OutputFault: Error, Equatable {
  /// The reader has gone (`baton list | head -1`): nothing more is to be said.
  case closed
  /// An `errno`.
  case failed(Int32)
}

/// Standard output for results, standard error for everything else; each call is written at once.
enum Output {
  static let standardOutput: Int32 = 1
  static let standardError: Int32 = 2
  /// So that lines of both streams are in order on a terminal.
  private static let noteTimeout: Duration = .milliseconds(200)

  /// Writes all of a text.
  static func write(_ text: String, to descriptor: Int32 = standardOutput) throws(OutputFault) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        bytes.removeFirst(count)
      } else if errno == EAGAIN {
        // Another program has made the shared terminal non-blocking.
        var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&wait, 1, 1_000)
      } else if errno != EINTR {
        throw errno == EPIPE ? .closed : .failed(errno)
      }
    }
  }

  /// A line of the result.
  static func line(_ text: String = "") throws(OutputFault) { try write(text + "\n") }

  /// Lines of the result.
  static func lines(_ lines: [String]) throws(OutputFault) {
    guard !lines.isEmpty else { return }
    try write(lines.joined(separator: "\n") + "\n")
  }

  /// One JSON value as one line of the result: keys sorted, so that equal values are equal lines.
  static func json(_ value: some Encodable) throws { try line(try jsonText(value)) }

  static func jsonText(_ value: some Encodable) throws -> String {
    String(decoding: try JSONCoding.encode(value), as: UTF8.self)
  }

  /// A line that is no result, on standard error. It is waited for only briefly: a reader that is asleep must not stop the work.
  static func note(_ text: String) {
    let lines = Wrapped.long(DisplayText.plain(text), width: Terminal.error.width)
    LogWriter.standardError.write(lines.joined(separator: "\n") + "\n")
    LogWriter.standardError.flush(within: noteTimeout)
  }

  /// Says that a list was cut, for JSON too.
  /// - Parameter limitMax: the most that the command lists.
  static func noteMore(limitMax: Int) { note("More: add --limit, up to \(limitMax)") }
}
