internal import FoundationEssentials
internal import HTTPKit
internal import Primitives
internal import ReviewStore
internal import Reviews

/// A platform's payload, as far as it is read.
protocol WebhookPayload: Codable, Sendable {
  /// - Throws: `HTTPFault` 400.
  init(json: Data) throws(HTTPFault)

  /// The repository's number, as `selected_repository_ids` names it.
  var repositoryID: String? { get }

  /// What is stored of an event that nothing is done for: which pull request and commit it is about, and no text.
  var subject: Self { get }

  /// Whether it can be a body of the event that the request names.
  func isOf(_ name: String) -> Bool

  /// What it says.
  /// - Parameter name: the platform's name of the event.
  /// - Throws: `HTTPFault` 422 naming every faulty field.
  func event(_ name: String, in context: WebhookContext) throws(HTTPFault) -> WebhookEvent
}

/// What a webhook says, whichever platform it came from.
enum WebhookEvent: Sendable, Equatable {
  /// Of no interest, and why.
  case ignored(String)
  case closed(PullRequestPlace)
  /// - Parameter repositoryID: as `selected_repository_ids` names it.
  case pushed(PullRequestPush, repositoryID: String?, isDraft: Bool)
  /// The pull request has moved on to a commit that is not to be reviewed, and why.
  case withheld(PullRequestPlace, String)
  /// A repository was renamed, or given to another account.
  case named(RepositoryName)
  /// What ``PlatformWebhook`` reads: a wish of a person, a merge group, a change of an installation.
  case other

  /// Reads a payload.
  /// - Throws: `HTTPFault`: 400 for what is no JSON object, 422 naming every faulty field.
  init(_ name: String, payload: Data, in context: WebhookContext) throws(HTTPFault) {
    switch context.platform {
    case .github: self = try GitHubPayload(json: payload).event(name, in: context)
    case .gitlab: self = try GitLabPayload(json: payload).event(name, in: context)
    }
  }

  /// What is to be done about it, as its owner is configured now.
  func verdict(for stored: StoredWebhook) -> WebhookVerdict {
    if stored.isRevoked { return .ignored("the integration was revoked") }
    switch self {
    case .ignored(let reason): return .ignored(reason)
    case .closed(let place): return .closed(place)
    case .withheld(let place, let reason): return .withheld(place, reason)
    case .named(let name): return .named(name)
    case .other: return .ignored("the event cannot be read")
    case .pushed(let push, let repositoryID, let isDraft):
      return ReviewAdmission(stored: stored, push: push, repositoryID: repositoryID, isDraft: isDraft).verdict()
    }
  }
}

extension StoredWebhook {
  /// What a stored delivery means.
  func verdict(_ policy: WebhookPolicy) throws(HTTPFault) -> WebhookVerdict {
    let context = WebhookContext(
      owner: owner, platform: platform, integrationID: integrationID, instance: instance, receivedAt: receivedAt,
      policy: policy)
    let event = try WebhookEvent(event, payload: Data(payload.utf8), in: context)
    if event == .other, let verdict = try PlatformWebhook(self, policy)?.verdict() { return verdict }
    return event.verdict(for: self)
  }
}

// MARK: Reading payloads

/// An object of a payload that may be missing or something else: then its fields count as missing, each with its own name.
struct Part<Fields: Codable & Sendable>: Codable, Sendable {
  var fields: Fields?

  init(fields: Fields?) { self.fields = fields }

  init(from decoder: any Decoder) throws { fields = try? Fields(from: decoder) }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(fields)
  }
}
