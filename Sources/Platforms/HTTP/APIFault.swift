internal import FoundationEssentials
internal import NIOHTTP1
internal import Primitives
internal import Reviews

/// Why a call of a platform's API gave nothing to work with.
enum APIFault: Error, Sendable, Equatable {
  /// 404, 410: not there, or not shown to this token.
  case missing
  /// 401: the token is not accepted.
  case unauthorized(message: String)
  /// 403 and other 4xx: it will not do this, now or later.
  case refused(message: String)
  /// 429, or a 403 that says the limit is used up.
  case rateLimited(retryAfter: Duration)
  /// 5xx, 408, no answer in time, a lost connection, and an answer that is not the API's own: it may succeed the next time.
  case failing(message: String)
  /// No connection: DNS, refused, TLS, no connection in time.
  case unreachable(message: String)
  /// An answer that is too large or is not what the API promises.
  case malformed(message: String)
  /// The task was cancelled.
  case cancelled
}

extension APIFault {
  /// The longest part of a platform's own message that is quoted, in characters.
  static let messageLengthMax = 200

  /// Decides what an answer means; nil for a success (2xx).
  ///
  /// A status alone decides nothing against a review. Both platforms send a JSON object with their reason along with every 4xx. Without
  /// it, a proxy or a login page in front of the API has answered, and that is an outage.
  /// - Parameter now: the clock that a reset time is compared with.
  init?(status: Int, headers: HTTPHeaders, body: Data, now: Date) {
    // Before the body is read: it is mostly a success, with a large body.
    if (200..<300).contains(status) { return nil }
    // Only a refusal has a body that says something.
    let answer = (400..<500).contains(status) ? PlatformError(body) : nil
    switch status {
    case 429: self = .rateLimited(retryAfter: RateLimitDelay.of(headers, now: now))
    case 403 where Self.isRateLimit(headers, body):
      self = .rateLimited(retryAfter: RateLimitDelay.of(headers, now: now))
    case 408, 500...: self = .failing(message: "it answered \(status)")
    case 400..<500 where answer == nil:
      self = .failing(message: "it answered \(status) without the API's own JSON: is a proxy in front of it?")
    case 404, 410: self = .missing
    case 401: self = .unauthorized(message: Self.message(status, answer))
    case 400..<500: self = .refused(message: Self.message(status, answer))
    default: self = .failing(message: "it answered \(status)")
    }
  }

  /// GitHub's primary limit shows in a header, the secondary one by `Retry-After` or only in the text; older versions call it their mechanism
  /// against abuse.
  private static func isRateLimit(_ headers: HTTPHeaders, _ body: Data) -> Bool {
    if RateLimitDelay.isExhausted(headers) || headers.contains(name: "retry-after") { return true }
    let text = String(decoding: body.prefix(4_096), as: UTF8.self).lowercased()
    return limitTexts.contains { text.contains($0) }
  }

  private static let limitTexts = [
    "rate limit", "rate-limit", "abuse detection", "abuse-rate", "too many requests", "too many times", "too quickly",
    "login attempt", "try again later",
  ]

  private static func message(_ status: Int, _ answer: PlatformError?) -> String {
    guard let text = answer?.text, !text.isEmpty else { return "it answered \(status)" }
    return "it answered \(status): \(text)"
  }
}

/// The JSON object that GitHub and GitLab send along with a 4xx.
private struct PlatformError: Decodable {
  /// The API's reason, on one line and bounded; empty if it is not text.
  let text: String

  /// GitHub and GitLab say `message` (GitLab also as an object, one list for each field), OAuth says `error_description`.
  private enum Key: String, CodingKey, CaseIterable {
    case message, error_description, error
  }

  private struct NotOurs: Error {}

  init?(_ body: Data) {
    guard body.count <= 65_536, let error = try? JSONCoding.decode(PlatformError.self, from: body, repairingText: true)
    else {
      return nil
    }
    self = error
  }

  init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Key.self)
    let present = Key.allCases.filter { fields.contains($0) }
    guard !present.isEmpty else { throw NotOurs() }
    let reason = present.lazy.compactMap { try? fields.decode(String.self, forKey: $0) }.first ?? ""
    let line = reason.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) }
    text = String(line.prefix(APIFault.messageLengthMax))
  }
}
