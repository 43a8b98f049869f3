internal import FoundationEssentials
internal import Primitives
internal import Reviews

/// Reads reviews from JSON lines, from one JSON array, or from one JSON object, as the bytes come.
///
/// The first line says which of them it is. A `[`, or an object that the line does not close, starts a document, which is kept until
/// its end (at most ``documentByteCountMax``). Anything else is JSON lines. Only the open line is kept, so that a pipe of any length can be
/// submitted. A document that turns out to be no JSON is read again as lines, each with its fault.
struct SubmissionReader {
  /// A review or what is wrong with it, and where it stands: `line 3`, `element 2`.
  struct Entry: Sendable, Equatable {
    var place: String
    var result: Result<NewReview, NewReviewFaults>
  }

  static let documentByteCountMax = 268_435_456
  static let lineByteCountMax = 1_048_576

  private enum Form {
    case unknown
    case lines
    case document
  }

  private var form = Form.unknown
  private var buffer: [UInt8] = []
  /// How much of the buffer is known to hold no line end; while the form is unknown, behind the text's beginning.
  private var searched = 0
  /// Whether the mark that some editors put before UTF-8 is not to come any more.
  private var isMarkPast = false
  /// Where the text begins, blanks aside.
  private var textStart: Int?
  private var lineNumber = 0
  private var isSkippingLine = false
  private let lineByteCountMax: Int
  private let documentByteCountMax: Int

  init(
    lineByteCountMax: Int = SubmissionReader.lineByteCountMax,
    documentByteCountMax: Int = SubmissionReader.documentByteCountMax
  ) {
    self.lineByteCountMax = lineByteCountMax
    self.documentByteCountMax = documentByteCountMax
  }

  /// Takes more of the input.
  /// - Returns: what it completes.
  mutating func take(_ bytes: some Sequence<UInt8>) -> [Entry] {
    buffer.append(contentsOf: bytes)
    if form == .unknown { decideForm() }
    switch form {
    case .lines: return takeLines()
    case .unknown, .document:
      guard buffer.count > documentByteCountMax else { return [] }
      becomeLines()
      buffer = []
      isSkippingLine = true
      return [fault("document", "longer than \(documentByteCountMax) bytes; submit JSON lines instead")]
    }
  }

  /// The input has ended.
  /// - Returns: what was still open.
  mutating func finish() -> [Entry] {
    switch form {
    case .lines: break
    case .unknown, .document:
      if let entries = document() { return entries }
      becomeLines()
    }
    buffer.append(UInt8(ascii: "\n"))
    return takeLines()
  }

  // MARK: The form

  /// Looks at each byte once, however small the pieces are.
  private mutating func decideForm() {
    guard dropMark() else { return }
    if textStart == nil {
      textStart = buffer[searched...].firstIndex { !Self.isSpace($0) }
      searched = textStart ?? buffer.count
    }
    guard let start = textStart else { return }
    if buffer[start] == UInt8(ascii: "[") {
      form = .document
    } else if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
      let isObject = buffer[start] == UInt8(ascii: "{")
      if isObject && Self.openBrackets(buffer[start..<end]) > 0 { form = .document } else { becomeLines() }
    } else {
      searched = buffer.count
    }
  }

  private mutating func becomeLines() {
    form = .lines
    searched = 0
  }

  /// - Returns: false while the mark may still come.
  private mutating func dropMark() -> Bool {
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    guard !isMarkPast else { return true }
    guard buffer.count >= mark.count || !mark.starts(with: buffer) else { return false }
    if buffer.starts(with: mark) { buffer.removeFirst(mark.count) }
    isMarkPast = true
    return true
  }

  /// How many brackets stay open, strings aside.
  private static func openBrackets(_ bytes: some Sequence<UInt8>) -> Int {
    var open = 0
    var isString = false
    var isEscaped = false
    for byte in bytes {
      if isString {
        if !isEscaped && byte == UInt8(ascii: "\"") { isString = false }
        isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
      } else {
        switch byte {
        case UInt8(ascii: "\""): isString = true
        case UInt8(ascii: "{"), UInt8(ascii: "["): open += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"): open -= 1
        default: break
        }
      }
    }
    return open
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

  // MARK: Documents

  /// The reviews of a whole document; nil if it is no document.
  private func document() -> [Entry]? {
    guard buffer.contains(where: { !Self.isSpace($0) }) else { return [] }
    // The user's own file, with as many reviews as it may have.
    guard let value = try? JSONValue(json: buffer, valueCountMax: .max) else {
      // Nothing can be said about the elements of an array that does not parse.
      let isArray = buffer.first { !Self.isSpace($0) } == UInt8(ascii: "[")
      return isArray ? [fault("document", "not valid JSON")] : nil
    }
    guard case .array(let elements) = value else { return [Entry(place: "document", result: Self.review(value))] }
    return elements.enumerated().map { Entry(place: "element \($0.offset + 1)", result: Self.review($0.element)) }
  }

  private static func review(_ value: JSONValue) -> Result<NewReview, NewReviewFaults> {
    Result { () throws(NewReviewFaults) in try NewReview(json: value) }
  }

  // MARK: Lines

  private mutating func takeLines() -> [Entry] {
    var entries: [Entry] = []
    var start = 0
    while let end = buffer[max(start, searched)...].firstIndex(of: UInt8(ascii: "\n")) {
      if let entry = entry(ofLine: buffer[start..<end]) { entries.append(entry) }
      start = end + 1
      searched = start
    }
    buffer.removeFirst(start)
    searched = buffer.count
    if buffer.count > lineByteCountMax {
      if !isSkippingLine {
        entries.append(fault("line \(lineNumber + 1)", Self.tooLong(lineByteCountMax)))
        isSkippingLine = true
      }
      buffer = []
      searched = 0
    }
    return entries
  }

  private mutating func entry(ofLine line: ArraySlice<UInt8>) -> Entry? {
    lineNumber += 1
    if isSkippingLine {
      isSkippingLine = false
      return nil
    }
    guard line.count <= lineByteCountMax else { return fault("line \(lineNumber)", Self.tooLong(lineByteCountMax)) }
    guard line.contains(where: { !Self.isSpace($0) }) else { return nil }
    let result = Result { () throws(NewReviewFaults) in try NewReview(json: Data(line)) }
    return Entry(place: "line \(lineNumber)", result: result)
  }

  private static func tooLong(_ byteCountMax: Int) -> String { "longer than \(byteCountMax) bytes" }

  private func fault(_ place: String, _ text: String) -> Entry {
    Entry(place: place, result: .failure(NewReviewFaults(isMalformed: true, faults: [text])))
  }
}
