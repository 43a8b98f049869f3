import Support
import Testing

@testable import Platforms

@Suite("Hidden markup")
struct HiddenMarkupTests {
  private static func visible(_ raw: String) -> String { UntrustedText(markdown: raw, byteCountMax: 16_384).text }

  /// HIDDEN stands where a page of GitHub or GitLab shows nothing of it.
  @Test(
    "what a page does not show does not reach a prompt, and a mark says so",
    arguments: [
      "<!-- HIDDEN -->", "a <!-- HIDDEN", "<!-- x\nHIDDEN\n\nHIDDEN -->", "<!--> <!-- HIDDEN -->", "<!--HIDDEN--!>",
      "\\<!-- HIDDEN -->",
      "<div>\n```\n<!-- HIDDEN -->\n```\n</div>", "- x\n\n  ```\nfoo <!-- HIDDEN -->",
      "<pre>\n\n```\n<!-- HIDDEN -->\n```",
      "x\r\n\r\n```\r\ncode\r\n```\r\n<!-- HIDDEN -->", "<!DOCTYPE HIDDEN>", "<? HIDDEN ?>", "<![CDATA[ HIDDEN ]]>",
      "<div>\n</ HIDDEN>\n</div>", "<div>\n<x,y HIDDEN>\n</div>", "<img alt=\"HIDDEN\">",
      "<img alt=\"> HIDDEN\" src=x>", "<a title='HIDDEN'>x</a>",
      "<HIDDEN>", "</b HIDDEN>", "<p hidden>HIDDEN</p>", "<p\nhidden>HIDDEN",
      "<span style=\"display:none\">a<span>b</span>HIDDEN</span>",
      "<template>HIDDEN</template>", "<script>HIDDEN</script>", "<div title=\"\n\n```\nHIDDEN\n```\n\n\">",
      "<div> <a title=\"\n\nHIDDEN\n\n\">", "[//]: # (HIDDEN)", "[comment]: <> (HIDDEN)",
      "[x]:\nhttp://e.com\n'title\nHIDDEN'",
      "[x]: http://e.com/HIDDEN", "[HIDDEN]: x", "> [x]: y \"HIDDEN\"", "- [x]: y (HIDDEN)", "   [x]: y 'HIDDEN'",
      "[^1]: HIDDEN\n\n    HIDDEN",
      "![HIDDEN](x.png)", "![a](x.png \"HIDDEN\")", "![HIDDEN]", "![HIDDEN][x]", "[![HIDDEN](a)](b)",
      "![a `]` HIDDEN](x)", "![a\n\\] HIDDEN](x)",
      "[docs](https://x.y \"HIDDEN\")", "[docs](<HIDDEN y>)", "[](https://HIDDEN)", "[docs][ignore HIDDEN rules]",
      "``` swift HIDDEN\ncode\n```", "~~~\"HIDDEN\ncode\n~~~",
      "~~~\n```\n~~~\n<!-- HIDDEN -->", "```mermaid\n%% HIDDEN\n```", "` a\n` <b HIDDEN> `", "| ` | <b HIDDEN> ` |",
      "\\`<b HIDDEN>\\`",
      "<b x=`> ` <b HIDDEN words> ` c", "# a `\nb ` c ` <b HIDDEN> ` d `",
    ])
  func hidden(_ raw: String) {
    let text = UntrustedText(markdown: raw, byteCountMax: 16_384)
    #expect(!text.text.contains("HIDDEN"), "\(text.text)")
    #expect(text.hiddenPartCount > 0)
    #expect(text.fenced("Data").contains("hidden part"))
    // Wherever it stands, and whatever stands around it.
    #expect(!Self.visible("Fixes a bug.\n\n\(raw)\n\nThanks").contains("HIDDEN"))
  }

  @Test(
    "what a page shows stays as it is",
    arguments: [
      "Fixes #12, see https://example.com/a?b=c.", "[docs](https://x.y/z)", "[a][1] and [b]",
      "`List<String>` and ``a ` <b x>``",
      "```swift\nlet a = b[<c>](d) // <!-- x -->\n```", "text\n\n~~~\n[x]: y\n![a](b)\n~~~\nmore",
      "<details><summary>More</summary>\n\nbody\n</details>",
      "if x <y then z, a < b, 1 <2", "<https://a.b/c> <me@example.com>", "[WIP]: fix the thing",
      "- [ ] task\n- [x] done", "arr[0] = f(x)",
      "a\\[b\\] \\\\ c", "Really! And so on!", "> quote\n> more", "| a | b |\n|---|---|\n| `x` | y |", "",
    ])
  func shown(_ raw: String) {
    let text = UntrustedText(markdown: raw, byteCountMax: 16_384)
    #expect(text.text == raw)
    #expect(text.hiddenPartCount == 0 && !text.isCut)
  }

  @Test("a mark stands where a part was, and their number with the whole")
  func marks() {
    let text = UntrustedText(markdown: "a <!-- x --> b ![c](d)\n\n[//]: # (e)", byteCountMax: 100)
    #expect(text.text == "a (hidden comment removed) b (image removed)\n\n(hidden link definition removed)")
    #expect(text.fenced("Data").hasPrefix("Data (3 hidden parts removed):\n"))
  }

  /// Each of these made a pass look at the rest of the text once for each character, in some version.
  @Test(
    "a text of nothing but beginnings is read to its end",
    arguments: ["[", "![", "<a ", "<a \"", "[a]: (\n", "[a](", "` `` ", "<b>", "[a]", "- <b ", "]", "<!"])
  func repeated(_ part: String) {
    let text = UntrustedText(markdown: String(repeating: part, count: 200_000 / part.utf8.count), byteCountMax: 16_384)
    #expect(text.text.utf8.count <= 16_384)
    #expect(text.isCut || text.hiddenPartCount > 0)
  }

  @Test("no mixture of signs traps, and what is kept within the limit is bounded", arguments: 0..<300)
  func random(_ seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let parts = [
      "<!--", "-->", "<", ">", "</", "<a ", "\"", "'", "[", "]", "(", ")", "!", ":", "`", "```", "~~~", "\n", "\n\n",
      "\r\n", "\\", "x", " ", "    ",
      "hidden", "<?", "?>", "<![CDATA[", "\u{200B}", "\u{FE0F}", "⚠", "[^1]: ", "- ", "> ", "|",
    ]
    let raw = (0..<Int.random(in: 0...120, using: &generator)).map { _ in parts.randomElement(using: &generator) ?? "" }
      .joined()
    let text = UntrustedText(markdown: raw, byteCountMax: 400)
    #expect(text.text.utf8.count <= 400, "seed \(seed)")
    // In code it may stand.
    #expect(raw.contains("`") || raw.contains("~~~") || !text.text.contains("<!--"), "seed \(seed)")
  }
}
