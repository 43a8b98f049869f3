extension Sequence<UInt8> {
  /// Two hexadecimal digits for each byte, in lower case.
  package var hexadecimal: String {
    var digits: [UInt8] = []
    digits.reserveCapacity(2 * underestimatedCount)
    for byte in self { digits += [.hexadecimalDigit(byte >> 4), .hexadecimalDigit(byte & 15)] }
    return String(decoding: digits, as: UTF8.self)
  }
}

extension UInt8 {
  /// The digit of a value below 16, in ASCII and lower case.
  static func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value
  }
}
