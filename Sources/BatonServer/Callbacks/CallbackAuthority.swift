internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Primitives
internal import Reviews
internal import WorkerAPI

/// Who may report on a run: the bearer of the shared secret on all of them, the bearer of a run's token on that one.
struct CallbackAuthority: Sendable {
  /// What a caller has shown that it may report on.
  enum Grant: Sendable, Equatable {
    case everything
    case run(UUID, attempt: Int)
  }

  let secrets: SecretList?
  let keys: [AuthKey]

  /// - Throws: `HTTPFault`: 503 if nothing is configured to compare with, 401 if nothing sent is right.
  func grant(headers: HTTPFields, now: Date) throws(HTTPFault) -> Grant {
    guard secrets != nil || !keys.isEmpty else {
      throw HTTPFault(
        .serviceUnavailable,
        "callbacks are off: set BATON_CALLBACK_SECRET, or BATON_ENCRYPTION_KEY for tokens of single runs")
    }
    if let secrets, let sent = headers[.internalSecret], ConstantTime.matches(sent, secrets) { return .everything }
    if let token = Bearer.token(headers), let (id, attempt) = AuthToken.verify(token, keys: keys, now: now) {
      return .run(id, attempt: attempt)
    }
    throw .unauthorized("expected \(StatusCallback.secretHeader), or the run's token in the header Authorization")
  }
}
