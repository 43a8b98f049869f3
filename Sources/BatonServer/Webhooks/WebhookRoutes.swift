internal import Crypto
internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews
internal import Spans
internal import Telemetry
internal import Tracing

/// `POST /webhooks/github` and `POST /webhooks/gitlab/{integrationId}`.
///
/// Who sent it is decided first, on the bytes as they came; then they are decoded and stored; then anything else happens. What can be refused
/// without the body is refused before it is read: GitLab's sender is known by its token, GitHub's by a signature of the body alone.
struct WebhookRoutes: Sendable {
  let store: ReviewStore
  private let secrets: WebhookSecrets
  let intake: WebhookIntake
  /// Integrations by installation, and those of GitLab by their id, for all requests that ask at the time: strangers who name some have one
  /// connection to Postgres together for each.
  private let sources: Batcher<Int64, WebhookSource?>
  private let gitlabSources: Batcher<UUID, WebhookSource?>
  /// Whether an integration of GitHub, or of GitLab, has a secret of its own, for all requests that ask at the time.
  private let hasOwnSecret: Remembered<Bool>
  private let hasOwnGitLabSecret: Remembered<Bool>

  init(store: ReviewStore, secrets: WebhookSecrets, intake: WebhookIntake) {
    self.store = store
    self.secrets = secrets
    self.intake = intake
    sources = Self.batched { try await store.webhookSources(installations: $0) }
    gitlabSources = Self.batched { try await store.webhookSources(integrations: $0) }
    let canOpen = secrets.cipher != nil
    // Not kept: a secret that was just stored counts at once.
    hasOwnSecret = Remembered(for: .zero) { canOpen ? try await store.hasOwnWebhookSecret(.github) : false }
    hasOwnGitLabSecret = Remembered(for: .zero) { canOpen ? try await store.hasOwnWebhookSecret(.gitlab) : false }
  }

  private static func batched<Key: Hashable & Sendable>(
    _ find: @escaping @Sendable ([Key]) async throws -> [Key: WebhookSource]
  ) -> Batcher<Key, WebhookSource?> {
    Batcher(maxBatch: 256) { keys in
      do {
        let sources = try await find(keys)
        return keys.map { .success(sources[$0]) }
      } catch {
        return keys.map { _ in .failure(error) }
      }
    }
  }

  /// Of a webhook whose sender is not known yet: it is in memory while it is hashed. GitHub's events of pull requests have some 30 kB. The
  /// largest that there can be have 65,536 characters of description at up to six bytes, and a hundred labels: below 1 MiB.
  static let bodyByteCountMax = 5 << 19
  /// What GitLab sends at most, 25 MB.
  private static let knownByteCountMax = 25 << 20

  /// Up to here a body waits for no room: so many of these as there may be connections (`ConnectionLimits`) are 128 MiB. Longer ones of
  /// strangers do not keep out what platforms usually send.
  private static let smallByteCountMax = 128 << 10
  /// While it is read, stored and decoded, a body takes several times its length.
  private static let weight = 4
  private let strangersRoom = BodyMemoryBudget(byteCountMax: 64 << 20)
  /// One of the longest at a time. Its sender waits, and others pass.
  private let largeRoom = BodyMemoryBudget(byteCountMax: weight * knownByteCountMax)
  /// GitHub and GitLab give up after ten seconds.
  private static let arrivalTime: Duration = .seconds(10)

  var routes: [Route] {
    [
      Route(.post, .githubWebhook, access: .open, handle: github),
      Route(.post, .gitlabWebhook, access: .open, handle: gitlab),
    ]
  }

  /// Reads a body when there is room for it, and has that until the answer.
  private func withBody(
    _ call: Call, upTo byteCountMax: Int, in room: BodyMemoryBudget, for peer: PeerAddress?,
    _ handle: (Data) async throws -> Response
  ) async throws -> Response {
    let byteCount = try call.announcedByteCount(upTo: byteCountMax)
    func answer() async throws -> Response {
      try await handle(try await call.body(upTo: byteCountMax, within: Self.arrivalTime))
    }
    guard byteCount > Self.smallByteCountMax else { return try await answer() }
    return try await room.hold(Self.weight * byteCount, for: peer, answer)
  }

  // MARK: GitHub

