internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews

/// `POST /webhooks/gitlab/{integrationId}`.
extension WebhookRoutes {
  @Sendable func receiveGitLab(_ call: Call) async throws -> Response {
    let id = call.pathID.flatMap { UUID(uuidString: $0) }
    var source: WebhookSource?
    if let id { source = try await sources.ofIntegrations.submit(id) }
    guard let source else {
      if secrets.gitlab == nil, try await !sources.hasOwnGitLabSecret.value() {
        throw WebhookSecrets.isOff("BATON_GITLAB_WEBHOOK_SECRET")
      }
      throw HTTPFault(.notFound, "no GitLab integration has this id")
    }
    let headers = call.request.headers
    let accepted = try secrets.gitlab(of: source)
    if let signature = WebhookSignature(headers), headers[.gitlabToken] == nil {
      // Who has sent it is known when it has been read.
      return try await bodies.read(
        call, upTo: WebhookBodies.strangerByteCountMax, in: bodies.strangers, for: PeerAddress(call.peer)
      ) { body in
        try signature.check(body, with: accepted)
        // A stranger costs no question to the database.
        try signature.checkTime(now: try await store.now())
        return try await judgeGitLab(call, body, source)
      }
    }
    try WebhookSecrets.checkGitLab(headers[.gitlabToken], with: accepted)
    return try await bodies.read(call, upTo: WebhookBodies.knownByteCountMax, in: bodies.known, for: nil) { body in
      try await judgeGitLab(call, body, source)
    }
  }

  private func judgeGitLab(_ call: Call, _ body: Data, _ source: WebhookSource) async throws -> Response {
    let headers = call.request.headers
    var faults: [String] = []
    let name = Self.name(headers[.gitlabEvent], "X-Gitlab-Event", &faults)
    let payload = try? GitLabPayload(json: body)
    if payload == nil {
      if let name, faults.isEmpty, Self.isObject(body), !GitLabPayload.isRelevant(name, body) {
        return WebhookAnswer.nothing(for: name)
      }
      faults.append("the body is not a JSON object")
    }
    guard faults.isEmpty, let name, let payload else { throw Self.malformed(faults) }
    return try await takeTraced(
      payload, name, as: Self.gitlabID(headers, body, source), of: .gitlab, from: source, call)
  }

  /// GitLab's event id is the same for several hooks, and for events that follow from each other; its idempotency key is not sent
  /// by all versions. Together with the integration and the body it identifies one delivery. Its sender has the token, and could sign anything.
  private static func gitlabID(_ headers: HTTPFields, _ body: Data, _ source: WebhookSource) -> String {
    let sent = headers[.webhookID] ?? headers[.idempotencyKey] ?? headers[.gitlabEventID]
    return id(of: body, source, printable(sent) ?? "-")
  }
}
