import Support
import Testing

@testable import Platforms

@Suite("Untrusted text")
struct UntrustedTextTests {
  @Test("no text closes its own fence", arguments: 0..<200)
  func fence(_ seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let alphabet: [Character] = ["`", "`", "`", "`", "\n", "a", " ", "~", "\r"]
    let raw = String(
      (0..<Int.random(in: 0...300, using: &generator)).map { _ in alphabet.randomElement(using: &generator) ?? "a" })
    let lines = UntrustedText(raw, byteCountMax: 1000).fenced("Data").split(
      separator: "\n", omittingEmptySubsequences: false)
    let fence = lines[1]
    #expect(fence.count >= 4 && fence.allSatisfy { $0 == "`" })
    #expect(lines.last == fence)
    for line in lines.dropFirst(2).dropLast() { #expect(!line.contains(fence), "seed \(seed)") }
  }

  @Test("characters that a reader would not see are removed")
  func invisible() {
    let raw = "a\u{202E}b\u{200B}c\u{E0041}d\u{0}e\u{1B}[31mf\u{FEFF}\u{85}g"
    #expect(UntrustedText(raw, byteCountMax: 100).text == "abcde[31mfg")
  }

  @Test("every line end becomes a line feed, and emoji keep their joiners")
  func lineEnds() {
    #expect(UntrustedText("a\r\nb\rc\nd\r\r\ne", byteCountMax: 100).text == "a\nb\nc\nd\n\ne")
    #expect(UntrustedText("👩‍🚀", byteCountMax: 100).text == "👩‍🚀")
  }

  @Test("what is too long is cut between characters, and that is said")
  func cut() {
    let text = UntrustedText("ääää", byteCountMax: 5)
    #expect(text.text == "ää")
    #expect(text.isCut)
    #expect(text.fenced("Data").hasPrefix("Data (cut off at the end):\n"))
    #expect(!UntrustedText("ää", byteCountMax: 4).isCut)
  }

  @Test("a name stays on its line and between its backticks")
  func inline() {
    #expect(UntrustedText("a`b\nc\td", byteCountMax: 100).inline == "a'b c d")
  }
}
