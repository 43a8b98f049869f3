internal import FoundationEssentials
internal import Glibc

/// Whether a stream goes to a person's terminal, how large that is, and whether it may be coloured.
struct Terminal: Sendable, Equatable {
  /// Whether it is one; otherwise nothing is coloured, truncated or redrawn.
  var isInteractive: Bool
  var usesColor: Bool
  private var descriptor: Int32

  init(descriptor: Int32, environment: [String: String] = ProcessInfo.processInfo.environment) {
    self.descriptor = descriptor
    let isDumb = environment["TERM"] == "dumb"
    isInteractive = isatty(descriptor) == 1 && !isDumb
    // https://no-color.org: present and not empty.
    usesColor = isInteractive && (environment["NO_COLOR"] ?? "").isEmpty
  }

  static var output: Terminal { Terminal(descriptor: Output.standardOutput) }
  static var error: Terminal { Terminal(descriptor: Output.standardError) }

  /// Whether a person can be asked: standard input is a terminal.
  static var canAsk: Bool { isatty(0) == 1 }

  /// Columns and rows as they are now; 80 by 24 if the terminal does not say.
  var size: (columns: Int, rows: Int) {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
    return (Int(size.ws_col), Int(size.ws_row))
  }

  /// The width that lines have to fit in; nil if they need not.
  var width: Int? { isInteractive ? size.columns : nil }
}

/// How a text looks on a terminal (ECMA-48, select graphic rendition).
enum Style: String, Sendable {
  case bold = "1"
  case dim = "2"
  case red = "31"
  case green = "32"
  case yellow = "33"
  case blue = "34"

  func applied(to text: String, _ usesColor: Bool) -> String {
    usesColor && !text.isEmpty ? "\u{1B}[\(rawValue)m\(text)\u{1B}[0m" : text
  }
}

/// Lines that replace each other in place. A value: it makes the text to write, and writes nothing itself.
struct LiveDisplay: Sendable {
  private var lineCount = 0

  /// The control sequences and text that put `lines` where the last ones were.
  /// - Parameter lines: none wider than the terminal, and fewer than it has rows: else the cursor cannot come back to their start.
  mutating func frame(_ lines: [String]) -> String {
    let up = lineCount > 0 ? "\u{1B}[\(lineCount)A" : ""
    lineCount = lines.count
    // Each line is cleared behind its end, and everything below the last one: no flicker, as nothing is blank in between.
    return up + "\r" + lines.map { $0 + "\u{1B}[K\n" }.joined() + "\u{1B}[J"
  }
}
