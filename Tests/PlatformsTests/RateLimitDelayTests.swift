import Foundation
import NIOHTTP1
import Reviews
import Support
import Testing

@testable import Platforms

@Suite("Rate limit delay")
struct RateLimitDelayTests {
  private let now = Date(timeIntervalSince1970: 1_700_000_000)

  @Test("Retry-After wins, in seconds or as an HTTP date")
  func retryAfter() {
    #expect(
      RateLimitDelay.of(
        ["retry-after": "7", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000900"], now: now)
        == .seconds(7))
    // 1700000000 is Tue, 14 Nov 2023 22:13:20 GMT.
    #expect(RateLimitDelay.of(["retry-after": "Tue, 14 Nov 2023 22:14:00 GMT"], now: now) == .seconds(40))
  }

  @Test("a used-up limit waits until its reset, as GitHub and GitLab say it")
  func reset() {
    #expect(
      RateLimitDelay.of(["x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000123"], now: now) == .seconds(123))
    #expect(RateLimitDelay.of(["ratelimit-remaining": "0", "ratelimit-reset": "1700000005"], now: now) == .seconds(5))
  }

  @Test(
    "what says nothing that can be used waits a minute",
    arguments: [
      [:], ["x-ratelimit-remaining": "12", "x-ratelimit-reset": "1700000123"], ["retry-after": "soon"],
      ["retry-after": "-1"],
      ["retry-after": "Tue, 99 Foo 2023 22:14:00 GMT"], ["x-ratelimit-remaining": "0"],
      ["x-ratelimit-remaining": "0", "x-ratelimit-reset": "never"],
    ] as [[String: String]])
  func unstated(_ headers: [String: String]) {
    #expect(RateLimitDelay.of(HTTPHeaders(headers.map { ($0.key, $0.value) }), now: now) == .seconds(60))
  }

  @Test(
    "a delay is never below a second nor above an hour",
    arguments: [
      ("0", 1), ("86400", 3600), ("9223372036854775807", 3600), ("Tue, 14 Nov 2000 22:14:00 GMT", 1),
      ("Tue, 14 Nov 2923 22:14:00 GMT", 3600),
    ])
  func bounds(_ value: String, _ seconds: Int) {
    #expect(RateLimitDelay.of(["retry-after": value], now: now) == .seconds(seconds))
  }

  @Test("a reset in the past or beyond all bounds does not trap")
  func extremeReset() {
    for (reset, seconds) in [("0", 1), ("-9223372036854775808", 3600), ("9223372036854775807", 3600)] {
      let headers: HTTPHeaders = ["x-ratelimit-remaining": "0", "x-ratelimit-reset": reset]
      #expect((Duration.seconds(1) ... .seconds(seconds)).contains(RateLimitDelay.of(headers, now: now)))
    }
  }

  @Test("all that wait for the same limit come back evenly over the minute after it, none before it")
  func spread() {
    let (count, slotCount) = (6_000, 60)
    func draws(seed: UInt64) -> [Duration] {
      var generator = SeededGenerator(seed: seed)
      return (0..<count).map { _ in RateLimitDelay.spread(.seconds(3_600), using: &generator) }
    }
    let delays = draws(seed: 1)
    #expect(delays.allSatisfy { $0 >= .seconds(3_600) && $0 <= .seconds(3_660) })
    var slots = [Int](repeating: 0, count: slotCount)
    for delay in delays { slots[min(Int(delay.components.seconds) - 3_600, slotCount - 1)] += 1 }
    #expect(slots.allSatisfy { (count / slotCount / 2...count / slotCount * 2).contains($0) }, "\(slots)")
    #expect(draws(seed: 1) == delays && draws(seed: 2) != delays)
  }

  @Test("no header of a platform stops the program", arguments: numbers)
  func anyNumber(text: String) {
    for other in Self.numbers {
      for date in [
        "Sun, \(text) Nov \(other) 08:49:37 GMT", "Sun, 06 Nov 1994 \(text):\(other):00 GMT",
        "Sun, \(text) Nov 2026 \(other):00:00 GMT", text,
      ] {
        let headers = HTTPHeaders([
          ("retry-after", date), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", other),
        ])
        #expect((.seconds(1)...RateLimitDelay.max).contains(RateLimitDelay.of(headers, now: now)))
        let reset = HTTPHeaders([("ratelimit-remaining", "0"), ("ratelimit-reset", text)])
        #expect((.seconds(1)...RateLimitDelay.max).contains(RateLimitDelay.of(reset, now: now)))
      }
    }
  }

  private static let numbers = [
    "9223372036854775807", "-9223372036854775808", "99999999999999999999", "0", "-1", "", "é",
  ]

  @Test("a short wait is at most doubled", arguments: [0, 1, 8, 60] as [Int64])
  func shortSpread(seconds: Int64) {
    var generator = SeededGenerator(seed: 3)
    let delays = (0..<100).map { _ in RateLimitDelay.spread(.seconds(seconds), using: &generator) }
    #expect(delays.allSatisfy { $0 >= .seconds(seconds) && $0 <= .seconds(2 * seconds) })
  }
}

extension PreparationError {
  /// Whether it waits for the end of a limit, and not much longer.
  func waits(for delay: Duration) -> Bool {
    guard case .transient(let message, let wait?) = self, message.contains("rate limit") else { return false }
    return wait >= delay && wait <= delay + min(delay, RateLimitDelay.spreadMax)
  }
}
