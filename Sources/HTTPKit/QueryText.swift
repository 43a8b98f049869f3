/// The parameters of a URL: `name=value` pairs, percent-encoded, with `+` for a space.
///
/// A name that the route does not know is a fault rather than ignored, as a misspelt filter would answer with everything.
/// A parameter without a value counts as not given.
package struct QueryText: Sendable, Equatable {
  package private(set) var values: [String: String] = [:]
  package private(set) var faults: [String] = []

  /// More parameters than any route knows: what comes behind them is one fault, however much it is.
  private static let pairCountMax = 32
  /// The same if some of them are lists: more boxes than a page has.
  private static let listedPairCountMax = 1_000

  /// - Parameters:
  ///   - text: the query of a URL, or the body of a form.
  ///   - names: of all parameters.
  ///   - lists: those that may come repeatedly, as boxes of a form do; their values are joined by commas.
  package init(_ text: String, knowing names: [String], lists: Set<String> = []) {
    let countMax = lists.isEmpty ? Self.pairCountMax : Self.listedPairCountMax
    let pairs = text.split(separator: "&", maxSplits: countMax)
    if pairs.count > countMax { faults.append("expected at most \(countMax) parameters") }
    for pair in pairs.prefix(countMax) {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = Self.decode(parts[0]), names.contains(name) else {
        faults.append("unknown parameter \"\(Self.shown(parts[0]))\": expected \(names.joined(separator: ", "))")
        continue
      }
      guard let value = parts.count > 1 ? Self.decode(parts[1]) : "" else {
        faults.append("\(name): not percent-encoded UTF-8 text")
        continue
      }
      guard !value.isEmpty else { continue }
      if lists.contains(name), let listed = values[name] {
        values[name] = "\(listed),\(value)"
      } else if values.updateValue(value, forKey: name) != nil {
        faults.append("\(name): given more than once")
      }
    }
  }

  /// The start of a name that was sent, so that a fault stays one line.
  private static func shown(_ name: Substring) -> String {
    String(name.unicodeScalars.prefix(40).map { $0.value < 32 || $0.value == 127 ? "?" : Character($0) })
  }

  /// Decodes strictly: nil for a lone percent sign, for bytes that are no UTF-8, and for NUL, which Postgres does not store.
  package static func decode(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "+"): bytes.append(0x20)
      case UInt8(ascii: "%"):
        guard let high = rest.popFirst()?.hexDigit, let low = rest.popFirst()?.hexDigit else { return nil }
        bytes.append(high << 4 | low)
      default: bytes.append(byte)
      }
    }
    guard !bytes.contains(0) else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }
}

extension UInt8 {
  fileprivate var hexDigit: UInt8? {
    switch self {
    case 0x30...0x39: self - 0x30
    case 0x41...0x46: self - 0x37
    case 0x61...0x66: self - 0x57
    default: nil
    }
  }
}
