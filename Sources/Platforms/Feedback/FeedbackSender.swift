internal import Primitives
package import Reviews

/// Shows at pull requests how their reviews stand: by reactions, and by checks for gates.
///
/// Sending the same feedback twice changes nothing: a sender that does not know whether it was sent sends it again.
package struct FeedbackSender: Sendable {
  private let github: GitHubFeedback
  private let gitlab: GitLabFeedback

  /// - Parameters:
  ///   - access: how the platforms are reached.
  ///   - publicURL: where people see Baton's pages, without a slash at its end: checks link to the review's; nil for no link.
  package init(access: PlatformAccess, publicURL: String? = nil) {
    github = GitHubFeedback(
      access: GitHubAccess(client: access.github, cipher: access.cipher, tokens: access.installationTokens),
      publicURL: publicURL)
    gitlab = GitLabFeedback(api: access.gitlab, publicURL: publicURL)
  }

  /// Sends one piece of feedback. At most four calls, each within the settings' `callTimeout`; a GitLab token that has to be looked at or
  /// renewed takes some more.
  package func send(_ feedback: PullRequestFeedback) async -> FeedbackAnswer {
    if feedback.integration.isRevoked { return .refused("the integration was revoked, or is gone") }
    do {
      switch feedback.platform {
      case .github: return .delivered(checkRunID: try await github.tell(feedback))
      case .gitlab:
        try await gitlab.tell(feedback)
        return .delivered(checkRunID: nil)
      }
    } catch {
      return FeedbackAnswer(error)
    }
  }
}

/// Why feedback could not be sent.
enum FeedbackFault: Error, Sendable {
  case call(APIFault)
  /// It may go better later.
  case wait(String, Duration?)
  /// The settings of this process are in the way: it lacks the key of the stored token, or the app of the installation, or GitHub does not
  /// accept the app's signature, or it may not call the host.
  case blocked(String)
  /// There is nothing to write with, or nowhere to write to.
  case impossible(String)
}

extension FeedbackFault {
  init(_ fault: SealedTokenFault) {
    switch fault {
    case .keyMissing(let message): self = .blocked(message)
    case .damaged(let message): self = .impossible(message)
    }
  }

  /// What a failed call of the app itself means: its key or clock is at fault, for all installations alike.
  init(ofApp fault: APIFault) {
    switch fault {
    case .unauthorized(let message): self = .blocked(InstallationFault.signatureRefused(message))
    default: self = .call(fault)
    }
  }

  /// Why an instance of GitLab is not called.
  init(_ fault: GitLabHosts.Fault) {
    switch fault {
    case .notAllowed: self = .blocked("\(fault)")
    case .noAddress, .withoutTLS: self = .impossible("\(fault)")
    }
  }
}

extension FeedbackAnswer {
  init(_ fault: FeedbackFault) {
    switch fault {
    case .impossible(let reason): self = .refused(reason)
    case .wait(let reason, let delay): self = .later(reason, retryAfter: delay)
    case .blocked(let reason): self = .blocked(reason)
    case .call(.missing): self = .refused("it answered 404: not there, or not shown to this token")
    case .call(.unauthorized(let message)), .call(.refused(let message)): self = .refused(message)
    case .call(.rateLimited(let delay)): self = .later("the rate limit is used up", retryAfter: delay)
    case .call(.failing(let message)), .call(.unreachable(let message)), .call(.malformed(let message)):
      self = .later(message, retryAfter: nil)
    case .call(.cancelled): self = .later("cancelled", retryAfter: nil)
    }
  }
}

extension PullRequestFeedback {
  /// What the check is called on both platforms; a required check names it.
  static let checkName = "baton"

  /// The review's page; nil if it is not known where people see it.
  func page(at publicURL: String?) -> String? { publicURL.map { "\($0)/reviews/\(reviewID.lowercase)" } }

  /// Whether the review ended because its pull request was closed before it began: that is no failure.
  var isClosed: Bool { status == .failed && errorCode == ErrorCode.pullRequestClosed.rawValue }

  /// One line about the review, for the check: no text that an agent or a platform has written.
  var summary: String {
    switch status {
    case .pending, .queued: "The review waits for its turn."
    case .running: "The review is running."
    case .completed:
      switch gateResult {
      case "pass": "The review found nothing above the threshold."
      case "fail": "The review found something above the threshold."
      default: "The review is completed, but did not say whether the findings are below the threshold."
      }
    case .failed:
      isClosed
        ? "The pull request was closed before the review began." : "The review failed (\(errorCode ?? "unknown"))."
    case .cancelled: "The review was cancelled (\(errorCode ?? "unknown"))."
    }
  }
}
