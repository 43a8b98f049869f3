extension String {
  /// The text as one word of a POSIX shell, which expands nothing in it; visible, and without a backtick, so that it can stand in
  /// a command between backticks.
  var shellWord: String {
    let isPlain =
      !isEmpty && !hasPrefix("-")
      && utf8.allSatisfy { byte in
        switch byte {
        case 48...57, 65...90, 97...122: true
        default: "-._/+:@%,=".utf8.contains(byte)
        }
      }
    if isPlain { return self }
    let seen = UntrustedText(self, byteCountMax: utf8.count)
    if seen.text == self && seen.hiddenCharacterCount == 0
      && !utf8.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "`") })
    {
      return "'" + replacing("'", with: #"'\''"#) + "'"
    }
    return #""$(printf '"# + utf8.map(Self.printed).joined() + #"')""#
  }

  /// A byte in a format of printf.
  private static func printed(_ byte: UInt8) -> String {
    switch byte {
    case 48...57, 65...90, 97...122: return String(Character(Unicode.Scalar(byte)))
    case _ where "._/+:@,=".utf8.contains(byte): return String(Character(Unicode.Scalar(byte)))
    default:
      let digits = String(byte, radix: 8)
      return "\\" + String(repeating: "0", count: 3 - digits.count) + digits
    }
  }
}
