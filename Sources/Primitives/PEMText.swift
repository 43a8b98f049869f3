internal import FoundationEssentials

/// A private key in the forms that it takes on its way through environment files, secrets of clusters and copies by hand: in quotes, with
/// `\n` or `\r\n` in two characters each, with blanks around or instead of its ends of lines, or as base64 of all of it.
package enum PEMText {
  /// Characters of a line of PEM (RFC 7468).
  private static let lineLength = 64

  /// The text as PEM has it; what holds none stays as it is.
  package static func normalized(_ text: String) -> String {
    let plain = unquoted(text)
    return wrapped(decoded(plain) ?? plain)
  }

  private static func unquoted(_ text: String) -> String {
    var text = trimmed(text)
    for quote in ["\"", "'"] where text.count >= 2 && text.hasPrefix(quote) && text.hasSuffix(quote) {
      text = trimmed(String(text.dropFirst().dropLast()))
    }
    return text
  }

  private static func decoded(_ text: String) -> String? {
    guard !text.contains("-----") else { return nil }
    let digits = text.filter { !$0.isWhitespace }
    return Data(base64Encoded: digits).flatMap { String(bytes: $0, encoding: .utf8) }.map { unquoted($0) }
  }

  /// The first block, with its lines as they belong.
  private static func wrapped(_ text: String) -> String {
    let plain = text.replacing("\\r", with: "").replacing("\\n", with: "\n")
    guard let block = plain.firstMatch(of: /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/) else { return text }
    var digits = block.2.filter { !$0.isWhitespace }[...]
    // One with a header, as an encrypted one has: not for this reader.
    guard !digits.contains(":") else { return text }
    var lines = ["-----BEGIN \(block.1)-----"]
    while !digits.isEmpty {
      lines.append(String(digits.prefix(lineLength)))
      digits = digits.dropFirst(lineLength)
    }
    lines.append("-----END \(block.1)-----")
    return lines.joined(separator: "\n") + (plain.last?.isNewline == true ? "\n" : "")
  }

  private static func trimmed(_ text: String) -> String {
    var text = text[...]
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}
