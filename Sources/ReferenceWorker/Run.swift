internal import FoundationEssentials
internal import Reviews
internal import WorkerAPI

/// The newest attempt that the worker knows of a review.
struct Run: Sendable {
  let key: RunKey
  var state: RunState
  /// What the agent is to do; nil once the run has ended, so that tokens and prompt stay in memory no longer than needed.
  var order: Order?
  var events: EventLog
  var agentVersion: String?
  var sessionID: String?
  var cliSessionID: String?
  var gateResult: GateResult?
  var usage: Usage?
  var startedAt: Timestamp?
  var completedAt: Timestamp?
  var errorMessage: String?
  /// Set while the agent is being ended.
  var stopReason: StopReason?

  /// The start, as it was received.
  struct Order: Sendable {
    var request: StartRequest
    var body: [UInt8]
  }

  var status: RunStatus {
    RunStatus(
      reviewId: key.reviewID, attempt: key.attempt, status: state, sessionId: sessionID, cliSessionId: cliSessionID,
      startedAt: startedAt, completedAt: completedAt, errorMessage: errorMessage, gateResult: gateResult, usage: usage)
  }

  /// What Baton is told; nil while the run waits.
  var callback: StatusCallback? {
    let status: StatusCallback.Status? =
      switch state {
      case .running, .buffering: .running
      case .completed: .completed
      case .failed: .failed
      case .cancelled: .cancelled
      case .queued, .other: nil
      }
    return status.map {
      StatusCallback(
        status: $0, attempt: key.attempt, sessionId: sessionID, cliSessionId: cliSessionID, errorMessage: errorMessage,
        gateResult: gateResult, usage: usage)
    }
  }
}
