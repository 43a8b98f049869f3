internal import BatonServer
internal import Primitives

extension HealthFinding {
  /// What it is and since when, its reason, and what to do: each within the width.
  func lines(width: Int?, usesColor: Bool, now: Timestamp) -> [String] {
    let label = grade == .bad ? "STUCK" : "LOOK"
    let age = since.map { ", since \(Times.span(max(.zero, now.since($0))))" } ?? ""
    let style: Style = grade == .bad ? .red : .yellow
    let indent = "  "
    var lines = Wrapped.lines("\(label): \(DisplayText.safe(title))\(age)", width: width)
      .map { style.applied(to: $0, usesColor) }
    if let reason { lines += Wrapped.lines(DisplayText.safe(reason), width: width, indent: indent) }
    lines += Wrapped.lines(advice, width: width, indent: indent)
    return lines
  }
}

/// Prose in lines.
enum Wrapped {
  /// - Parameter width: nil: one line.
  static func lines(_ text: String, width: Int?, indent: String = "") -> [String] {
    guard let width else { return [indent + text] }
    var lines: [String] = []
    var line = indent
    for word in text.split(separator: " ") {
      let isFirst = line.count == indent.count
      if !isFirst, DisplayText.width(line) + 1 + DisplayText.width(String(word)) > width {
        lines.append(line)
        line = indent + word
      } else {
        line += (isFirst ? "" : " ") + word
      }
    }
    return lines + [line]
  }

  /// The lines of a text, of which only those that are too long change.
  /// - Parameter width: nil: as they are.
  static func long(_ text: String, width: Int?) -> [String] {
    text.split(separator: "\n", omittingEmptySubsequences: false).flatMap { line -> [String] in
      guard let width, DisplayText.width(line) > width else { return [String(line)] }
      return lines(String(line), width: width, indent: String(line.prefix { $0 == " " }))
    }
  }
}
