internal import FoundationEssentials
internal import NIOHTTP1

/// Why a call of a platform's API gave nothing to work with.
enum APIFault: Error, Sendable, Equatable {
  /// 404, 410: not there, or not shown to this token.
  case missing
  /// 401: the token is not accepted.
  case unauthorized(message: String)
  /// 403 and other 4xx, and a redirect that leads elsewhere: it will not do this, now or later.
  case refused(message: String)
  /// 429, or a 403 that says the limit is used up.
  case rateLimited(retryAfter: Duration)
  /// 5xx, 408, no answer in time, a connection that was lost: it may go better the next time.
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

  /// Decides what an answer means; nil where it is a success (2xx).
  /// - Parameter now: the clock that a reset time is compared with.
  init?(status: Int, headers: HTTPHeaders, body: Data, now: Date) {
    switch status {
    case 200..<300: return nil
    case 404, 410: self = .missing
    case 429: self = .rateLimited(retryAfter: RetryDelay.of(headers, now: now))
    case 403 where Self.isRateLimit(headers, body):
      self = .rateLimited(retryAfter: RetryDelay.of(headers, now: now))
    case 401: self = .unauthorized(message: Self.message(status, body))
    case 408, 500...: self = .failing(message: "it answered \(status)")
    default: self = .refused(message: Self.message(status, body))
    }
  }

  /// GitHub's primary limit shows in a header, the secondary one by `Retry-After` or only in the text.
  private static func isRateLimit(_ headers: HTTPHeaders, _ body: Data) -> Bool {
    RetryDelay.isExhausted(headers) || headers.contains(name: "retry-after")
      || platformMessage(body)?.lowercased().contains("rate limit") == true
  }

  private static func message(_ status: Int, _ body: Data) -> String {
    guard let text = platformMessage(body), !text.isEmpty else { return "it answered \(status)" }
    return "it answered \(status): \(text)"
  }

  /// The API's own words, of one line and bounded; GitHub and GitLab say `message`, OAuth says `error_description`.
  private static func platformMessage(_ body: Data) -> String? {
    struct Wire: Decodable {
      var message: String?
      var error: String?
      var error_description: String?
    }
    guard body.count <= 65_536, let wire = try? JSONDecoder().decode(Wire.self, from: body) else { return nil }
    guard let text = wire.message ?? wire.error_description ?? wire.error else { return nil }
    let line = text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) }
    return String(line.prefix(messageLengthMax))
  }
}
