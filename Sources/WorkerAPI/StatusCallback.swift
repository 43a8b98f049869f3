internal import Primitives
package import Reviews

/// The body of `POST /api/internal/code-review-status/{id}`: what a worker reports to Baton about a run.
package struct StatusCallback: Sendable, Codable, Equatable {
  /// What a callback may say.
  package enum Status: String, Sendable, Codable, CaseIterable {
    case running
    case completed
    case failed
    case cancelled

    /// What the row becomes.
    package var reviewStatus: ReviewStatus {
      switch self {
      case .running: .running
      case .completed: .completed
      case .failed: .failed
      case .cancelled: .cancelled
      }
    }
  }

  package var status: Status
  /// Without it, the session distinguishes an older run's callback from the present one's.
  package var attempt: Int?
  package var sessionId: String?
  package var cliSessionId: String?
  package var errorMessage: String?
  package var gateResult: GateResult?
  package var usage: Usage?

  package init(
    status: Status, attempt: Int? = nil, sessionId: String? = nil, cliSessionId: String? = nil,
    errorMessage: String? = nil, gateResult: GateResult? = nil, usage: Usage? = nil
  ) {
    self.status = status
    self.attempt = attempt
    self.sessionId = sessionId
    self.cliSessionId = cliSessionId
    self.errorMessage = errorMessage
    self.gateResult = gateResult
    self.usage = usage
  }

  /// The path below the callback's base URL, less the review's id.
  package static let path = "/api/internal/code-review-status/"
  /// The header of the shared secret; `Authorization: Bearer` with an ``AuthToken`` can replace it.
  package static let secretHeader = "X-Internal-Secret"
}

/// Whether the agent's findings let the pull request pass.
package enum GateResult: String, Sendable, Codable, CaseIterable {
  case pass
  case fail
}

/// What a run has used up.
package struct Usage: Sendable, Codable, Equatable {
  package var model: String?
  package var totalTokensIn: Int64?
  package var totalTokensOut: Int64?
  /// Millionths of a US dollar.
  package var totalCostMicroUSD: Int64?

  package init(
    model: String? = nil, totalTokensIn: Int64? = nil, totalTokensOut: Int64? = nil, totalCostMicroUSD: Int64? = nil
  ) {
    self.model = model
    self.totalTokensIn = totalTokensIn
    self.totalTokensOut = totalTokensOut
    self.totalCostMicroUSD = totalCostMicroUSD
  }
}
