internal import Crypto
internal import FoundationEssentials
internal import HTTPTypes
internal import Hummingbird
internal import ReviewStore
internal import Reviews
internal import Telemetry

/// `POST /webhooks/github` and `POST /webhooks/gitlab/{integrationId}`.
///
/// Who sent it is decided first, on the body as it came; then it is stored; then anything else happens. What can be refused without the
/// body is refused before it is read: GitLab's sender is known by its token, GitHub's by a signature of the body alone.
struct WebhookRoutes: Sendable {
  let store: ReviewStore
  let secrets: WebhookSecrets
  let intake: WebhookIntake

  /// What GitHub sends at most, 25 MB; events of pull requests have some 30 kB.
  static let bodyByteCountMax = 25 << 20
  /// Up to here a body waits for no room: so many of these as there may be connections (`HTTPListener`) are 128 MiB. Whoever fills the
  /// rooms with longer ones does not keep out what platforms usually send.
  private static let smallByteCountMax = 128 << 10
  private let middleRoom = BodyRoom(byteCountMax: 32 << 20)
  private static let middleByteCountMax = 1 << 20
  /// A large body takes several times its length while it is read and stored: no more at once than one of the longest. Its sender waits,
  /// and others pass.
  private let largeRoom = BodyRoom(byteCountMax: bodyByteCountMax)
  /// GitHub and GitLab give up after ten seconds.
  private static let arrivalTime: Duration = .seconds(15)

  var routes: [Route] {
    [
      Route(.post, .githubWebhook, access: .open, handle: github),
      Route(.post, .gitlabWebhook, access: .open, handle: gitlab),
    ]
  }

  /// Reads a body when there is room for it, and has that until the answer.
  private func withBody(_ call: Call, _ handle: (Data) async throws -> Response) async throws -> Response {
    let byteCount = try call.announcedByteCount(upTo: Self.bodyByteCountMax)
    func answer() async throws -> Response {
      try await handle(try await call.body(upTo: Self.bodyByteCountMax, within: Self.arrivalTime))
    }
    guard byteCount > Self.smallByteCountMax else { return try await answer() }
    return try await (byteCount > Self.middleByteCountMax ? largeRoom : middleRoom).hold(byteCount, answer)
  }

  @Sendable private func github(_ call: Call) async throws -> Response {
    try secrets.checkForm(ofGitHub: call.request.headers[.hubSignature])
    return try await withBody(call) { body in try await github(call, body) }
  }

  private func github(_ call: Call, _ body: Data) async throws -> Response {
    let headers = call.request.headers
    // Not believed yet: it only tells with which secret the signature has to be compared.
    let payload = try? GitHubPayload(json: body)
    let installation = payload?.installationID
    var source: WebhookSource?
    if let installation { source = try await store.webhookSource(installation: installation) }
    try secrets.checkGitHub(headers[.hubSignature], of: body, from: source)

    var faults: [String] = []
    let name = Self.name(headers[.githubEvent], "X-GitHub-Event", &faults)
    let id = Self.name(headers[.githubDelivery], "X-GitHub-Delivery", &faults)
    if payload == nil { faults.append("the body is not a JSON object: use the content type application/json") }
    if payload != nil, installation == nil, name == "pull_request" { faults.append("installation.id: missing") }
    guard faults.isEmpty, let name, let id else { throw Self.malformed(faults) }
    guard installation != nil else {
      return Self.response(.processed(.unchanged("nothing is done for the event \(name)", nil)))
    }
    guard let source else { throw HTTPFault(.notFound, "no integration has this installation") }
    return try await take(
      WebhookDelivery(
        platform: .github, id: id, event: name, payload: String(decoding: body, as: UTF8.self),
        integrationID: source.integrationID, trace: call.trace), body, source)
  }

  @Sendable private func gitlab(_ call: Call) async throws -> Response {
    guard let id = call.pathID.flatMap({ UUID(uuidString: $0) }),
      let source = try await store.webhookSource(integration: id)
    else { throw HTTPFault(.notFound, "no GitLab integration has this id") }
    try secrets.checkGitLab(call.request.headers[.gitlabToken], from: source)
    return try await withBody(call) { body in try await gitlab(call, body, source) }
  }

