/// `host[:port]` as a Host header has it (RFC 3986, 3.2): without a user, and nothing behind it.
package struct Authority: Sendable, Equatable {
  /// In lower case; an IPv6 address without its brackets.
  package let host: String
  package let port: Int?

  /// nil for a text that is something else, as `localhost:80@evil.example` and `[::1].evil.example` are.
  package init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    let hostEnd: Int
    if bytes.first == UInt8(ascii: "[") {
      guard let end = bytes.firstIndex(of: UInt8(ascii: "]")), bytes[1..<end].contains(UInt8(ascii: ":")),
        bytes[1..<end].allSatisfy(Self.isOfAddress)
      else { return nil }
      host = String(decoding: bytes[1..<end], as: UTF8.self).lowercased()
      hostEnd = end + 1
    } else {
      hostEnd = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.count
      guard bytes[..<hostEnd].allSatisfy(Self.isOfName) else { return nil }
      host = String(decoding: bytes[..<hostEnd], as: UTF8.self).lowercased()
    }
    let rest = bytes[hostEnd...]
    guard let colon = rest.first else {
      port = nil
      return
    }
    let digits = rest.dropFirst()
    guard colon == UInt8(ascii: ":"), !host.isEmpty, digits.count <= 5, digits.allSatisfy(Self.isDigit) else {
      return nil
    }
    port = digits.isEmpty ? nil : Int(String(decoding: digits, as: UTF8.self))
    guard port.map({ $0 <= Int(UInt16.max) }) ?? true else { return nil }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  private static func isOfAddress(_ byte: UInt8) -> Bool {
    isDigit(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte) || byte == UInt8(ascii: ":")
      || byte == UInt8(ascii: ".")
  }

  /// Letters, digits, and what else RFC 3986 allows in a registered name.
  private static func isOfName(_ byte: UInt8) -> Bool {
    isDigit(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
      || "-._~%!$&'()*+,;=".utf8.contains(byte)
  }
}
