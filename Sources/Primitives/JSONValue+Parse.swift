package import FoundationEssentials

/// Why a text is not read as JSON. Nothing of the text is quoted.
package enum JSONFault: Error, Sendable, Equatable, CustomStringConvertible {
  /// Not JSON (RFC 8259); the number of the byte at which it ends to be.
  case malformed(at: Int)
  /// Arrays and objects are nested deeper than anything that Baton is sent.
  case tooDeep(Int)
  /// More values than are read of one text.
  case tooManyValues(Int)

  package var description: String {
    switch self {
    case .malformed(let position): "not JSON at byte \(position)"
    case .tooDeep(let depth): "nested more than \(depth) levels deep"
    case .tooManyValues(let count): "more than \(count) values"
    }
  }
}

extension JSONValue {
  /// Arrays and objects within each other. GitHub's webhooks have some ten levels.
  package static let depthMax = 128
  /// Values of one text: a webhook has some thousand, a page of a hundred pull requests fifty thousand. A value takes up to some 200 bytes
  /// of memory, so this bounds what a text can take.
  package static let valueCountMax = 200_000

  /// Reads a text in one pass, and gives up at a bound before it has taken much.
  ///
  /// A reader of its own, as Foundation's decoder has to be asked for one type after another, and makes an error for each that it is not: a
  /// body of `[[],[],…]` took two seconds a megabyte. Of a name that stands twice the last value counts, as in Postgres's `jsonb`.
  /// - Parameters:
  ///   - json: UTF-8.
  ///   - valueCountMax: the most values that are read; more are a fault.
  ///   - repairingText: whether NUL and half of a surrogate pair, which no database stores, and bytes that are no UTF-8 are read as U+FFFD: in
  ///     texts that Baton cannot ask its sender to correct. Otherwise NUL is read as it is, and the others are refused.
  package init(
    json: some ContiguousBytes, valueCountMax: Int = valueCountMax, repairingText: Bool = false
  ) throws(JSONFault) {
    let result: Result<JSONValue, JSONFault> = json.withUnsafeBytes { bytes in
      var reader = JSONReader(bytes: bytes, valueCountMax: valueCountMax, repairsText: repairingText)
      do throws(JSONFault) {
        return .success(try reader.document())
      } catch {
        return .failure(error)
      }
    }
    self = try result.get()
  }

  /// The same of a string.
  package init(json: some StringProtocol) throws(JSONFault) { try self.init(json: Array(json.utf8)) }
}

/// Stands in the bytes of a text, which outlive it.
private struct JSONReader {
  private let bytes: UnsafeRawBufferPointer
  private let valueCountMax: Int
  private let repairsText: Bool
  private var position = 0
  private var valueCount = 0

