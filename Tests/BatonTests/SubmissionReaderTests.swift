import Reviews
import Testing

@testable import baton

@Suite("Review files")
struct SubmissionReaderTests {
  private static func json(_ number: Int, title: String = "t") -> String {
    #"{"owner":{"type":"org","id":"acme"},"platform":"github","repoFullName":"acme/shop","prNumber":\#(number),"#
      + #""prUrl":"https://github.com/acme/shop/pull/1","prTitle":"\#(title)","prAuthor":"ann","baseRef":"main","#
      + #""headRef":"cart","headSha":"3f2a9c1d"}"#
  }

  /// Reads a text in pieces of a size.
  private func read(
    _ text: String, pieces: Int = .max, lineMax: Int = 1_000_000, documentMax: Int = 1_000_000
  ) -> [SubmissionReader.Entry] {
    var reader = SubmissionReader(lineByteCountMax: lineMax, documentByteCountMax: documentMax)
    var entries: [SubmissionReader.Entry] = []
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let piece = rest.prefix(pieces)
      rest = rest.dropFirst(piece.count)
      entries += reader.take(piece)
    }
    return entries + reader.finish()
  }

  private func outline(_ entries: [SubmissionReader.Entry]) -> [String] {
    entries.map { entry in
      switch entry.result {
      case .success(let review): "\(entry.place): \(review.prNumber)"
      case .failure: "\(entry.place): fault"
      }
    }
  }

  @Test("JSON lines, whatever the pieces they come in", arguments: [1, 7, 100, Int.max])
  func lines(pieces: Int) {
    let text = "\n" + Self.json(1) + "\n\n  " + Self.json(2) + "\r\n" + Self.json(3)
    #expect(outline(read(text, pieces: pieces)) == ["line 2: 1", "line 4: 2", "line 5: 3"])
  }

  @Test("one object, on a line or over several", arguments: [1, Int.max])
  func object(pieces: Int) {
    #expect(outline(read(Self.json(1), pieces: pieces)) == ["document: 1"])
    #expect(outline(read(Self.json(1) + "\n", pieces: pieces)) == ["line 1: 1"])
    let pretty = Self.json(1).replacing(",", with: ",\n  ")
    #expect(outline(read(pretty, pieces: pieces)) == ["document: 1"])
    // A bracket within a string opens nothing.
    let brackets = Self.json(1, title: #"{[\"{"#) + "\n" + Self.json(2)
    #expect(outline(read(brackets, pieces: pieces)) == ["line 1: 1", "line 2: 2"])
  }

  @Test("an array, and its faulty elements by number")
  func array() {
    let text = " [\n\(Self.json(1)),\n{},\n3,\(Self.json(4))]\n"
    #expect(outline(read(text, pieces: 5)) == ["element 1: 1", "element 2: fault", "element 3: fault", "element 4: 4"])
    #expect(outline(read("[\(Self.json(1)),")) == ["document: fault"])
    #expect(read("[]").isEmpty)
  }

  @Test("a malformed line is named and the others are read")
  func malformed() throws {
    let entries = read(Self.json(1) + "\nrubbish\n" + #"{"prNumber":"x"}"# + "\n" + Self.json(4) + "\n")
    #expect(outline(entries) == ["line 1: 1", "line 2: fault", "line 3: fault", "line 4: 4"])
    guard case .failure(let faults) = entries[2].result else { throw Unexpected() }
    #expect(faults.faults.contains { $0.hasPrefix("prNumber:") })
    #expect(faults.faults.contains { $0.hasPrefix("headSha:") })
  }

  @Test("a first line that is cut off does not swallow the lines after it")
  func cutOff() {
    let text = String(Self.json(1).dropLast(20)) + "\n" + Self.json(2) + "\n"
    #expect(outline(read(text)) == ["line 1: fault", "line 2: 2"])
  }

  @Test("a byte order mark and an empty file are no faults")
  func edges() {
    #expect(outline(read("\u{FEFF}" + Self.json(1) + "\n")) == ["line 1: 1"])
    #expect(read("").isEmpty)
    #expect(read(" \n \n").isEmpty)
  }

  @Test("lines and documents without end are not kept", arguments: [10, Int.max])
  func bounds(pieces: Int) {
    let long = Self.json(1) + "\n" + String(repeating: "x", count: 5_000) + "\n" + Self.json(3) + "\n"
    #expect(outline(read(long, pieces: pieces, lineMax: 1_000)) == ["line 1: 1", "line 2: fault", "line 3: 3"])
    let document = "[" + String(repeating: " ", count: 5_000)
    #expect(outline(read(document, pieces: pieces, documentMax: 1_000)) == ["document: fault"])
  }

  @Test("a line over the bound is refused, also if it comes with its end in one piece", arguments: [1, 700, Int.max])
  func longLine(pieces: Int) {
    let text = Self.json(1) + "\n" + Self.json(2, title: String(repeating: "t", count: 900)) + "\n" + Self.json(3)
    #expect(outline(read(text, pieces: pieces, lineMax: 900)) == ["line 1: 1", "line 2: fault", "line 3: 3"])
  }

  @Test("blank lines, a mark and a long document are the same in any pieces", arguments: [1, 2, 3, 64, Int.max])
  func beginnings(pieces: Int) {
    #expect(outline(read("\n \n\t" + Self.json(1) + "\nx\n", pieces: pieces)) == ["line 3: 1", "line 4: fault"])
    #expect(outline(read("\u{FEFF}\u{FEFF}x\n" + Self.json(2), pieces: pieces)) == ["line 1: fault", "line 2: 2"])
    #expect(outline(read("\u{FEFF}{\n" + Self.json(1).dropFirst(), pieces: pieces)) == ["document: 1"])
  }

  private struct Unexpected: Error {}
}
