internal import FoundationEssentials
internal import NIOHTTP1
internal import Primitives
internal import Resilience

/// How long an API asks to be left alone.
enum RateLimitDelay {
  /// GitHub asks for at least a minute if it says nothing
  /// (docs.github.com, "Best practices for using the REST API", handling rate limit errors).
  static let unstated: Duration = .seconds(60)
  /// A peer cannot park a review for longer than GitHub's window.
  static let max: Duration = .seconds(3600)

  /// `Retry-After` in seconds or as an HTTP date, else the time of the limit's reset, else ``unstated``; 1 s to ``max``.
  static func of(_ headers: HTTPHeaders, now: Date) -> Duration {
    if let delay = RetryAfter.wait(now: now, header: { headers.first(name: $0) }) { return bounded(delay) }
    if isExhausted(headers), let reset = reset(headers) {
      return bounded(.seconds(reset.subtractingReportingOverflow(Int64(now.timeIntervalSince1970)).partialValue))
    }
    return unstated
  }

  /// The longest that a wait is stretched by.
  static let spreadMax: Duration = .seconds(60)

  /// A wait stretched by chance, so that all who wait for the same limit do not call in the instant in which it ends: that would
  /// exceed another limit, which platforms have for concurrent calls and for calls in a minute.
  /// - Returns: drawn evenly from the wait to twice it, at most ``spreadMax`` longer.
  static func spread(_ delay: Duration, using generator: inout some RandomNumberGenerator) -> Duration {
    delay + Backoff(base: delay, max: spreadMax).delay(attempt: 0, using: &generator)
  }

  /// How long an account is not to call after an answer; nil if it may go on.
  ///
  /// A success can also be the last one that the limit allows: then its headers name the time of the reset. A reset in the past says nothing.
  /// - Parameter fault: what the answer means; nil for a success.
  static func afterAnswer(_ fault: APIFault?, headers: HTTPHeaders, now: Date) -> Duration? {
    if case .rateLimited(let delay)? = fault { return delay }
    guard isExhausted(headers), let reset = reset(headers), reset > Int64(now.timeIntervalSince1970) else { return nil }
    return of(headers, now: now)
  }

  /// Whether the headers say that nothing is left of the limit.
  static func isExhausted(_ headers: HTTPHeaders) -> Bool { value("remaining", headers) == "0" }

  /// The share of the limit that is left, 0 to 1; nil if the headers do not say it.
  static func shareLeft(_ headers: HTTPHeaders) -> Double? {
    guard let left = value("remaining", headers).flatMap({ Int64($0) }),
      let limit = value("limit", headers).flatMap({ Int64($0) }), limit > 0
    else { return nil }
    return Swift.min(Swift.max(Double(left) / Double(limit), 0), 1)
  }

  /// When the limit is renewed; nil if the headers do not say it.
  static func end(_ headers: HTTPHeaders) -> Date? { reset(headers).map { Date(timeIntervalSince1970: Double($0)) } }

  /// In seconds since 1970.
  private static func reset(_ headers: HTTPHeaders) -> Int64? { value("reset", headers).flatMap { Int64($0) } }

  /// x-ratelimit-… are GitHub's headers, ratelimit-… are GitLab's.
  private static func value(_ name: String, _ headers: HTTPHeaders) -> String? {
    headers.first(name: "x-ratelimit-\(name)") ?? headers.first(name: "ratelimit-\(name)")
  }

  private static func bounded(_ delay: Duration) -> Duration { Swift.min(Swift.max(delay, .seconds(1)), max) }
}
