import Testing

@testable import baton

@Suite("Table")
struct TableTests {
  private func table() -> Table {
    var table = Table([.left("NAME"), .right("COUNT"), .prose("REASON")])
    table.append(["acme", "7", "short"])
    table.append(["a-longer-name", "12345", "a reason that goes on and on until it no longer fits"])
    return table
  }

  @Test("columns are aligned, numbers at their right")
  func alignment() {
    #expect(
      table().lines(width: nil) == [
        "NAME           COUNT  REASON",
        "acme               7  short",
        "a-longer-name  12345  a reason that goes on and on until it no longer fits",
      ])
  }

  @Test("no line is wider than the terminal", arguments: [100, 60, 40, 30, 20, 10, 7])
  func width(_ width: Int) {
    for line in table().lines(width: width) { #expect(DisplayText.width(line) <= width) }
  }

  @Test("prose is cut first, with an ellipsis, and what is copied stays whole")
  func prose() {
    let lines = table().lines(width: 40)
    #expect(lines[2] == "a-longer-name  12345  a reason that goe…")
  }

  @Test("at 80 columns an id is never cut: columns are left out before, and a pull request keeps its number")
  func ids() {
    var table = Table([
      .whole("ID"), .left("STATUS"), .pullRequest("PULL REQUEST"), .prose("REASON"), .optional("CREATED"),
      .optional("OWNER"),
    ])
    let id = "0b6e6c1e-6f0e-4c39-9d0a-3c1f5a1f7a11"
    table.append([
      .init(id), "completed", "a-long-owner/a-long-repository#12345",
      "worker_lost: the worker no longer knows this run", "2 h ago", "org:acme",
    ])
    for width in [80, 70, 60, 50] {
      let line = table.lines(width: width)[1]
      #expect(line.contains(id) && DisplayText.width(line) <= width, "\(line)")
    }
    #expect(table.lines(width: 80)[1].contains("#12345 ") && !table.lines(width: 80)[0].contains("OWNER"))
    #expect(table.lines(width: 200)[0].contains("CREATED") && table.lines(width: 200)[0].contains("OWNER"))
    #expect(table.lines(width: nil)[1].contains("a-long-owner/a-long-repository#12345"))
  }

  @Test("a column without a value goes before another one is cut")
  func emptyColumns() {
    var table = Table([.whole("ID"), .pullRequest("PULL REQUEST"), .prose("REASON"), .optional("OWNER")])
    table.append(["0b6e6c1e", "Codertocat/Hello-World#2", "", "org:acme"])
    #expect(
      table.lines(width: 44) == [
        "ID        PULL REQUEST              OWNER", "0b6e6c1e  Codertocat/Hello-World#2  org:acme",
      ])
    #expect(table.lines(width: nil)[0].contains("REASON"))
  }

  @Test("long prose takes several lines; what is short, and a word that is too long, stay as they are")
  func wrapped() {
    let text = "short  one\n  an indented line that is too long\nhttps://example.com/a-long-address"
    #expect(
      Wrapped.long(text, width: 20) == [
        "short  one", "  an indented line", "  that is too long", "https://example.com/a-long-address",
      ])
    #expect(Wrapped.long(text, width: nil) == text.split(separator: "\n").map(String.init))
  }

  @Test("wide and combining characters are counted as they are drawn")
  func displayWidth() {
    #expect(DisplayText.width("审查") == 4)
    #expect(DisplayText.width("e\u{301}te\u{301}") == 3)
    #expect(DisplayText.width("👩‍👩‍👧") == 2)
    #expect(DisplayText.width("🇩🇪") == 2)
    #expect(DisplayText.width("✔\u{FE0F}") == 2)
    #expect(DisplayText.width("한국") == 4)
    var table = Table([.left("A"), .left("B")])
    table.append(["审查", "x"])
    table.append(["abcd", "y"])
    #expect(table.lines(width: nil) == ["A     B", "审查  x", "abcd  y"])
  }

  @Test("a wide character is never cut in half")
  func fitted() {
    #expect(DisplayText.fitted("审查代码", to: 6) == "审查…")
    #expect(DisplayText.fitted("审查代码", to: 8) == "审查代码")
    #expect(DisplayText.fitted("abc", to: 1) == "…")
    #expect(DisplayText.fitted("abc", to: 0) == "")
  }

  @Test(
    "nothing in a cell can control the terminal",
    arguments: ["\u{1B}[2J", "\u{9B}31m", "\u{7}", "a\u{8}b", "\u{202E}x", "\u{0}"])
  func control(_ text: String) {
    var table = Table([.left("TITLE")])
    table.append([.init("before \(text) after")])
    let line = table.lines(width: nil, usesColor: false)[1]
    for scalar in line.unicodeScalars {
      #expect(scalar.properties.generalCategory != .control)
      #expect(scalar.properties.generalCategory != .format)
    }
    #expect(line.hasPrefix("before ") && line.hasSuffix(" after"))
  }

  @Test("line breaks and tabs become one space, so that a row stays a line")
  func lineBreaks() {
    #expect(DisplayText.safe("a\r\n\tb\u{2028}c") == "a b c")
    #expect(DisplayText.safeLines("a\nb\u{1B}c") == ["a", "b␛c"])
  }

  @Test("a text of megabytes is cut")
  func long() {
    #expect(DisplayText.safe(String(repeating: "x", count: 1_000_000)).utf8.count < 5_000)
    #expect(DisplayText.safeLines(String(repeating: "x\n", count: 10_000)).count == 51)
  }

  @Test("colours surround a cell and change no width; without them there is no escape")
  func color() {
    var table = Table([.left("STATUS"), .left("X")])
    table.append([.init("failed", .red), "x"])
    #expect(table.lines(width: nil, usesColor: true)[1] == "\u{1B}[31mfailed\u{1B}[0m  x")
    #expect(table.lines(width: nil, usesColor: false)[1] == "failed  x")
  }

  @Test("a missing value is a dash")
  func missing() {
    var table = Table([.left("A")])
    table.append([.init(nil)])
    #expect(table.lines(width: nil)[1] == "—")
  }

  @Test("a live display goes back over exactly the lines that it has drawn")
  func live() {
    var display = LiveDisplay()
    #expect(display.frame(["a", "b"]) == "\ra\u{1B}[K\nb\u{1B}[K\n\u{1B}[J")
    #expect(display.frame(["c"]) == "\u{1B}[2A\rc\u{1B}[K\n\u{1B}[J")
    #expect(display.frame([]).hasPrefix("\u{1B}[1A"))
    #expect(display.frame(["d"]) == "\rd\u{1B}[K\n\u{1B}[J")
  }
}
