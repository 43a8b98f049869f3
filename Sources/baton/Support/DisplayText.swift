internal import Primitives
internal import Reviews

/// Texts of others made safe for a terminal, and measured as it shows them.
enum DisplayText {
  /// One line of text that cannot move the cursor, change colours, reorder its surroundings or hide.
  ///
  /// Line breaks and tabs become a space; other control characters their pictures (␛); what has no picture, its number.
  static func safe(_ text: String, byteCountMax: Int = 4_096) -> String {
    var result = String.UnicodeScalarView()
    var isSpace = false
    var byteCount = 0
    for scalar in text.unicodeScalars {
      byteCount += UTF8.width(scalar)
      guard byteCount <= byteCountMax else { return String(result) + "…" }
      switch scalar {
      case "\t", "\n", "\r", "\u{0B}", "\u{0C}", "\u{85}", "\u{2028}", "\u{2029}":
        if !isSpace { result.append(" ") }
        isSpace = true
        continue
      case "\u{0}"..."\u{1F}": result.append(Unicode.Scalar(0x2400 + scalar.value) ?? "\u{FFFD}")
      case "\u{7F}": result.append("\u{2421}")
      // Two joiners and a selector that scripts and emoji need.
      case "\u{200C}", "\u{200D}", "\u{FE0F}": result.append(scalar)
      case _ where scalar.isHidden: result.append(contentsOf: number(scalar).unicodeScalars)
      default: result.append(scalar)
      }
      isSpace = false
    }
    return String(result)
  }

  private static func number(_ scalar: Unicode.Scalar) -> String { "\\u{\(String(scalar.value, radix: 16))}" }

  /// Messages of our own, in which texts of others may stand: what a terminal would obey or not show is replaced, and nothing else.
  static func plain(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0.isHidden }) else { return text }
    return text.unicodeScalars.map { $0.isHidden && $0 != "\t" ? number($0) : String($0) }.joined()
  }

  /// Several lines, each made safe; at most `lineMax`.
  static func safeLines(_ text: String, lineMax: Int = 50) -> [String] {
    let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
    let shown = lines.prefix(lineMax).map { safe(String($0)) }
    return lines.count > lineMax ? shown + ["… (\(lines.count - lineMax) more lines)"] : shown
  }

  /// The columns that a terminal takes for a text without control characters.
  static func width(_ text: some StringProtocol) -> Int { text.reduce(0) { $0 + width($1) } }

  /// The text cut to a width, with `…` where something is missing.
  static func fitted(_ text: String, to widthMax: Int, cutInFront: Bool = false) -> String {
    guard width(text) > widthMax else { return text }
    guard widthMax > 0 else { return "" }
    var room = widthMax - 1
    func fits(_ character: Character) -> Bool {
      room -= width(character)
      return room >= 0
    }
    return cutInFront ? "…" + String(text.reversed().prefix(while: fits).reversed()) : text.prefix(while: fits) + "…"
  }

  private static func width(_ character: Character) -> Int {
    // With the emoji selector, or as a pair that makes a flag, a character is drawn over two columns.
    if character.unicodeScalars.contains("\u{FE0F}") { return 2 }
    return character.unicodeScalars.reduce(0) { max($0, width($1)) }
  }

  private static func width(_ scalar: Unicode.Scalar) -> Int {
    guard scalar.value >= 0x300 else { return 1 }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control: return 0
    default: break
    }
    if scalar.properties.isEmojiPresentation { return 2 }
    return wideRanges.contains { $0.contains(scalar.value) } ? 2 : 1
  }

  /// East Asian Wide and Fullwidth (Unicode Standard Annex 11), in blocks.
  private static let wideRanges: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
    0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
    0x17000...0x18AFF, 0x1B000...0x1B2FF, 0x1F300...0x1F64F, 0x1F900...0x1F9FF, 0x20000...0x3FFFD,
  ]
}
