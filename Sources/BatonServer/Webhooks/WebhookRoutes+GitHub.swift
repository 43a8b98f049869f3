internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews

/// `POST /webhooks/github`.
extension WebhookRoutes {
  @Sendable func receiveGitHub(_ call: Call) async throws -> Response {
    let headers = call.request.headers
    if secrets.github == nil {
      guard try await sources.hasOwnGitHubSecret.value() else {
        throw WebhookSecrets.isOff("BATON_GITHUB_WEBHOOK_SECRET")
      }
    }
    let code = try secrets.code(ofGitHub: headers[.hubSignature])
    // Events that something is done for are never so large, or else refused, so that GitHub lists them as failed.
    if let length = headers[.contentLength].flatMap({ Int($0) }), length > WebhookBodies.strangerByteCountMax,
      let name = headers[.githubEvent], !GitHubPayload.events.contains(name)
    {
      return WebhookAnswer.ignored("nothing is done for this event, and it is too large to be read")
    }
    return try await bodies.read(
      call, upTo: WebhookBodies.strangerByteCountMax, in: bodies.strangers, for: PeerAddress(call.peer)
    ) { body in
      let (installation, source) = try await verified(body, code)
      return try await judgeGitHub(call, body, installation, source)
    }
  }

  /// Makes sure that GitHub has sent a body, without decoding it.
  /// - Returns: the installation that it names, and the installation's integration.
  private func verified(_ body: Data, _ code: [UInt8]) async throws -> (Int64?, WebhookSource?) {
    let isCommon = secrets.isCommon(code, of: body)
    // It can only be an integration's own, which only the key opens.
    if !isCommon, secrets.cipher == nil { throw WebhookSecrets.wrongSignature }
    let installation = body.withUnsafeBytes { InstallationScanner.installation(in: $0) }
    var source: WebhookSource?
    if let installation { source = try await sources.ofInstallations.submit(installation) }
    try secrets.checkGitHub(code, of: body, isCommon: isCommon, from: source)
    return (installation, source)
  }

  private func judgeGitHub(
    _ call: Call, _ body: Data, _ installation: Int64?, _ source: WebhookSource?
  ) async throws -> Response {
    let headers = call.request.headers
    let payload = try? GitHubPayload(json: body)
    var faults: [String] = []
    let name = Self.name(headers[.githubEvent], "X-GitHub-Event", &faults)
    let sentID = Self.name(headers[.githubDelivery], "X-GitHub-Delivery", &faults)
    if payload == nil {
      if let name, faults.isEmpty, Self.isObject(body), !GitHubPayload.events.contains(name) {
        return WebhookAnswer.nothing(for: name)
      }
      faults.append("the body is not a JSON object: use the content type application/json")
    }
    if let payload, payload.installationID != installation {
      // Whose it is was decided by one of them.
      faults.append("installation.id: stands there more than once, or in a form that GitHub does not use")
    } else if payload != nil, installation == nil, name == "pull_request" {
      faults.append("installation.id: missing")
    }
    guard faults.isEmpty, let name, let sentID, let payload else { throw Self.malformed(faults) }
    guard installation != nil else {
      return WebhookAnswer.nothing(for: name)
    }
    guard let source else {
      if !payload.isOf(name) { return WebhookAnswer.ignored(WebhookAnswer.notOf(name)) }
      return try await unknown(installation, name, payload, body)
    }
    let id = Self.id(of: body, source)
    call.logger.debug("a webhook has come", metadata: ["delivery": "\(id)", "sent": "\(sentID)"])
    return try await takeTraced(payload, name, as: id, of: .github, from: source, call)
  }
}