  @Sendable private func github(_ call: Call) async throws -> Response {
    let headers = call.request.headers
    if secrets.github == nil {
      guard try await hasOwnSecret.value() else { throw WebhookSecrets.isOff("BATON_GITHUB_WEBHOOK_SECRET") }
    }
    let code = try secrets.code(ofGitHub: headers[.hubSignature])
    // Events that something is done for are never so large, or else refused, so that GitHub lists them as failed.
    if let length = headers[.contentLength].flatMap({ Int($0) }), length > Self.bodyByteCountMax,
      let name = headers[.githubEvent], !GitHubPayload.events.contains(name)
    {
      return Self.response(
        .processed(.unchanged("nothing is done for this event, and it is too large to be read", nil)))
    }
    return try await withBody(
      call, upTo: Self.bodyByteCountMax, in: strangersRoom, for: PeerAddress(call.peer)
    ) { body in
      let (installation, source) = try await verified(body, code)
      return try await github(call, body, installation, source)
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
    if let installation { source = try await sources.submit(installation) }
    try secrets.checkGitHub(code, of: body, isCommon: isCommon, from: source)
    return (installation, source)
  }

  private func github(
    _ call: Call, _ body: Data, _ installation: Int64?, _ source: WebhookSource?
  ) async throws -> Response {
    let headers = call.request.headers
    let payload = try? GitHubPayload(json: body)
    var faults: [String] = []
    let name = Self.name(headers[.githubEvent], "X-GitHub-Event", &faults)
    let sentID = Self.name(headers[.githubDelivery], "X-GitHub-Delivery", &faults)
    if payload == nil {
      if let name, faults.isEmpty, Self.isObject(body), !GitHubPayload.events.contains(name) {
        return Self.ignored(Self.nothing(for: name))
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
      return Self.ignored(Self.nothing(for: name))
    }
    guard let source else {
      if !payload.isOf(name) { return Self.ignored(Self.notOf(name)) }
      return try await unknown(installation, name, payload, body)
    }
    let id = Self.id(of: body, source)
    call.logger.debug("a webhook has come", metadata: ["delivery": "\(id)", "sent": "\(sentID)"])
    return try await take(payload, name, as: id, of: .github, from: source, call)
  }

  // MARK: GitLab

  @Sendable private func gitlab(_ call: Call) async throws -> Response {
    let id = call.pathID.flatMap { UUID(uuidString: $0) }
    var source: WebhookSource?
    if let id { source = try await gitlabSources.submit(id) }
    guard let source else {
      if secrets.gitlab == nil, try await !hasOwnGitLabSecret.value() {
        throw WebhookSecrets.isOff("BATON_GITLAB_WEBHOOK_SECRET")
      }
      throw HTTPFault(.notFound, "no GitLab integration has this id")
    }
    let headers = call.request.headers
    let accepted = try secrets.gitlab(of: source)
    if let signature = WebhookSignature(headers), headers[.gitlabToken] == nil {
      // Who has sent it is known when it has been read.
      return try await withBody(
        call, upTo: Self.bodyByteCountMax, in: strangersRoom, for: PeerAddress(call.peer)
      ) { body in
        try signature.check(body, with: accepted)
        // A stranger costs no question to the database.
        try signature.checkTime(now: try await store.now())
        return try await gitlab(call, body, source)
      }
    }
    try WebhookSecrets.checkGitLab(headers[.gitlabToken], with: accepted)
    return try await withBody(call, upTo: Self.knownByteCountMax, in: largeRoom, for: nil) { body in
      try await gitlab(call, body, source)
    }
  }

  private func gitlab(_ call: Call, _ body: Data, _ source: WebhookSource) async throws -> Response {
    let headers = call.request.headers
    var faults: [String] = []
    let name = Self.name(headers[.gitlabEvent], "X-Gitlab-Event", &faults)
    let payload = try? GitLabPayload(json: body)
    if payload == nil {
      if let name, faults.isEmpty, Self.isObject(body), !GitLabPayload.isRelevant(name, body) {
        return Self.ignored(Self.nothing(for: name))
      }
      faults.append("the body is not a JSON object")
    }
    guard faults.isEmpty, let name, let payload else { throw Self.malformed(faults) }
    return try await take(
      payload, name, as: Self.gitlabID(headers, body, source), of: .gitlab, from: source, call)
  }

  /// Judges a payload, then stores what is needed of it: the fields that are read, and the reason with what the event is about if nothing is to
  /// be done.
  /// - Throws: `HTTPFault` 422: faults are reported to the sender, rather than stored.
  private func take(
    _ payload: some WebhookPayload, _ name: String, as id: String, of platform: Platform, from source: WebhookSource,
    _ call: Call
  ) async throws -> Response {
    try await call.traced(
      .intake, platform == .github ? .githubWebhook : .gitlabWebhook,
      [SpanKey.platform: .string(platform.rawValue), SpanKey.event: .string(name)]
    ) { call, span in
      let answer = try await take(payload, name, as: id, of: platform, from: source, call.trace)
      if case .processed(.reviewMadePending(let review, _, _)) = answer { span.set(.review(review)) }
      return Self.response(answer)
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

  /// What a payload says. Faults of one that nothing would be done for are none: a sender that is answered with faults too often switches its
  /// hook off.
  private func event(
    _ payload: some WebhookPayload, _ name: String, of platform: Platform, from source: WebhookSource
  ) async throws -> WebhookEvent {
    guard payload.isOf(name) else { return .ignored(Self.notOf(name)) }
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
  private static func id(of body: Data, _ source: WebhookSource, _ sent: String? = nil) -> String {
    ([source.integrationID.lowercase, sent].compactMap { $0 } + [digest(of: body)]).joined(separator: "/")
  }

  static func digest(of body: Data) -> String { SHA256.hash(data: body).prefix(16).hexadecimal }

  /// GitLab's event id is the same for several hooks, and for events that follow from each other; its idempotency key is not sent
  /// by all versions. Together with the integration and the body it identifies one delivery. Its sender has the token, and could sign anything.
  private static func gitlabID(_ headers: HTTPFields, _ body: Data, _ source: WebhookSource) -> String {
    var ignored: [String] = []
    let sent =
      name(headers[.webhookID] ?? headers[.idempotencyKey] ?? headers[.gitlabEventID] ?? "-", "", &ignored) ?? "-"
    return id(of: body, source, sent)
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

  struct AnswerBody: Encodable {
    var outcome: String
    var reason: String?
    var reviewId: String?
    var attempt: Int?
  }

  /// Whether a body begins like what platforms send: it may have more in it than is decoded.
  private static func isObject(_ body: Data) -> Bool {
    body.first { ![0x20, 0x0A, 0x0D, 0x09].contains($0) } == UInt8(ascii: "{")
  }

  private static func nothing(for name: String) -> String { "nothing is done for the event \(name)" }

  private static func notOf(_ name: String) -> String { "the body is not that of the event \(name)" }

  /// Nothing is done for an event, and why.
  static func ignored(_ reason: String) -> Response { response(.processed(.unchanged(reason, nil))) }

  private static func response(_ answer: WebhookIntake.Receipt) -> Response {
    let (status, body) = said(of: answer)
    return .json(status, body)
  }

  static func said(of answer: WebhookIntake.Receipt) -> (HTTPResponse.Status, AnswerBody) {
    switch answer {
    case .stored: (.accepted, AnswerBody(outcome: "stored", reason: "it is processed in a moment"))
    case .processed(.reviewMadePending(let id, let attempt, _)):
      (.accepted, AnswerBody(outcome: "pending", reviewId: id.lowercase, attempt: attempt))
    case .processed(.unchanged(let reason, let id)):
      (.ok, AnswerBody(outcome: "unchanged", reason: reason, reviewId: id?.lowercase))
    case .processed(.cancelled(let count)):
      (.ok, AnswerBody(outcome: "closed", reason: "\(count) reviews were cancelled"))
    case .processed(.repeated):
      (.ok, AnswerBody(outcome: "repeated", reason: "this delivery has come before"))
    }
  }
}

extension HTTPField.Name {
  static let hubSignature = HTTPField.Name(known: "X-Hub-Signature-256")
  static let githubEvent = HTTPField.Name(known: "X-GitHub-Event")
  static let githubDelivery = HTTPField.Name(known: "X-GitHub-Delivery")
  static let gitlabToken = HTTPField.Name(known: "X-Gitlab-Token")
  static let gitlabEvent = HTTPField.Name(known: "X-Gitlab-Event")
  static let gitlabEventID = HTTPField.Name(known: "X-Gitlab-Event-UUID")
  static let idempotencyKey = HTTPField.Name(known: "Idempotency-Key")
}
