/// Keeps the characters that a reader sees, and counts the others.
///
/// Kept are letters, marks, numbers, punctuation, symbols, tabs and line ends, by their general category: what Unicode adds, or leaves
/// without a meaning, is hidden until it is known. Spaces of any width become plain ones. Of the characters without a width, those stay that
/// change how a visible neighbour looks: a joiner between two emoji or two letters of a script that needs it, a selector after an emoji.
struct CharacterFilter {
  /// The kept text, in UTF-8.
  private(set) var bytes: [UInt8] = []
  private(set) var hiddenCount = 0
  private(set) var isCut = false

  private let byteCountMax: Int
  /// The last character that was kept.
  private var previous: Unicode.Scalar = "\n"
  /// A joiner or selector that stays only if the next character needs it.
  private var pending: Unicode.Scalar?
  private var followsReturn = false

  init(byteCountMax: Int) {
    self.byteCountMax = byteCountMax
  }

  /// Takes a text, until there is no room for more.
  mutating func take(_ text: String) {
    var rest = text[...]
    while true {
      takePlain(&rest)
      guard let scalar = rest.unicodeScalars.popFirst(), take(scalar) else { return }
    }
  }

  /// Takes the letters, digits and signs of ASCII that a text begins with, all at once: most texts have nothing else.
  private mutating func takePlain(_ text: inout Substring) {
    guard pending == nil, !followsReturn else { return }
    let room = byteCountMax - bytes.count
    let count =
      text.utf8.withContiguousStorageIfAvailable { source -> Int in
        let plain = source.prefix(room).prefix { (0x20...0x7E).contains($0) || $0 == 0x0A || $0 == 0x09 }
        bytes += plain
        if let last = plain.last { previous = Unicode.Scalar(last) }
        return plain.count
      } ?? 0
    text = Substring(text.utf8.dropFirst(count))
  }

  /// Takes the next character.
  /// - Returns: false if there is no room for it; then nothing more is to be given.
  mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    let isReturn = scalar == "\r"
    defer { followsReturn = isReturn }
    // CR LF is one line end, and its CR has become one already.
    if followsReturn && scalar == "\n" { return true }
    if let joiner = pending {
      pending = nil
      if Self.needs(joiner, between: previous, and: scalar) {
        guard append(joiner) else { return false }
      } else {
        hiddenCount += 1
      }
    }
    if let visible = Self.visible(isReturn ? "\n" : scalar) { return append(visible) }
    switch scalar.value {
    case 0x200C, 0x200D: pending = scalar
    case 0xFE0E...0xFE0F where previous.isASCII: pending = scalar
    case 0xFE0E...0xFE0F where previous.properties.isEmoji: return append(scalar)
    default: hiddenCount += 1
    }
    return true
  }

  /// Nothing follows.
  mutating func finish() {
    if pending != nil { hiddenCount += 1 }
    pending = nil
  }

  private mutating func append(_ scalar: Unicode.Scalar) -> Bool {
    guard bytes.count + UTF8.width(scalar) <= byteCountMax else {
      isCut = true
      return false
    }
    if scalar.isASCII {
      bytes.append(UInt8(truncatingIfNeeded: scalar.value))
    } else {
      bytes += UTF8.encode(scalar) ?? .init()
    }
    previous = scalar
    return true
  }

  /// The character as it is kept; nil if it is hidden.
  private static func visible(_ scalar: Unicode.Scalar) -> Unicode.Scalar? {
    switch scalar.value {
    case 0x20...0x7E, 0x09, 0x0A: return scalar
    // Most of what is written in other scripts, without a look at its properties: Latin, Cyrillic, kana, Han, Hangul.
    case 0xA1...0xAC, 0xAE...0x24F, 0x400...0x482, 0x3041...0x3096, 0x30A1...0x30FF, 0x4E00...0x9FFF, 0xAC00...0xD7A3:
      return scalar
    // A cell of Braille without a dot; the place of an object that is not there.
    case 0x2800, 0xFFFC: return nil
    default: break
    }
    if scalar.properties.isDefaultIgnorableCodePoint { return nil }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: return nil
    case .spaceSeparator: return " "
    default: return scalar
    }
  }

  private static func needs(
    _ joiner: Unicode.Scalar, between previous: Unicode.Scalar, and next: Unicode.Scalar
  ) -> Bool {
    if joiner.value >= 0xFE0E { return "0123456789#*".unicodeScalars.contains(previous) && next.value == 0x20E3 }
    if joiner.value == 0x200D, isPicture(previous) || previous.value == 0xFE0F, isPicture(next) { return true }
    return isJoined(previous) && isJoined(next)
  }

  private static func isPicture(_ scalar: Unicode.Scalar) -> Bool {
    !scalar.isASCII && (scalar.properties.isEmoji || scalar.properties.isEmojiModifier)
  }

  /// A letter or mark of a script whose letters take other forms next to each other: Arabic to Myanmar, Khmer, Mongolian.
  private static func isJoined(_ scalar: Unicode.Scalar) -> Bool {
    guard (0x600...0x109F).contains(scalar.value) || (0x1780...0x18AF).contains(scalar.value) else { return false }
    return scalar.properties.isAlphabetic || scalar.properties.canonicalCombiningClass != .notReordered
  }
}
