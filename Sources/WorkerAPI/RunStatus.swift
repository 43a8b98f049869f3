package import FoundationEssentials
package import Primitives
internal import Reviews

/// The answer of `GET /reviews/{id}`: the newest attempt that the worker knows, and where it stands.
///
/// `cliSessionId`, `gateResult` and `usage` are there so that a caller that missed the last callback can still learn its details.
package struct RunStatus: Sendable, Codable, Equatable {
  package var reviewId: UUID
  package var attempt: Int
  package var status: RunState
  package var sessionId: String?
  package var cliSessionId: String?
  package var startedAt: Timestamp?
  package var completedAt: Timestamp?
  package var errorMessage: String?
  package var gateResult: GateResult?
  package var usage: Usage?

  package init(
    reviewId: UUID, attempt: Int, status: RunState, sessionId: String? = nil, cliSessionId: String? = nil,
    startedAt: Timestamp? = nil, completedAt: Timestamp? = nil, errorMessage: String? = nil,
    gateResult: GateResult? = nil, usage: Usage? = nil
  ) {
    self.reviewId = reviewId
    self.attempt = attempt
    self.status = status
    self.sessionId = sessionId
    self.cliSessionId = cliSessionId
    self.startedAt = startedAt
    self.completedAt = completedAt
    self.errorMessage = errorMessage
    self.gateResult = gateResult
    self.usage = usage
  }

  private enum CodingKeys: String, CodingKey {
    case reviewId, attempt, status, sessionId, cliSessionId, startedAt, completedAt, errorMessage, gateResult, usage
  }

  /// Review, attempt and status must be right; a detail that is malformed counts as absent, since the answer decides
  /// whether a run is known, and another worker's idea of a time must not hide that.
  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    reviewId = try container.decode(UUID.self, forKey: .reviewId)
    attempt = try container.decode(Int.self, forKey: .attempt)
    status = try container.decode(RunState.self, forKey: .status)
    sessionId = try? container.decodeIfPresent(String.self, forKey: .sessionId)
    cliSessionId = try? container.decodeIfPresent(String.self, forKey: .cliSessionId)
    startedAt = try? container.decodeIfPresent(Timestamp.self, forKey: .startedAt)
    completedAt = try? container.decodeIfPresent(Timestamp.self, forKey: .completedAt)
    errorMessage = try? container.decodeIfPresent(String.self, forKey: .errorMessage)
    gateResult = try? container.decodeIfPresent(GateResult.self, forKey: .gateResult)
    usage = try? container.decodeIfPresent(Usage.self, forKey: .usage)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(reviewId.lowercase, forKey: .reviewId)
    try container.encode(attempt, forKey: .attempt)
    try container.encode(status, forKey: .status)
    try container.encodeIfPresent(sessionId, forKey: .sessionId)
    try container.encodeIfPresent(cliSessionId, forKey: .cliSessionId)
    try container.encodeIfPresent(startedAt, forKey: .startedAt)
    try container.encodeIfPresent(completedAt, forKey: .completedAt)
    try container.encodeIfPresent(errorMessage, forKey: .errorMessage)
    try container.encodeIfPresent(gateResult, forKey: .gateResult)
    try container.encodeIfPresent(usage, forKey: .usage)
  }
}
