import Foundation
import NIOHTTP1
import Testing

@testable import Platforms

@Suite("Retry delay")
struct RetryDelayTests {
  private let now = Date(timeIntervalSince1970: 1_700_000_000)

  @Test("Retry-After wins, in seconds or as an HTTP date")
  func retryAfter() {
    #expect(
      RetryDelay.of(["retry-after": "7", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000900"], now: now)
        == .seconds(7))
    // 1700000000 is Tue, 14 Nov 2023 22:13:20 GMT.
    #expect(RetryDelay.of(["retry-after": "Tue, 14 Nov 2023 22:14:00 GMT"], now: now) == .seconds(40))
  }

  @Test("a used-up limit waits until its reset, as GitHub and GitLab say it")
  func reset() {
    #expect(
      RetryDelay.of(["x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000123"], now: now) == .seconds(123))
    #expect(RetryDelay.of(["ratelimit-remaining": "0", "ratelimit-reset": "1700000005"], now: now) == .seconds(5))
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
    #expect(RetryDelay.of(HTTPHeaders(headers.map { ($0.key, $0.value) }), now: now) == .seconds(60))
  }

  @Test(
    "a delay is never below a second nor above an hour",
    arguments: [
      ("0", 1), ("86400", 3600), ("9223372036854775807", 3600), ("Tue, 14 Nov 2000 22:14:00 GMT", 1),
      ("Tue, 14 Nov 2923 22:14:00 GMT", 3600),
    ])
  func bounds(_ value: String, _ seconds: Int) {
    #expect(RetryDelay.of(["retry-after": value], now: now) == .seconds(seconds))
  }

  @Test("a reset in the past or beyond all bounds does not trap")
  func extremeReset() {
    for (reset, seconds) in [("0", 1), ("-9223372036854775808", 3600), ("9223372036854775807", 3600)] {
      let headers: HTTPHeaders = ["x-ratelimit-remaining": "0", "x-ratelimit-reset": reset]
      #expect((Duration.seconds(1) ... .seconds(seconds)).contains(RetryDelay.of(headers, now: now)))
    }
  }
}
