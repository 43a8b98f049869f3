package import FoundationEssentials

/// What a pull request has to show about its review, with all that it takes to send it.
package struct PullRequestFeedback: Sendable, Equatable {
  /// The kind of feedback: the values of `baton_feedback.subject`.
  package enum Subject: String, Sendable, CaseIterable {
    /// A reaction at intake.
    case eyes
    /// A reaction at completion; GitLab's `tada`.
    case hooray
    /// A reaction at failure.
    case confused
    /// A check run of GitHub, or a commit status of GitLab, which follows the review.
    case gate
  }

  package var reviewID: UUID
  package var subject: Subject
  package var attempt: Int
  package var status: ReviewStatus
  package var platform: Platform
  package var platformProjectId: Int64?
  package var repoFullName: String
  package var prNumber: Int
  package var prUrl: String
  package var headSha: String
  package var errorCode: String?
  /// `pass` or `fail`; nil if the agent has not said.
  package var gateResult: String?
  package var integration: Integration
  /// The check run that is there already, and which attempt and status it shows.
  package var checkRunID: Int64?
  package var toldAttempt: Int?
  package var toldStatus: ReviewStatus?
  /// How often it has been tried, this time included: from the second on it may have been delivered without a record.
  package var tries: Int

  package init(
    reviewID: UUID, subject: Subject, attempt: Int, status: ReviewStatus, platform: Platform,
    platformProjectId: Int64? = nil, repoFullName: String, prNumber: Int, prUrl: String, headSha: String,
    errorCode: String? = nil, gateResult: String? = nil, integration: Integration, checkRunID: Int64? = nil,
    toldAttempt: Int? = nil, toldStatus: ReviewStatus? = nil, tries: Int = 1
  ) {
    self.reviewID = reviewID
    self.subject = subject
    self.attempt = attempt
    self.status = status
    self.platform = platform
    self.platformProjectId = platformProjectId
    self.repoFullName = repoFullName
    self.prNumber = prNumber
    self.prUrl = prUrl
    self.headSha = headSha
    self.errorCode = errorCode
    self.gateResult = gateResult
    self.integration = integration
    self.checkRunID = checkRunID
    self.toldAttempt = toldAttempt
    self.toldStatus = toldStatus
    self.tries = tries
  }
}

/// The outcome of sending it.
package enum FeedbackAnswer: Sendable, Equatable {
  /// The pull request shows it now.
  /// - Parameter checkRunID: of GitHub's check run, for a gate.
  case delivered(checkRunID: Int64?)
  /// It may go better later.
  case later(String, retryAfter: Duration?)
  /// The settings of this process are in the way: the key of the stored token, the GitHub App, the hosts that it may call. That is for the
  /// operator, and never given up.
  case blocked(String)
  /// The platform will not have it: 401, 403, 404, or nothing to write with.
  case refused(String)
}
