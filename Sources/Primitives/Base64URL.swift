package import FoundationEssentials

/// Base64 with the alphabet for URLs, without padding (RFC 4648, 5): the form of a JSON Web Token's parts.
package enum Base64URL {
  /// The text of bytes.
  package static func encode(_ bytes: some ContiguousBytes) -> String {
    let standard = bytes.withUnsafeBytes { Data($0) }.base64EncodedString()
    return String(
      decoding: standard.utf8.compactMap { byte in
        switch byte {
        case UInt8(ascii: "+"): UInt8(ascii: "-")
        case UInt8(ascii: "/"): UInt8(ascii: "_")
        case UInt8(ascii: "="): nil
        default: byte
        }
      }, as: UTF8.self)
  }

  /// Strict: only the one form that ``encode(_:)`` writes is read, so a text has no second spelling.
  /// - Returns: nil if the text has another form.
  package static func decode(_ text: some StringProtocol) -> [UInt8]? {
    var standard = text.utf8.map { byte in
      switch byte {
      case UInt8(ascii: "-"): UInt8(ascii: "+")
      case UInt8(ascii: "_"): UInt8(ascii: "/")
      default: byte
      }
    }
    while standard.count % 4 != 0 { standard.append(UInt8(ascii: "=")) }
    guard let data = Data(base64Encoded: String(decoding: standard, as: UTF8.self)), encode(data) == text else {
      return nil
    }
    return Array(data)
  }
}
