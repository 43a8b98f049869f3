import Primitives
import Reviews
import Testing

@testable import baton

@Suite("Times")
struct TimesTests {
  @Test(
    "a span shows at most its two largest units",
    arguments: [
      (Duration.zero, "0 ms"), (.microseconds(499), "0 ms"), (.milliseconds(12), "12 ms"),
      (.milliseconds(999), "999 ms"),
      (.milliseconds(1_000), "1.0 s"), (.milliseconds(3_249), "3.2 s"), (.milliseconds(9_949), "9.9 s"),
      (.milliseconds(9_960), "10 s"), (.seconds(59), "59 s"), (.milliseconds(59_700), "1 min"),
      (.seconds(250), "4 min 10 s"), (.seconds(3_600), "1 h"), (.seconds(7_500), "2 h 5 min"),
      (.seconds(86_400), "1 d"), (.seconds(273_600), "3 d 4 h"), (.seconds(-5), "-5.0 s"),
    ])
  func span(_ duration: Duration, _ text: String) {
    #expect(Times.span(duration) == text)
  }

  @Test(
    "a point in time is said as its distance from now",
    arguments: [
      (0.0, "now"), (0.4, "now"), (3, "3 s ago"), (59.4, "59 s ago"), (60, "1 min ago"), (3_599, "59 min ago"),
      (7_200, "2 h ago"), (172_799, "47 h ago"), (172_800, "2 d ago"), (-10, "in 10 s"), (-3_600, "in 1 h"),
    ])
  func relative(_ age: Double, _ text: String) {
    let now = Timestamp(microseconds: 1_800_000_000_000_000)
    let time = Timestamp(microseconds: now.microseconds - Int64(age * 1_000_000))
    #expect(Times.relative(time, to: now) == text)
  }

  @Test("an infinite time is a word, and any other one far away a number of days")
  func infinite() {
    let now = Timestamp(microseconds: 1_800_000_000_000_000)
    #expect(Times.relative(.infinity, to: now) == "never" && Times.clock(.infinity) == "infinity")
    #expect(Times.relative(.negativeInfinity, to: now) == "always" && Times.clock(.negativeInfinity) == "-infinity")
    #expect(Times.relative(Timestamp(microseconds: .max - 1), to: now).hasPrefix("in "))
    #expect(Times.span(now.since(.negativeInfinity)).hasSuffix(" h"))
    #expect(Times.span(Timestamp.negativeInfinity.since(now)).hasPrefix("-"))
    #expect(Times.span(.seconds(Int64.max)) == Times.span(.seconds(9_000_000_000_000)))
  }

  @Test("a time of day has milliseconds and no zone")
  func clock() throws {
    let time = try #require(Timestamp("2026-11-23T22:18:47.123456Z"))
    #expect(Times.clock(time) == "2026-11-23 22:18:47.123")
  }

  @Test("microdollars are dollars with six digits")
  func dollars() {
    #expect(ReviewPageText.dollars(microdollars: 1_234_567) == "$1.234567")
    #expect(ReviewPageText.dollars(microdollars: 42) == "$0.000042")
    #expect(ReviewPageText.dollars(microdollars: -42) == "-$0.000042")
  }
}
