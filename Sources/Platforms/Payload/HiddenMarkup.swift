/// Takes out of a text in Markdown what a page on GitHub or GitLab does not show: comments, attributes and other insides of HTML,
/// elements that are not rendered, definitions and titles of links, the texts of images.
///
/// One pass, from the front to the end. It is no renderer: if it is unclear whether something is shown, it is taken out. Code is shown as it
/// stands; known as code are fenced blocks that begin at a line's start after an empty line, and spans between backticks on one line.
struct HiddenMarkup {
  /// The text without what is hidden; a mark in parentheses stands in its place.
  var text: String { String(decoding: output, as: UTF8.self) }
  private(set) var removedCount = 0
  /// Whether the text was longer than what is read.
  private(set) var isCut = false

  /// GitHub takes 65,536 characters, which are at most so many bytes.
  private static let byteCountMax = 262_144
  /// How far a tag, or the target of a link, is looked for its end.
  static let lookAheadMax = 1_024

  let bytes: ArraySlice<UInt8>
  var position: Int
  private var output: [UInt8] = []
  /// The brackets of this block that are open.
  private var openers: [Opener] = []
  /// Whether HTML may go on here, which knows no code.
  private var isRawBlock = false
  private var isFenceTrusted = true
  /// Whether each run of backticks of this block has had its partner on its own line.
  private var isSpanTrusted = true
  private var followsEmptyLine = true
  private var knownBlockEnd = 0

  private struct Opener {
    var isImage: Bool
    /// Where its bracket, or exclamation mark, stands in the output.
    var start: Int
    /// Whether nothing but the signs of lists and quotes stands before it on its line.
    var isFirst: Bool
  }

  /// - Parameter byteCountMax: more of the result is not wanted.
  init(_ raw: String, byteCountMax: Int) {
    let all = Self.withLineFeeds(Array(raw.utf8))
    bytes = all.prefix(Self.byteCountMax)
    position = 0
    output.reserveCapacity(min(bytes.count, byteCountMax + Self.lookAheadMax))
    // A bracket that is open may still take back what stands behind it.
    while position < bytes.endIndex, (openers.first?.start ?? output.count) <= byteCountMax { step() }
    isCut = position < all.endIndex
  }

  /// With line feeds as the only line ends.
  private static func withLineFeeds(_ bytes: [UInt8]) -> [UInt8] {
    let (feed, carriageReturn) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"))
    guard bytes.contains(carriageReturn) else { return bytes }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var previous: UInt8 = 0
    for byte in bytes {
      if byte != feed || previous != carriageReturn { result.append(byte == carriageReturn ? feed : byte) }
      previous = byte
    }
    return result
  }

  private mutating func step() {
    if output.isEmpty || output.last == UInt8(ascii: "\n"), copyFence() { return }
    switch bytes[position] {
    case UInt8(ascii: "<"): takeTag()
    case UInt8(ascii: "["): open(isImage: false)
    case UInt8(ascii: "!") where peek(1) == UInt8(ascii: "["): open(isImage: true)
    case UInt8(ascii: "]"): close()
    case UInt8(ascii: "`"): copySpan()
    case UInt8(ascii: "\\"):
      copy()
      // Within HTML a backslash protects nothing, so it does not count for "<".
      if let next = peek(0), "[]\\`".utf8.contains(next) { copy() }
    case UInt8(ascii: "\n"): endLine()
    default: copyPlain()
    }
  }

  /// Copies up to the next character that may mean something.
  private mutating func copyPlain() {
    let start = position
    position += 1
    scan: while position < bytes.endIndex {
      switch bytes[position] {
      case UInt8(ascii: "<"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "!"), UInt8(ascii: "`"),
        UInt8(ascii: "\\"),
        UInt8(ascii: "\n"):
        break scan
      default: position += 1
      }
    }
    output += bytes[start..<position]
  }

  // MARK: Parts

  func peek(_ offset: Int) -> UInt8? {
    let index = position + offset
    return index < bytes.endIndex ? bytes[index] : nil
  }

  mutating func copy() {
    output.append(bytes[position])
    position += 1
  }

  mutating func emit(_ text: some Sequence<UInt8>) { output += text }

  /// Goes on at a position, and leaves a mark for what is passed over.
  mutating func remove(to end: Int, _ what: String) {
    pass(to: end)
    removedCount += 1
    output += "(\(what) removed)".utf8
  }

  /// Goes on at a position, without a mark.
  mutating func pass(to end: Int) {
    // A page may have taken a backtick in there for the begin of a span.
    if bytes[position..<end].contains(UInt8(ascii: "`")) { isSpanTrusted = false }
    position = end
  }

  mutating func count() { removedCount += 1 }

  private mutating func endLine() {
    followsEmptyLine = output.isEmpty || output.last == UInt8(ascii: "\n")
    copy()
    // If the next line is empty, blocks end.
    var next = position
    while next < bytes.endIndex, bytes[next].isBlank { next += 1 }
    guard next < bytes.endIndex, bytes[next].isLineEnd else { return }
    openers.removeAll(keepingCapacity: true)
    isRawBlock = false
    isSpanTrusted = true
    position = next
  }