  private func gitlab(_ call: Call, _ body: Data, _ source: WebhookSource) async throws -> Response {
    let headers = call.request.headers
    var faults: [String] = []
    let name = Self.name(headers[.gitlabEvent], "X-Gitlab-Event", &faults)
    if (try? GitLabPayload(json: body)) == nil { faults.append("the body is not a JSON object") }
    guard faults.isEmpty, let name else { throw Self.malformed(faults) }
    return try await take(
      WebhookDelivery(
        platform: .gitlab, id: Self.gitlabID(headers, body, source), event: name,
        payload: String(decoding: body, as: UTF8.self), integrationID: source.integrationID, trace: call.trace),
      body, source)
  }

  private func take(_ delivery: WebhookDelivery, _ body: Data, _ source: WebhookSource) async throws -> Response {
    // Faults are told to the sender, rather than stored for ever.
    _ = try WebhookEvent(
      delivery.platform, delivery.event, payload: body, owner: source.owner, integrationID: source.integrationID)
    return Self.response(try await intake.take(delivery))
  }

  /// GitLab's event id is the same for several hooks, and for events that follow from each other; its idempotency key is not sent
  /// by all versions. Together with the integration and the body it is one delivery's.
  private static func gitlabID(_ headers: HTTPFields, _ body: Data, _ source: WebhookSource) -> String {
    let digest = SHA256.hash(data: body).prefix(16).map { byte in
      String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }
    var ignored: [String] = []
    let sent = name(headers[.idempotencyKey] ?? headers[.gitlabEventID] ?? "-", "", &ignored) ?? "-"
    return "\(source.integrationID.lowercase)/\(sent)/\(digest.joined())"
  }

  /// A header's value that is stored: short, and printable.
  private static func name(_ value: String?, _ header: String, _ faults: inout [String]) -> String? {
    guard let value, (1...100).contains(value.utf8.count), value.utf8.allSatisfy({ (32...126).contains($0) }) else {
      faults.append("\(header): expected 1 to 100 printable characters")
      return nil
    }
    return value
  }

  private static func malformed(_ faults: [String]) -> HTTPFault {
    .malformed("not a webhook: \(faults.joined(separator: "; "))", faults: faults)
  }

  // MARK: Answers

  private struct Answer: Encodable {
    var outcome: String
    var reason: String?
    var reviewId: String?
    var attempt: Int?
  }

  private static func response(_ answer: WebhookIntake.Answer) -> Response {
    switch answer {
    case .stored: .json(.accepted, Answer(outcome: "stored", reason: "it is processed in a moment"))
    case .processed(.pending(let id, let attempt, _)):
      .json(.accepted, Answer(outcome: "pending", reviewId: id.lowercase, attempt: attempt))
    case .processed(.unchanged(let reason, let id)):
      .json(.ok, Answer(outcome: "unchanged", reason: reason, reviewId: id?.lowercase))
    case .processed(.cancelled(let count)):
      .json(.ok, Answer(outcome: "closed", reason: "\(count) reviews were cancelled"))
    case .processed(.repeated):
      .json(.ok, Answer(outcome: "repeated", reason: "this delivery has come before"))
    }
  }
}

extension HTTPField.Name {
  static let hubSignature = HTTPField.Name(webhook: "X-Hub-Signature-256")
  static let githubEvent = HTTPField.Name(webhook: "X-GitHub-Event")
  static let githubDelivery = HTTPField.Name(webhook: "X-GitHub-Delivery")
  static let gitlabToken = HTTPField.Name(webhook: "X-Gitlab-Token")
  static let gitlabEvent = HTTPField.Name(webhook: "X-Gitlab-Event")
  static let gitlabEventID = HTTPField.Name(webhook: "X-Gitlab-Event-UUID")
  static let idempotencyKey = HTTPField.Name(webhook: "Idempotency-Key")

  /// A name that is known to be a token; another one is our own mistake.
  private init(webhook name: String) {
    guard let parsed = HTTPField.Name(name) else { preconditionFailure("\(name) is no header's name") }
    self = parsed
  }
}
