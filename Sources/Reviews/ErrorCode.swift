internal import Primitives

/// Why a review failed or was cancelled, and what the operator can do: the values of `code_reviews.error_code`.
package enum ErrorCode: String, Sendable, CaseIterable, Codable {
  case configMissing = "config_missing"
  case configInvalid = "config_invalid"
  case integrationMissing = "integration_missing"
  case integrationRevoked = "integration_revoked"
  case pullRequestClosed = "pull_request_closed"
  case pullRequestMissing = "pull_request_missing"
  case payloadTooLarge = "payload_too_large"
  case nameRefused = "name_refused"
  case platformRefused = "platform_refused"
  case workerRejected = "worker_rejected"
  case attemptsExhausted = "attempts_exhausted"
  case workerLost = "worker_lost"
  case repositoryRemoved = "repository_removed"
  case superseded
  case cancelledByUser = "cancelled_by_user"
  case agentFailed = "agent_failed"

  /// What the operator can do about it, as one sentence.
  package var advice: String {
    switch self {
    case .configMissing:
      "Give the owner a configuration for the platform with `baton config set --enable`, then `baton retry`."
    case .configInvalid: "Correct what the message names with `baton config set`, then `baton retry`."
    case .integrationMissing:
      "Add the row of platform_integrations that the review names, then `baton retry`."
    case .integrationRevoked:
      "Install the app again or renew the token and store it with `baton integration add`, then `baton retry`."
    case .pullRequestClosed: "Nothing to do: reopening the pull request starts a new attempt."
    case .pullRequestMissing: "Check the repository's name, and that the integration may read it, then `baton retry`."
    case .payloadTooLarge: "Shorten the owner's custom instructions; the worker takes at most 4 MiB."
    case .nameRefused:
      "The row has a branch, commit or repository that could be read as a part of a command: correct the row, then `baton retry`."
    case .platformRefused: "Check the rights of the integration on this repository, then `baton retry`."
    case .workerRejected: "Read the worker's message: the review is not what it accepts."
    case .attemptsExhausted: "Read the message of the last attempt, remove its cause, then `baton retry`."
    case .workerLost: "The worker no longer knows this run: look at the worker's log, then `baton retry`."
    case .repositoryRemoved:
      "Nothing to do: when the repository is added to the installation again, its next push is reviewed."
    case .superseded: "Nothing to do: a newer commit of the same pull request is reviewed instead."
    case .cancelledByUser: "Nothing to do: `baton retry` starts it again."
    case .agentFailed: "Read the run's events at the worker, then `baton retry`."
    }
  }
}