  /// Where the block of a place that is not behind an earlier one ends: at the next empty line, or at the text's end.
  mutating func blockEnd(from start: Int) -> Int {
    if start < knownBlockEnd { return knownBlockEnd }
    var index = start
    while index < bytes.endIndex {
      if bytes[index].isLineEnd {
        var next = index + 1
        while next < bytes.endIndex, bytes[next].isBlank { next += 1 }
        if next >= bytes.endIndex || bytes[next].isLineEnd { break }
      }
      index += 1
    }
    knownBlockEnd = index
    return index
  }

  /// Whether only the signs of lists and quotes stand before this place on its line. If there are very many of them, it counts as such.
  var isFirstOnLine: Bool {
    for byte in output.suffix(64).reversed() {
      if byte == UInt8(ascii: "\n") { return true }
      if !" \t>-*+.)0123456789".utf8.contains(byte) { return false }
    }
    return true
  }

  var mayBeRaw: Bool { isRawBlock }
  mutating func beginRawBlock(trustsFences: Bool) {
    isRawBlock = true
    if !trustsFences { isFenceTrusted = false }
  }
}

// MARK: Code

extension HiddenMarkup {
  /// Copies a run of backticks, and the span of code that it begins.
  private mutating func copySpan() {
    let run = bytes[position...].prefix { $0 == UInt8(ascii: "`") }
    let isMath = output.last == UInt8(ascii: "$")
    var index = run.endIndex
    while isSpanTrusted, !isRawBlock, !isMath, index < bytes.endIndex, !bytes[index].isLineEnd,
      bytes[index] != UInt8(ascii: "|")
    {
      guard bytes[index] == UInt8(ascii: "`") else {
        index += 1
        continue
      }
      let other = bytes[index...].prefix { $0 == UInt8(ascii: "`") }
      index = other.endIndex
      if other.count == run.count {
        emit(bytes[position..<index])
        position = index
        return
      }
    }
    isSpanTrusted = false
    emit(run)
    position = run.endIndex
  }

  /// Languages whose blocks are shown as a drawing.
  private static let drawings: Set<String> = ["mermaid", "plantuml", "geojson", "topojson", "stl", "math", "kroki"]

  /// Copies a fenced block of code.
  private mutating func copyFence() -> Bool {
    guard isFenceTrusted, followsEmptyLine || output.isEmpty, let sign = peek(0),
      sign == UInt8(ascii: "`") || sign == UInt8(ascii: "~")
    else { return false }
    let length = bytes[position...].prefix { $0 == sign }.count
    let lineEnd = endOfLine(from: position)
    let info = bytes[(position + length)..<lineEnd]
    guard length >= 3, sign == UInt8(ascii: "~") || !info.contains(sign) else { return false }
    let end = endOfFence(from: lineEnd, sign: sign, length: length)
    let language = String(decoding: info.drop(while: \.isBlank).prefix { !$0.isBlank }, as: UTF8.self)
    if Self.drawings.contains(language.lowercased()) {
      remove(to: end, "drawing")
    } else {
      emit(bytes[position..<position + length])
      let isWord =
        language.utf8.count <= 20 && language.utf8.allSatisfy { $0.isLetter || "0123456789+#._-".utf8.contains($0) }
      let isPlain = isWord && info.drop(while: \.isBlank).drop { !$0.isBlank }.allSatisfy(\.isBlank)
      if isPlain { emit(language.utf8) } else { remove(to: lineEnd, "hidden text of a fence") }
      emit(bytes[lineEnd..<end])
      position = end
    }
    followsEmptyLine = true
    return true
  }

  private func endOfLine(from start: Int) -> Int { bytes[start...].firstIndex(where: \.isLineEnd) ?? bytes.endIndex }

  /// Behind the line that closes a fence; the text's end if none does.
  private func endOfFence(from start: Int, sign: UInt8, length: Int) -> Int {
    var index = start
    while index < bytes.endIndex {
      let lineEnd = endOfLine(from: index + 1 <= bytes.endIndex ? index + 1 : index)
      let line = bytes[min(index + 1, lineEnd)..<lineEnd]
      let indent = line.prefix { $0 == UInt8(ascii: " ") }.count
      let run = line.dropFirst(indent).prefix { $0 == sign }.count
      if indent <= 3, run >= length, line.dropFirst(indent + run).allSatisfy(\.isBlank) {
        return min(lineEnd + 1, bytes.endIndex)
      }
      index = lineEnd
    }
    return index
  }
}

// MARK: Brackets

extension HiddenMarkup {
  private mutating func open(isImage: Bool) {
    openers.append(Opener(isImage: isImage, start: output.count, isFirst: !isImage && isFirstOnLine))
    if isImage { copy() }
    copy()
  }

