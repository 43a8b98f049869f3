// What begins with "<": comments, tags, and what a reader of HTML takes for one of them.
extension HiddenMarkup {
  /// Elements whose insides no page shows, or shows in another form.
  private static let unshown: Set<String> = [
    "script", "style", "template", "noscript", "title", "head", "textarea", "iframe", "object", "xmp", "noembed",
    "noframes",
    "plaintext", "svg", "math", "select", "datalist", "audio", "video", "canvas",
  ]
  /// Elements without insides.
  private static let void: Set<String> = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
  ]
  /// After these, fences are no code until they end, and empty lines do not end them.
  private static let rawText: Set<String> = ["pre", "script", "style", "textarea"]
  /// What may stand in a prompt as a bare tag: elements that show their insides.
  private static let shown: Set<String> = [
    "a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "h1", "h2", "h3",
    "h4", "h5",
    "h6", "hr", "i", "ins", "kbd", "li", "mark", "ol", "p", "picture", "pre", "q", "s", "samp", "small", "span",
    "strong", "sub",
    "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var",
  ]

  mutating func takeTag() {
    guard let next = peek(1) else { return copy() }
    switch next {
    case UInt8(ascii: "!"):
      if peek(2) == UInt8(ascii: "-"), peek(3) == UInt8(ascii: "-") {
        remove(to: end(of: "-->", from: position + 4), "hidden comment")
      } else {
        remove(to: end(of: ">", from: position), "hidden declaration")
      }
    case UInt8(ascii: "?"): remove(to: end(of: "?>", from: position), "hidden instruction")
    case UInt8(ascii: "/"): takeTag(nameAt: position + 2)
    case _ where next.isLetter: takeTag(nameAt: position + 1)
    default: copy()
    }
  }

  /// Behind the next place of a text; the end if it is nowhere.
  private func end(of text: StaticString, from start: Int) -> Int {
    text.withUTF8Buffer { part in
      var index = start
      while index + part.count <= bytes.endIndex {
        if bytes[index] == part[0], bytes[index..<index + part.count].elementsEqual(part) { return index + part.count }
        index += 1
      }
      return bytes.endIndex
    }
  }

  private mutating func takeTag(nameAt start: Int) {
    let isFirst = isFirstOnLine
    let name = bytes[start...].prefix { $0.isLetter || (48...57).contains($0) || $0 == UInt8(ascii: "-") }
    let element = String(decoding: name, as: UTF8.self).lowercased()
    // Outside of HTML it is a tag only if a space or its end follows the name.
    let after = name.endIndex < bytes.endIndex ? bytes[name.endIndex] : UInt8(ascii: " ")
    let isTag = !name.isEmpty && (after.isBlank || after.isLineEnd || "/>".utf8.contains(after))
    if isFirst, isTag { beginRawBlock(trustsFences: !Self.rawText.contains(element)) }
    guard isTag || mayBeRaw else { return copy() }
    guard let end = endOfTag(from: name.endIndex) else {
      // Within HTML it swallows what follows, up to a sign that is nowhere or far away.
      if mayBeRaw { remove(to: bytes.endIndex, "unfinished tag, and what follows it,") } else { copy() }
      return
    }
    let attributes = bytes[name.endIndex..<(end - 1)]
    finish(element, isClosing: bytes[position + 1] == UInt8(ascii: "/"), attributes, end)
  }

  /// Behind the sign that ends a tag, which does not stand in quotes; nil if it does not end in its block.
  private mutating func endOfTag(from start: Int) -> Int? {
    var quote: UInt8?
    var index = start
    while index < bytes.endIndex {
      let byte = bytes[index]
      if let open = quote {
        if byte == open { quote = nil }
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
        quote = byte
      } else if byte == UInt8(ascii: ">") {
        return index + 1
      }
      if byte.isLineEnd, blockEnd(from: index) == index { return nil }
      index += 1
      // Far away: then all of the block counts as the tag.
      if index - start > Self.lookAheadMax { return max(blockEnd(from: index), index) }
    }
    return nil
  }

  private mutating func finish(_ element: String, isClosing: Bool, _ attributes: ArraySlice<UInt8>, _ end: Int) {
    let hasAttributes = attributes.contains { !$0.isBlank && !$0.isLineEnd && $0 != UInt8(ascii: "/") }
    let words = hasAttributes ? String(decoding: attributes, as: UTF8.self).lowercased() : ""
    if !isClosing, !Self.void.contains(element),
      Self.unshown.contains(element) || words.contains("hidden") || words.contains("style")
    {
      return remove(to: endOfElement(element, from: end), "hidden element")
    }
    guard Self.shown.contains(element) else { return remove(to: end, element == "img" ? "image" : "tag") }
    if hasAttributes { count() }
    emit((isClosing ? "</" : "<").utf8)
    emit(element.utf8)
    emit(">".utf8)
    pass(to: end)
  }

  /// Behind the tag that closes an element, with those within it that have the same name; the text's end if none does.
  private func endOfElement(_ element: String, from start: Int) -> Int {
    let name = Array(element.utf8)
    var depth = 1
    var index = start
    while let open = bytes[index...].firstIndex(of: UInt8(ascii: "<")) {
      let isClosing = open + 1 < bytes.endIndex && bytes[open + 1] == UInt8(ascii: "/")
      let nameStart = open + (isClosing ? 2 : 1)
      let nameEnd = min(nameStart + name.count, bytes.endIndex)
      index = min(nameStart, bytes.endIndex)
      guard nameStart < nameEnd, bytes[nameStart..<nameEnd].elementsEqual(name, by: { $0 | 0x20 == $1 | 0x20 }) else {
        continue
      }
      depth += isClosing ? -1 : 1
      if depth == 0 { return bytes[nameEnd...].firstIndex(of: UInt8(ascii: ">")).map { $0 + 1 } ?? bytes.endIndex }
    }
    return bytes.endIndex
  }
}
