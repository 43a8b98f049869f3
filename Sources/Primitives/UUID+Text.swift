package import FoundationEssentials

// Foundation's own conversions go through scanf and printf, which would slow down a dispatch noticeably.
extension UUID {
  /// A random one. `UUID()` opens `/dev/urandom` for each.
  package static func random() -> UUID {
    var generator = SystemRandomNumberGenerator()
    return .random(using: &generator)
  }

  /// The canonical text form, lower case, as Postgres prints it (RFC 9562, section 4).
  package var lowercase: String {
    withUnsafeBytes(of: uuid) { bytes in
      String(unsafeUninitializedCapacity: 36) { text in
        var position = 0
        for (index, byte) in bytes.enumerated() {
          if index == 4 || index == 6 || index == 8 || index == 10 {
            text[position] = UInt8(ascii: "-")
            position += 1
          }
          text[position] = .hexadecimalDigit(byte >> 4)
          text[position + 1] = .hexadecimalDigit(byte & 15)
          position += 2
        }
        return position
      }
    }
  }

  /// Reads the canonical form, in upper or lower case.
  package init?(text: String) {
    var text = text
    guard let id = text.withUTF8({ UUID(text: $0) }) else { return nil }
    self = id
  }

  /// Reads the canonical form, in upper or lower case.
  /// - Parameter text: its 36 characters, ASCII.
  package init?(text: UnsafeBufferPointer<UInt8>) {
    guard text.count == 36 else { return nil }
    var uuid: uuid_t = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    let isWellFormed = withUnsafeMutableBytes(of: &uuid) { bytes in
      var count = 0
      for position in 0..<36 {
        if position == 8 || position == 13 || position == 18 || position == 23 {
          guard text[position] == UInt8(ascii: "-") else { return false }
        } else {
          guard let value = Self.value(text[position]) else { return false }
          bytes[count / 2] = bytes[count / 2] << 4 | value
          count += 1
        }
      }
      return true
    }
    guard isWellFormed else { return nil }
    self.init(uuid: uuid)
  }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
