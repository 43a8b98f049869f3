import FoundationEssentials
import Testing

@testable import Primitives

/// Sun, 06 Nov 1994 08:49:00 GMT.
private let now = Date(timeIntervalSince1970: 784_111_740)

@Suite("Retry-After")
struct RetryAfterTests {
  @Test(
    "seconds and the three forms of a date are read",
    arguments: [
      ("0", Duration.zero), (" 15 ", .seconds(15)), ("99999999999999999999", .seconds(86_400)),
      ("172800", .seconds(86_400)),
      ("Sun, 06 Nov 1994 08:49:37 GMT", .seconds(37)), ("Sunday, 06-Nov-94 08:49:37 GMT", .seconds(37)),
      ("Sun Nov  6 08:49:37 1994", .seconds(37)), ("Sun, 06 Nov 1994 08:48:00 GMT", .zero),
      ("Fri, 01 Jan 2100 00:00:00 GMT", .seconds(86_400)),
    ])
  func reads(text: String, expected: Duration) {
    #expect(RetryAfter.parse(text, now: now) == expected)
  }

  @Test("a date is a time of the answering clock, not of this machine's")
  func dates() {
    func wait(_ headers: [String: String]) -> Duration? { RetryAfter.wait(now: now) { headers[$0] } }
    let date = "Sun, 06 Nov 1994 08:49:37 GMT"
    #expect(wait(["retry-after": date]) == .seconds(37))
    #expect(wait(["retry-after": date, "date": "Sun, 06 Nov 1994 08:49:07 GMT"]) == .seconds(30))
    #expect(wait(["retry-after": date, "date": "Sun, 06 Nov 1994 09:49:37 GMT"]) == .zero)
    #expect(wait(["retry-after": date, "date": "yesterday"]) == .seconds(37))
    // What a cache has kept was sent earlier.
    #expect(wait(["retry-after": date, "date": "Sun, 06 Nov 1994 07:49:37 GMT", "age": "3600"]) == .seconds(37))
    #expect(wait(["retry-after": "15", "date": "Sun, 06 Nov 1994 07:49:37 GMT"]) == .seconds(15))
    #expect(wait(["date": date]) == nil)
  }

  @Test(
    "no number in it stops the program",
    arguments: ["9223372036854775807", "-9223372036854775808", "99999999999999999999", "0", "-1", "", "é"])
  func anyNumber(text: String) {
    for form in [
      "\(text)", "Sun, \(text) Nov 1994 08:49:37 GMT", "Sun, 06 Nov \(text) 08:49:37 GMT", "Sun Nov  6 \(text) \(text)",
    ] {
      #expect((.zero...RetryAfter.max).contains(RetryAfter.parse(form, now: now) ?? .zero))
    }
  }

  @Test(
    "anything else gives no wait",
    arguments: ["", "-1", "1.5", "soon", "Sun, 06 Nov 1994", "Sun, 99 Foo 1994 08:49:37 GMT", "a b c d e"])
  func refuses(text: String) {
    #expect(RetryAfter.parse(text, now: now) == nil)
  }
}
