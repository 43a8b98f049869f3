internal import Logging
internal import Primitives
internal import Reviews

/// How a log record is written.
package enum LogFormat: String, Sendable, CaseIterable {
  /// For people: `2026-01-02T03:04:05.678Z INFO  consumer: dispatched review=… attempt=1`.
  case text
  /// For machines: one JSON object, its metadata under `metadata`.
  case json
}

/// A log record in its final words: secrets are masked already.
struct LogRecord {
  let timestamp: String
  let level: String
  let label: String
  let message: String
  /// Sorted by key.
  let metadata: [(key: String, value: String)]

  /// One line with its newline; nothing in it but that ends a line or controls a terminal.
  func line(_ format: LogFormat) -> String {
    switch format {
    case .text: textLine
    case .json: jsonLine
    }
  }

  private var textLine: String {
    let level = self.level.uppercased()
    let padding = String(repeating: " ", count: max(0, 7 - level.count))
    var line = "\(timestamp) \(level)\(padding) \(LogEscaping.plain(label)): \(LogEscaping.plain(message))"
    for (key, value) in metadata { line += " \(LogEscaping.plain(key))=\(LogEscaping.quotedIfNeeded(value))" }
    return line + "\n"
  }

  private var jsonLine: String {
    let head = [("time", timestamp), ("level", level), ("label", label), ("message", message)]
    let fields = head.map { "\(LogEscaping.quoted($0)):\(LogEscaping.quoted($1))" }.joined(separator: ",")
    guard !metadata.isEmpty else { return "{\(fields)}\n" }
    let details = metadata.map { "\(LogEscaping.quoted($0)):\(LogEscaping.quoted($1))" }.joined(separator: ",")
    return "{\(fields),\"metadata\":{\(details)}}\n"
  }
}

/// Keeps a value within its line.
enum LogEscaping {
  /// The most Unicode scalars of one value; the rest is cut, and its length said.
  static let scalarMax = 8192

  /// With newlines and control characters as escapes.
  static func plain(_ text: String) -> String { escape(text, quote: false) }

  /// As a JSON string.
  static func quoted(_ text: String) -> String { "\"\(escape(text, quote: true))\"" }

  /// As it is, or quoted if its end or its start would not be visible.
  static func quotedIfNeeded(_ text: String) -> String {
    let isPlain = !text.isEmpty && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0 != "=" }
    return isPlain ? plain(text) : quoted(text)
  }

  private static func escape(_ text: String, quote: Bool) -> String {
    var result = String.UnicodeScalarView()
    let scalars = text.unicodeScalars
    for scalar in scalars.prefix(scalarMax) {
      switch scalar {
      case "\"" where quote: result.append(contentsOf: "\\\"".unicodeScalars)
      case "\\" where quote: result.append(contentsOf: "\\\\".unicodeScalars)
      case "\n": result.append(contentsOf: "\\n".unicodeScalars)
      case "\r": result.append(contentsOf: "\\r".unicodeScalars)
      case "\t": result.append(contentsOf: "\\t".unicodeScalars)
      // What a terminal obeys, or a reader does not see.
      case _ where scalar.isHidden: result.append(contentsOf: JSONCoding.escaped(scalar).unicodeScalars)
      default: result.append(scalar)
      }
    }
    let rest = scalars.count - scalarMax
    return rest > 0 ? "\(String(result))… (\(rest) more)" : String(result)
  }
}