  private mutating func close() {
    guard let opener = openers.popLast() else { return copy() }
    let afterBracket = position + 1
    let next = afterBracket < bytes.endIndex ? bytes[afterBracket] : 0
    if opener.isImage {
      // A bracket within code does not end the text of an image, so then its end is not known.
      let isClear = !output[opener.start...].contains(UInt8(ascii: "`"))
      let end = isClear ? endOfTarget(from: afterBracket) ?? afterBracket : blockEnd(from: afterBracket)
      output.removeSubrange(opener.start...)
      return remove(to: end, "image")
    }
    if next == UInt8(ascii: ":"), opener.isFirst {
      let isFootnote = output.count > opener.start + 1 && output[opener.start + 1] == UInt8(ascii: "^")
      if let end = isFootnote ? endOfFootnote(from: afterBracket) : endOfDefinition(from: afterBracket + 1) {
        output.removeSubrange(opener.start...)
        return remove(to: end, isFootnote ? "footnote" : "hidden link definition")
      }
    }
    guard let end = endOfTarget(from: afterBracket) else { return copy() }
    if output[(opener.start + 1)...].allSatisfy({ $0.isBlank || $0.isLineEnd }) {
      output.removeSubrange(opener.start...)
      return remove(to: end, "empty link")
    }
    copy()
    let target = bytes[(afterBracket + 1)..<(end - 1)]
    // An address alone. A title, a long address and a label of several words could say anything.
    guard target.count > 300 || target.contains(where: { $0.isBlank || $0.isLineEnd || $0 == UInt8(ascii: "<") }) else {
      return
    }
    remove(to: end, "hidden text of a link")
  }

  /// Behind the target of a link, `(address "title")` or `[label]`; nil if none begins here.
  private mutating func endOfTarget(from start: Int) -> Int? {
    guard start < bytes.endIndex else { return nil }
    let pairs = [UInt8(ascii: "("): UInt8(ascii: ")"), UInt8(ascii: "["): UInt8(ascii: "]")]
    guard let close = pairs[bytes[start]] else { return nil }
    var depth = 0
    var quote: UInt8?
    var index = start
    let limit = min(blockEnd(from: start), start + Self.lookAheadMax)
    while index < limit {
      let byte = bytes[index]
      if byte == UInt8(ascii: "\\") {
        index += 1
      } else if let open = quote {
        if byte == open { quote = nil }
      } else if "\"'".utf8.contains(byte), bytes[index - 1].isBlank || bytes[index - 1].isLineEnd {
        quote = byte
      } else if byte == bytes[start] {
        depth += 1
      } else if byte == close {
        depth -= 1
        if depth == 0 { return index + 1 }
      }
      index += 1
    }
    // Too long to be looked at: all of the block.
    return limit - start == Self.lookAheadMax ? blockEnd(from: start) : nil
  }

  /// Behind a link's definition, `[label]: address "title"`, whose parts may stand on lines of their own; nil if this is none.
  private mutating func endOfDefinition(from start: Int) -> Int? {
    let limit = blockEnd(from: start)
    var index = skipSpace(from: start, to: limit, lineEndMax: 1)
    guard index < limit else { return limit == start ? nil : limit }
    if bytes[index] == UInt8(ascii: "<") {
      guard let close = bytes[index..<limit].firstIndex(of: UInt8(ascii: ">")) else { return nil }
      index = close + 1
    } else {
      index = bytes[index..<limit].firstIndex { $0.isBlank || $0.isLineEnd } ?? limit
    }
    let afterAddress = skipSpace(from: index, to: limit, lineEndMax: 0)
    let isAlone = afterAddress >= limit || bytes[afterAddress].isLineEnd
    let title = skipSpace(from: afterAddress, to: limit, lineEndMax: 1)
    guard title < limit, "\"'(".utf8.contains(bytes[title]) else { return isAlone ? afterAddress : nil }
    let quote = bytes[title] == UInt8(ascii: "(") ? UInt8(ascii: ")") : bytes[title]
    // A title without an end, or with something behind it, may still be one if lines are read in another way.
    guard let close = bytes[(title + 1)..<limit].firstIndex(of: quote) else { return limit }
    return endOfLine(from: close)
  }

  /// Behind a footnote, with the indented blocks that belong to it. It is shown only if the text refers to it.
  private mutating func endOfFootnote(from start: Int) -> Int {
    var end = blockEnd(from: start)
    while end < bytes.endIndex {
      let next = skipSpace(from: end, to: bytes.endIndex, lineEndMax: .max)
      guard next < bytes.endIndex, bytes[next - 1].isBlank else { return end }
      end = blockEnd(from: next)
    }
    return end
  }

  private func skipSpace(from start: Int, to limit: Int, lineEndMax: Int) -> Int {
    var index = start
    var lineEnds = 0
    while index < limit, bytes[index].isBlank || (bytes[index].isLineEnd && lineEnds < lineEndMax) {
      if bytes[index].isLineEnd { lineEnds += 1 }
      index += 1
    }
    return index
  }
}

extension UInt8 {
  var isBlank: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }
  var isLineEnd: Bool { self == UInt8(ascii: "\n") }
  var isLetter: Bool { (65...90).contains(self) || (97...122).contains(self) }
}
