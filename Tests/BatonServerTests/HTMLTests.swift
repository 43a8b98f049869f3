import Foundation
import FoundationXML
import Primitives
import Reviews
import Testing

@testable import BatonServer

/// Reads a page as XML, which is stricter than a browser: every element closed, every attribute quoted, every reference known.
final class PageReader: NSObject, XMLParserDelegate {
  private(set) var elements: [(name: String, attributes: [String: String])] = []
  private(set) var text = ""

  init(_ html: String) throws {
    super.init()
    let parser = XMLParser(data: Data(html.utf8))
    parser.delegate = self
    guard parser.parse() else {
      throw NotWellFormed(line: parser.lineNumber, reason: parser.parserError.map { "\($0)" } ?? "unknown")
    }
  }

  struct NotWellFormed: Error {
    let line: Int
    let reason: String
  }

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) { elements.append((name, attributes)) }

  func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }

  /// The attributes of each element of this name.
  func all(_ name: String) -> [[String: String]] { elements.filter { $0.name == name }.map(\.attributes) }
}

@Suite("Markup")
struct HTMLTests {
  /// What a pull request's title may hold.
  static let hostile = [
    "<script>alert(1)</script>", "\" onmouseover=\"alert(1)", "' autofocus onfocus='alert(1)",
    "</title><svg/onload=alert(1)>",
    "&lt;script&gt;", "]]><!--", "\u{202E}gnp.exe", "a\u{0}b\u{8}c", "<a href=javascript:alert(1)>", "${alert(1)}",
    "\u{FFFF}",
  ]

  @Test("what is interpolated is text, in an element and in an attribute", arguments: hostile)
  func escaped(_ text: String) throws {
    let html: HTML = "<p title=\"\(text)\">\(text)</p>"
    let page = try PageReader(html.markup)
    #expect(page.elements.count == 1)
    let shown = String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { $0.value < 32 || $0.value == 0xFFFF ? "\u{FFFD}" : $0 }))
    #expect(page.text == shown)
    #expect(page.all("p") == [["title": shown]])
  }

  @Test("markup that was built stays markup, alone, in lists and joined")
  func composed() {
    let items = ["a", "<b>"].map { text -> HTML in "<li>\(text)</li>" }
    let html: HTML = "<ul>\(items)</ul>\(HTML.none)\(3)"
    #expect(html.markup == "<ul><li>a</li><li>&lt;b&gt;</li></ul>3")
    #expect(items.joined(", ").markup == "<li>a</li>, <li>&lt;b&gt;</li>")
  }

  @Test(
    "an address that others wrote becomes a link only if it is a web address",
    arguments: [
      ("https://github.com/acme/shop/pull/7", true), ("http://a", true), ("HTTPS://a", true),
      ("javascript:alert(1)", false),
      ("JavaScript:alert(1)", false), (" https://a", false), ("data:text/html,x", false), ("https:a", false),
      ("", false),
      ("//a", false), ("https", false),
    ])
  func links(url: String, isLink: Bool) throws {
    let page = try PageReader("<p>" + HTML.link(to: url, "text").markup + "</p>")
    #expect(page.text == "text")
    #expect(page.all("a").map { $0["href"] } == (isLink ? [url] : []))
  }

  @Test("an owner's name is a value of a URL, whatever it holds")
  func owners() {
    let link = HTML.link(to: Owner(type: .org, id: "a&b=c/é\"")).markup
    #expect(link.contains("href=\"/reviews?owner=org%3Aa%26b%3Dc%2F%C3%A9%22\""))
  }

  @Test(
    "times are shown in their two largest units",
    arguments: [
      (Duration.milliseconds(480), "480 ms"), (.milliseconds(2_440), "2.4 s"), (.seconds(9), "9 s"),
      (.seconds(59), "59 s"),
      (.seconds(60), "1 min"), (.seconds(200), "3 min 20 s"), (.seconds(7_500), "2 h 5 min"),
      (.seconds(356_400), "4 d 3 h"),
      (.seconds(-5), "0 ms"),
    ])
  func spans(duration: Duration, text: String) {
    #expect(Reading.span(duration) == text)
  }

  @Test("times that no calendar page has are words, and any span is a text")
  func infinite() {
    #expect(HTML.time(.infinity).markup == "never" && HTML.time(.negativeInfinity).markup == "always")
    #expect(HTML.time(Timestamp(microseconds: .max - 1)).markup == "+294247-01-10T04:00:54.775806Z")
    #expect(Reading.span(Timestamp.infinity.since(.negativeInfinity)).hasSuffix(" h"))
    #expect(Reading.span(.seconds(Int64.max)).contains(" d"))
  }

  @Test("numbers are grouped, and nouns agree with them")
  func counts() {
    #expect([0, 999, 1_000, 1_234_567, -1_000].map(Reading.grouped) == ["0", "999", "1,000", "1,234,567", "-1,000"])
    #expect(Reading.grouped(.min) == "-9,223,372,036,854,775,808")
    #expect(Reading.count(1, "review") == "1 review")
    #expect(Reading.count(2_000, "review") == "2,000 reviews")
  }

  @Test(
    "a chart's scale is the next round value",
    arguments: [
      (0.0, false, 4.0), (3, false, 4), (7, false, 8), (9, false, 10), (41, false, 60), (900, false, 1_000),
      (0.3, true, 0.5), (12, true, 20), (61, true, 120), (100_000, true, 172_800),
    ])
  func scales(highest: Double, isTime: Bool, top: Double) {
    #expect(Chart.scale(highest, isTime: isTime) == top)
  }
}
