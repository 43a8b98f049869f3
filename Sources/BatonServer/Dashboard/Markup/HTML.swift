/// Markup that is escaped by construction: only a literal in this program's text is markup; every interpolated string is text,
/// whatever its origin.
///
///     let row: HTML = "<td title=\"\(review.prTitle)\">\(review.prTitle)</td>"
///
/// There is no way around it: a literal is a `StaticString`, which cannot be made at run time. Attributes always stand in double
/// quotes, where the same escapes are right. A URL that others wrote goes through ``HTML/link(to:_:)``, since `javascript:` needs no
/// escape.
struct HTML: Sendable, Equatable, ExpressibleByStringInterpolation {
  /// As it is sent.
  private(set) var markup: String

  /// Nothing.
  static let none: HTML = ""

  init(stringLiteral literal: StaticString) { markup = literal.description }

  init(stringInterpolation: Interpolation) { markup = stringInterpolation.markup }

  private init(markup: String) { self.markup = markup }

  struct Interpolation: StringInterpolationProtocol {
    fileprivate var markup = ""

    init(literalCapacity: Int, interpolationCount: Int) {
      markup.reserveCapacity(literalCapacity + 24 * interpolationCount)
    }

    mutating func appendLiteral(_ literal: StaticString) { markup += literal.description }

    mutating func appendInterpolation(_ text: some StringProtocol) { HTML.escape(text, into: &markup) }

    mutating func appendInterpolation(_ number: some BinaryInteger) { markup += number.description }

    mutating func appendInterpolation(_ html: HTML) { markup += html.markup }

    mutating func appendInterpolation(_ parts: [HTML]) {
      for part in parts { markup += part.markup }
    }
  }

  /// Without the buttons that act, and the boxes that choose for them, for those who only look. Exact, because no text that comes in by
  /// interpolation has a `<`.
  var withoutButtons: HTML {
    without("<button form=\"", to: "</button>").without("<label class=\"choose\"", to: "</label>")
  }

  private func without(_ start: String, to end: String) -> HTML {
    var kept = ""
    var rest = markup[...]
    while let found = rest.firstRange(of: start) {
      kept += rest[..<found.lowerBound]
      rest = rest[found.upperBound...]
      rest = rest.firstRange(of: end).map { rest[$0.upperBound...] } ?? ""
    }
    return HTML(markup: kept + rest)
  }

  static func + (left: HTML, right: HTML) -> HTML { HTML(markup: left.markup + right.markup) }

  /// Characters that have no place in a document become U+FFFD (HTML, 13.2.3.5), the five that mean something become references.
  private static func escape(_ text: some StringProtocol, into markup: inout String) {
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": markup += "&amp;"
      case "<": markup += "&lt;"
      case ">": markup += "&gt;"
      case "\"": markup += "&quot;"
      case "'": markup += "&#39;"
      case "\t", "\n": markup.unicodeScalars.append(scalar)
      case _ where scalar.value < 32 || (127...159).contains(scalar.value) || scalar.value & 0xFFFE == 0xFFFE:
        markup.unicodeScalars.append("\u{FFFD}")
      default: markup.unicodeScalars.append(scalar)
      }
    }
  }
}

extension Array where Element == HTML {
  /// The parts one after another, with something between them.
  func joined(_ separator: HTML) -> HTML {
    var result = HTML.none
    for (index, part) in enumerated() { result = index == 0 ? part : result + separator + part }
    return result
  }
}
