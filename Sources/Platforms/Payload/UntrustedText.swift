/// Text that others wrote, made fit to stand in a prompt: as data that shows where it begins and ends.
struct UntrustedText: Sendable, Equatable {
  /// What is left of it: bounded, of visible characters, with line feeds as the only line ends.
  let text: String
  /// Whether its end was cut off.
  let isCut: Bool

  /// - Parameter byteCountMax: what goes beyond, in bytes of UTF-8, is cut off.
  init(_ raw: String, byteCountMax: Int) {
    var kept = String.UnicodeScalarView()
    var byteCount = 0
    var isCut = false
    var followsReturn = false
    for scalar in raw.unicodeScalars {
      let isReturn = scalar == "\r"
      defer { followsReturn = isReturn }
      // CR LF is one line end, and its CR has become one already.
      if followsReturn && scalar == "\n" { continue }
      let scalar = isReturn ? "\n" : scalar
      guard Self.isVisible(scalar) else { continue }
      byteCount += UTF8.width(scalar)
      guard byteCount <= byteCountMax else {
        isCut = true
        break
      }
      kept.append(scalar)
    }
    text = String(kept)
    self.isCut = isCut
  }

  /// The text between two fences of backticks, each alone on its line, after a line that names it.
  ///
  /// A fence is longer than any run of backticks in the text, so that no text can close its own; the reader is told that
  /// what stands inside is data.
  func fenced(_ name: String) -> String {
    let fence = String(repeating: "`", count: max(4, longestRun + 1))
    return "\(name)\(isCut ? " (cut off at the end)" : ""):\n\(fence)\n\(text)\n\(fence)"
  }

  /// The text on one line, without backticks, for a place between two backticks.
  var inline: String {
    String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 == "`" ? "'" : $0 })
  }

  private var longestRun: Int {
    var longest = 0
    var run = 0
    for byte in text.utf8 {
      run = byte == UInt8(ascii: "`") ? run + 1 : 0
      longest = max(longest, run)
    }
    return longest
  }

  /// Neither a control character nor one that hides or reorders what a person would see: those carry instructions that
  /// the author's colleagues never saw.
  private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09, 0x0A: true
    case 0x00...0x1F, 0x7F...0x9F: false
    // Zero width space and direction marks, but not the joiners (200C, 200D) that scripts and emoji need.
    case 0x200B, 0x200E, 0x200F, 0x2028, 0x2029, 0x202A...0x202E, 0x2060...0x206F, 0xFEFF: false
    // Tags: invisible copies of ASCII.
    case 0xE0000...0xE007F: false
    default: true
    }
  }
}

extension String {
  /// The text as one word of a POSIX shell, which expands nothing in it.
  var shellWord: String {
    let isPlain =
      !isEmpty && !hasPrefix("-")
      && utf8.allSatisfy { byte in
        switch byte {
        case 48...57, 65...90, 97...122: true
        default: "-._/+:@%,=".utf8.contains(byte)
        }
      }
    return isPlain ? self : "'" + replacing("'", with: #"'\''"#) + "'"
  }
}
