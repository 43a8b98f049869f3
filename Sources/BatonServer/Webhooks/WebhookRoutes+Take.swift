internal import Crypto
internal import FoundationEssentials
internal import HTTPKit
internal import Hummingbird
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Spans
internal import Telemetry
internal import Tracing

/// What is done with a webhook of either platform once its sender is known.
extension WebhookRoutes {
  /// Judges a payload, then stores what is needed of it: the fields that are read, and the reason with what the event is about if nothing is to
  /// be done.
  /// - Throws: `HTTPFault` 422: faults are reported to the sender, rather than stored.
  func takeTraced(
    _ payload: some WebhookPayload, _ name: String, as id: String, of platform: Platform, from source: WebhookSource,
    _ call: Call
  ) async throws -> Response {
    try await call.traced(
      .intake, platform == .github ? .githubWebhook : .gitlabWebhook,
      [SpanKey.platform: .string(platform.rawValue), SpanKey.event: .string(name)]
    ) { call, span in
      let answer = try await take(payload, name, as: id, of: platform, from: source, call.trace)
      if case .processed(.reviewMadePending(let review, _, _)) = answer { span.set(.review(review)) }
      return WebhookAnswer(answer).response
    }
  }

  private func take(
    _ payload: some WebhookPayload, _ name: String, as id: String, of platform: Platform, from source: WebhookSource,
    _ trace: TraceContext
  ) async throws -> WebhookIntake.Receipt {
    let event = try await event(payload, name, of: platform, from: source)
    var ignored: String?
    if case .ignored(let reason) = event { ignored = reason }
    let stored = try JSONCoding.encode(ignored == nil ? payload : payload.subject)
    return try await intake.take(
      WebhookDelivery(
        platform: platform, id: id, event: name, payload: String(decoding: stored, as: UTF8.self),
        integrationID: source.integrationID, trace: trace, ignored: ignored))
  }

  /// What a payload says. A payload that would be ignored anyway is not answered with faults: a sender that gets too many switches its hook off.
  private func event(
    _ payload: some WebhookPayload, _ name: String, of platform: Platform, from source: WebhookSource
  ) async throws -> WebhookEvent {
    guard payload.isOf(name) else { return .ignored(WebhookAnswer.notOf(name)) }
    do throws(HTTPFault) {
      return try payload.event(
        name,
        in: WebhookContext(
          owner: source.owner, platform: platform, integrationID: source.integrationID, receivedAt: .negativeInfinity,
          policy: intake.policy))
    } catch {
      guard let standing = try await store.standing(of: source) else { throw error }
      if standing.isRevoked { return .ignored("the integration was revoked") }
      guard let reason = standing.notEnabled(repositoryID: payload.repositoryID) else { throw error }
      return .ignored(reason)
    }
  }

  // MARK: What is common

  /// What a delivery is known by: the integration, and what was signed. GitHub's own id is a header, and not signed: a sender with a body and
  /// its signature could send it again under any other id. The name is the integration's own, so that no owner can take another's.
  static func id(of body: Data, _ source: WebhookSource, _ sent: String? = nil) -> String {
    ([source.integrationID.lowercase, sent].compactMap { $0 } + [WebhookDelivery.digest(of: body)]).joined(
      separator: "/")
  }

  /// A header's value that is stored: short, and printable.
  static func name(_ value: String?, _ header: String, _ faults: inout [String]) -> String? {
    if let value = printable(value) { return value }
    faults.append("\(header): expected 1 to 100 printable characters")
    return nil
  }

  /// The value if it may be stored; nil if there is none, or it may not.
  static func printable(_ value: String?) -> String? {
    guard let value, (1...100).contains(value.utf8.count), value.utf8.allSatisfy({ (32...126).contains($0) }) else {
      return nil
    }
    return value
  }

  static func malformed(_ faults: [String]) -> HTTPFault {
    .malformed("not a webhook: \(faults.joined(separator: "; "))", faults: faults)
  }

  /// Whether a body begins like what platforms send: it may have more in it than is decoded.
  static func isObject(_ body: Data) -> Bool {
    body.first { ![0x20, 0x0A, 0x0D, 0x09].contains($0) } == UInt8(ascii: "{")
  }
}

extension WebhookDelivery {
  /// The first half of the body's SHA-256, in hexadecimal.
  static func digest(of body: Data) -> String { SHA256.hash(data: body).prefix(16).hexadecimal }
}