  init(bytes: UnsafeRawBufferPointer, valueCountMax: Int, repairsText: Bool) {
    self.bytes = bytes
    self.repairsText = repairsText
    self.valueCountMax = valueCountMax
  }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }
  private var malformed: JSONFault { .malformed(at: position) }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  /// Takes the byte if it is the next one.
  private mutating func take(_ byte: UInt8) -> Bool {
    guard next == byte else { return false }
    position += 1
    return true
  }

  mutating func document() throws(JSONFault) -> JSONValue {
    // The mark that some editors put before UTF-8.
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    skipSpace()
    let value = try value(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw malformed }
    return value
  }

  /// At the first byte of a value; behind it afterwards.
  private mutating func value(depth: Int) throws(JSONFault) -> JSONValue {
    valueCount += 1
    guard valueCount <= valueCountMax else { throw .tooManyValues(valueCountMax) }
    switch next {
    case UInt8(ascii: "{")?: return try object(depth: depth + 1)
    case UInt8(ascii: "[")?: return try array(depth: depth + 1)
    case UInt8(ascii: "\"")?: return .string(try string())
    case UInt8(ascii: "t")?: return try literal("true", .bool(true))
    case UInt8(ascii: "f")?: return try literal("false", .bool(false))
    case UInt8(ascii: "n")?: return try literal("null", .null)
    default: return try number()
    }
  }

  private mutating func object(depth: Int) throws(JSONFault) -> JSONValue {
    guard depth <= JSONValue.depthMax else { throw .tooDeep(JSONValue.depthMax) }
    position += 1
    var fields: [String: JSONValue] = [:]
    skipSpace()
    if take(UInt8(ascii: "}")) { return .object(fields) }
    while true {
      let name = try string()
      skipSpace()
      guard take(UInt8(ascii: ":")) else { throw malformed }
      skipSpace()
      fields[name] = try value(depth: depth)
      skipSpace()
      if take(UInt8(ascii: "}")) { return .object(fields) }
      guard take(UInt8(ascii: ",")) else { throw malformed }
      skipSpace()
    }
  }

  private mutating func array(depth: Int) throws(JSONFault) -> JSONValue {
    guard depth <= JSONValue.depthMax else { throw .tooDeep(JSONValue.depthMax) }
    position += 1
    var elements: [JSONValue] = []
    skipSpace()
    if take(UInt8(ascii: "]")) { return .array(elements) }
    while true {
      elements.append(try value(depth: depth))
      skipSpace()
      if take(UInt8(ascii: "]")) { return .array(elements) }
      guard take(UInt8(ascii: ",")) else { throw malformed }
      skipSpace()
    }
  }

  private mutating func literal(_ text: StaticString, _ value: JSONValue) throws(JSONFault) -> JSONValue {
    for index in 0..<text.utf8CodeUnitCount {
      guard take(text.utf8Start[index]) else { throw malformed }
    }
    return value
  }

  private mutating func digits() -> Int {
    let start = position
    while let byte = next, (0x30...0x39).contains(byte) { position += 1 }
    return position - start
  }

  /// A whole number that 64 bits hold stays exact, however it is written; any other is the nearest double.
  private mutating func number() throws(JSONFault) -> JSONValue {
    let start = position
    var isPlain = true
    _ = take(UInt8(ascii: "-"))
    if !take(UInt8(ascii: "0")) {
      guard digits() > 0 else { throw malformed }
    }
    if take(UInt8(ascii: ".")) {
      isPlain = false
      guard digits() > 0 else { throw malformed }
    }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      isPlain = false
      _ = take(UInt8(ascii: "+")) || take(UInt8(ascii: "-"))
      guard digits() > 0 else { throw malformed }
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isPlain, let number = Int64(text) { return .integer(number) }
    guard let number = Double(text), number.isFinite else { throw .malformed(at: start) }
    return Int64(exactly: number).map { .integer($0) } ?? .number(number)
  }

  // MARK: Strings

  private mutating func string() throws(JSONFault) -> String {
    guard take(UInt8(ascii: "\"")) else { throw malformed }
    let start = position
    while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
    if next == UInt8(ascii: "\"") {
      let text = try decoded(bytes[start..<position], at: start)
      position += 1
      return text
    }
    var text = Array(bytes[start..<position])
    while let byte = next, byte >= 0x20 {
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return try decoded(text, at: start)
      case UInt8(ascii: "\\"): try escape(into: &text)
      default: text.append(byte)
      }
    }
    throw malformed
  }

  private func decoded(_ text: some Collection<UInt8>, at start: Int) throws(JSONFault) -> String {
    if repairsText { return String(decoding: text, as: UTF8.self) }
    guard let text = String(validating: text, as: UTF8.self) else { throw .malformed(at: start) }
    return text
  }

  /// Behind a backslash.
  private mutating func escape(into text: inout [UInt8]) throws(JSONFault) {
    guard let byte = next else { throw malformed }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"): text.append(contentsOf: String(try scalar()).utf8)
    default: throw malformed
    }
  }

  /// Behind `\u`: one or two groups of four digits. Half of a pair is no text.
  private mutating func scalar() throws(JSONFault) -> Character {
    let first = try hexadecimal()
    var code = UInt32(first)
    if repairsText, first == 0 || (0xDC00...0xDFFF).contains(first) { return "\u{FFFD}" }
    if (0xD800...0xDBFF).contains(first) {
      let behindFirst = position
      guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
        guard repairsText else { throw malformed }
        position = behindFirst
        return "\u{FFFD}"
      }
      let second = try hexadecimal()
      guard (0xDC00...0xDFFF).contains(second) else {
        guard repairsText else { throw malformed }
        // The second escape is another character's.
        position = behindFirst
        return "\u{FFFD}"
      }
      code = 0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00)
    }
    guard let scalar = Unicode.Scalar(code) else { throw malformed }
    return Character(scalar)
  }

  private mutating func hexadecimal() throws(JSONFault) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = next else { throw malformed }
      let digit: UInt8
      switch byte {
      case 0x30...0x39: digit = byte - 0x30
      case 0x41...0x46: digit = byte - 0x37
      case 0x61...0x66: digit = byte - 0x57
      default: throw malformed
      }
      value = value << 4 | UInt16(digit)
      position += 1
    }
    return value
  }
}
