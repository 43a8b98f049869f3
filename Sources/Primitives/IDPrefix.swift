package import FoundationEssentials

/// The start of a review's id, as tables and logs show it and people type it: at least four hexadecimal digits, with or without the hyphens
/// of the whole. A whole id is the prefix of one id only.
package struct IDPrefix: Sendable, Hashable, LosslessStringConvertible {
  /// Fewer digits name nothing: among a few thousand reviews most of them would be ambiguous.
  package static let digitCountMin = 4
  private static let digitCountMax = 32
  /// After so many digits the whole form has a hyphen (RFC 9562, section 4).
  private static let hyphens: Set<Int> = [8, 12, 16, 20]

  /// The digits, lower case, without hyphens.
  private let digits: String

  package init?(_ text: String) {
    var digits = ""
    for (index, character) in text.utf8.enumerated() {
      if character == UInt8(ascii: "-") {
        guard index > 0, Self.hyphens.contains(digits.utf8.count), text.utf8.dropFirst(index - 1).first != character
        else { return nil }
      } else {
        guard let digit = Character(UnicodeScalar(character)).hexDigitValue else { return nil }
        digits += String(digit, radix: 16)
      }
    }
    guard (Self.digitCountMin...Self.digitCountMax).contains(digits.utf8.count) else { return nil }
    self.digits = digits
  }

  /// The id, if these are all of its digits.
  package var id: UUID? { digits.utf8.count == Self.digitCountMax ? first : nil }

  /// The first and the last id that begin so, in Postgres's order.
  package var first: UUID { filled(with: "0") }
  package var last: UUID { filled(with: "f") }

  package var description: String {
    var text = ""
    for (index, digit) in digits.enumerated() {
      if Self.hyphens.contains(index) { text += "-" }
      text.append(digit)
    }
    return text
  }

  private func filled(with digit: Character) -> UUID {
    let all = digits + String(repeating: digit, count: Self.digitCountMax - digits.utf8.count)
    var bytes: [UInt8] = []
    var rest = all[...]
    while !rest.isEmpty {
      bytes.append(UInt8(rest.prefix(2), radix: 16) ?? 0)
      rest = rest.dropFirst(2)
    }
    return bytes.withUnsafeBytes { UUID(uuid: $0.load(as: uuid_t.self)) }
  }
}
