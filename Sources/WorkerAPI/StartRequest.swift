package import FoundationEssentials
internal import Primitives
package import Reviews

/// The body of `POST /review`: everything that a worker needs to run one attempt of one review.
///
/// It holds tokens and the prompt, so its description names only the review and the attempt.
package struct StartRequest: Sendable, Codable, Equatable {
  package var reviewId: UUID
  package var attempt: Int
  /// The bearer token of the status callback, see ``AuthToken``.
  package var authToken: String
  package var sessionInput: SessionInput
  package var owner: RunOwner
  package var agentVersion: String?
  /// The session of an earlier review of the same pull request, for an agent that can continue it.
  package var previousCloudAgentSessionId: String?
  /// The worker ends a run that takes longer.
  package var maxReviewTimeMinutes: Int

  /// The most bytes that a worker takes; a longer body is answered with 413.
  package static let byteCountMax = 4 * 1024 * 1024

  package init(
    reviewId: UUID, attempt: Int, authToken: String, sessionInput: SessionInput, owner: RunOwner,
    agentVersion: String? = nil, previousCloudAgentSessionId: String? = nil, maxReviewTimeMinutes: Int
  ) {
    self.reviewId = reviewId
    self.attempt = attempt
    self.authToken = authToken
    self.sessionInput = sessionInput
    self.owner = owner
    self.agentVersion = agentVersion
    self.previousCloudAgentSessionId = previousCloudAgentSessionId
    self.maxReviewTimeMinutes = maxReviewTimeMinutes
  }

  /// The value of `Idempotency-Key` for an attempt: `<reviewId, lower case>/<attempt>`.
  package static func idempotencyKey(reviewID: UUID, attempt: Int) -> String { "\(reviewID.lowercase)/\(attempt)" }
}

/// What the agent is to look at, and with which model.
package struct SessionInput: Sendable, Codable, Equatable {
  /// `owner/name`, for GitHub; either this or ``gitUrl`` is there.
  package var githubRepo: String?
  package var gitUrl: String?
  package var prompt: String
  /// Always `code` at present.
  package var mode: String
  package var model: String
  package var platform: Platform
  /// The branch that the agent checks out.
  package var upstreamBranch: String
  package var githubToken: String?
  package var gitToken: String?
  /// How hard the model thinks, in the model's own words.
  package var variant: String?
  /// From which severity of a finding on the gate fails: `all` (any finding), `warning` or `critical`; nil: the owner has no gate.
  package var gateThreshold: String?

  package init(
    githubRepo: String? = nil, gitUrl: String? = nil, prompt: String, mode: String = "code", model: String,
    platform: Platform, upstreamBranch: String, githubToken: String? = nil, gitToken: String? = nil,
    variant: String? = nil, gateThreshold: String? = nil
  ) {
    self.githubRepo = githubRepo
    self.gitUrl = gitUrl
    self.prompt = prompt
    self.mode = mode
    self.model = model
    self.platform = platform
    self.upstreamBranch = upstreamBranch
    self.githubToken = githubToken
    self.gitToken = gitToken
    self.variant = variant
    self.gateThreshold = gateThreshold
  }
}

/// The owner of a run, as the worker gets it: `userId` is always there, and null if no user is known.
package struct RunOwner: Sendable, Codable, Equatable {
  package var type: Owner.Kind
  package var id: String
  package var userId: String?

  package init(type: Owner.Kind, id: String, userId: String? = nil) {
    self.type = type
    self.id = id
    self.userId = userId
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(type, forKey: .type)
    try container.encode(id, forKey: .id)
    try container.encode(userId, forKey: .userId)
  }
}

extension StartRequest: CustomStringConvertible, CustomReflectable {
  package var description: String { "start of \(reviewId.lowercase), attempt \(attempt)" }
  /// No children, so that `dump` shows neither token nor prompt.
  package var customMirror: Mirror { Mirror(self, children: []) }
}

extension SessionInput: CustomStringConvertible, CustomReflectable {
  package var description: String { "session input" }
  /// No children, so that `dump` shows neither token nor prompt.
  package var customMirror: Mirror { Mirror(self, children: []) }
}
