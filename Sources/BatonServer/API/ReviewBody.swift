internal import Primitives
package import Reviews

/// A review as `/api` and `baton show --json` give it: the row in camelCase with every key present, ids in lower case as
/// Postgres prints them and, for one review, its transitions.
package struct ReviewBody: Sendable, Encodable, Equatable {
  package var review: Review
  /// nil in lists.
  package var transitions: [ReviewTransition]?

  package init(_ review: Review, transitions: [ReviewTransition]? = nil) {
    self.review = review
    self.transitions = transitions
  }

  /// The fields that a row may lack, which a derived encoding would leave out.
  private static let optionalFields: [(name: String, isMissing: @Sendable (Review) -> Bool)] = [
    ("userId", { $0.userId == nil }), ("platformIntegrationId", { $0.platformIntegrationId == nil }),
    ("platformProjectId", { $0.platformProjectId == nil }),
    ("platformRepositoryId", { $0.platformRepositoryId == nil }), ("statusReason", { $0.statusReason == nil }),
    ("claimedAt", { $0.claimedAt == nil }), ("publishedAt", { $0.publishedAt == nil }),
    ("leaseOwner", { $0.leaseOwner == nil }), ("leaseExpiresAt", { $0.leaseExpiresAt == nil }),
    ("preparedAt", { $0.preparedAt == nil }), ("dispatchedAt", { $0.dispatchedAt == nil }),
    ("sessionId", { $0.sessionId == nil }),
    ("cliSessionId", { $0.cliSessionId == nil }), ("agentVersion", { $0.agentVersion == nil }),
    ("previousSessionId", { $0.previousSessionId == nil }), ("errorCode", { $0.errorCode == nil }),
    ("errorMessage", { $0.errorMessage == nil }), ("startedAt", { $0.startedAt == nil }),
    ("completedAt", { $0.completedAt == nil }), ("model", { $0.model == nil }),
    ("totalTokensIn", { $0.totalTokensIn == nil }), ("totalTokensOut", { $0.totalTokensOut == nil }),
    ("totalCostMicrousd", { $0.totalCostMicrousd == nil }), ("prUpdatedAt", { $0.prUpdatedAt == nil }),
    ("checkRunId", { $0.checkRunId == nil }), ("gateResult", { $0.gateResult == nil }),
  ]

  package func encode(to encoder: any Encoder) throws {
    try review.encode(to: encoder)
    var container = encoder.container(keyedBy: FieldName.self)
    // Foundation writes UUIDs in upper case.
    try container.encode(review.id.lowercase, forKey: FieldName("id"))
    if let integration = review.platformIntegrationId {
      try container.encode(integration.lowercase, forKey: FieldName("platformIntegrationId"))
    }
    for field in Self.optionalFields where field.isMissing(review) {
      try container.encodeNil(forKey: FieldName(field.name))
    }
    if let transitions { try container.encode(transitions.map(TransitionBody.init), forKey: FieldName("transitions")) }
  }
}

/// A transition with every key present.
private struct TransitionBody: Encodable {
  let transition: ReviewTransition

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: FieldName.self)
    try container.encode(transition.at, forKey: FieldName("at"))
    try container.encode(transition.fromStatus, forKey: FieldName("fromStatus"))
    try container.encode(transition.toStatus, forKey: FieldName("toStatus"))
    try container.encode(transition.reason, forKey: FieldName("reason"))
    try container.encode(transition.actor, forKey: FieldName("actor"))
  }
}

/// The name of a field that is known only when it is written.
struct FieldName: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }

  init(_ name: String) { stringValue = name }
  init?(stringValue: String) { self.init(stringValue) }
  init?(intValue: Int) { nil }
}
