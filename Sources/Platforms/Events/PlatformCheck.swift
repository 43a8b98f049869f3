internal import FoundationEssentials
internal import NIOHTTP1
internal import Primitives
package import Reviews

/// A check that is complete, on a commit that may belong to no review.
package struct PlatformCheck: Sendable, Equatable {
  /// How it has ended, in the words of GitHub.
  package enum Conclusion: String, Sendable { case success, neutral, failure }

  package var platform: Platform
  package var repository: String
  package var projectId: Int64?
  /// The merge request's address; empty for GitHub.
  package var url: String
  package var sha: String
  package var conclusion: Conclusion
  package var title: String
  package var summary: String
  package var externalId: String

  package init(
    platform: Platform, repository: String, projectId: Int64?, url: String, sha: String, conclusion: Conclusion,
    title: String, summary: String, externalId: String
  ) {
    self.platform = platform
    self.repository = repository
    self.projectId = projectId
    self.url = url
    self.sha = sha
    self.conclusion = conclusion
    self.title = title
    self.summary = summary
    self.externalId = externalId
  }
}

extension PlatformQuestions {
  private struct CheckRun: Encodable {
    struct Output: Encodable {
      var title: String
      var summary: String
    }

    var name = PullRequestFeedback.checkName
    var head_sha: String
    var external_id: String
    var status = "completed"
    var conclusion: String
    var details_url: String?
    var output: Output
  }

  private struct Status: Encodable {
    var state: String
    var name = PullRequestFeedback.checkName
    var description: String
    var target_url: String?
  }

  /// Shows a check. Showing it twice changes nothing: the newest of a name counts.
  package func show(_ check: PlatformCheck, for integration: Integration) async -> FeedbackAnswer {
    if integration.isRevoked { return .refused("the integration was revoked, or is gone") }
    do {
      switch check.platform {
      case .github: try await showAtGitHub(check, integration)
      case .gitlab: try await showAtGitLab(check, integration)
      }
      return .delivered(checkRunID: nil)
    } catch {
      return FeedbackAnswer(error)
    }
  }

  private func showAtGitHub(_ check: PlatformCheck, _ integration: Integration) async throws(FeedbackFault) {
    let path = try repository(check.repository)
    let run = CheckRun(
      head_sha: check.sha, external_id: check.externalId, conclusion: check.conclusion.rawValue,
      details_url: publicURL, output: .init(title: check.title, summary: check.summary))
    _ = try await github.withCaller(of: integration, asApp: true) { caller throws(APIFault) in
      try await github.client.post("\(path)/check-runs", as: caller, run)
    }
  }

  private func showAtGitLab(_ check: PlatformCheck, _ integration: Integration) async throws(FeedbackFault) {
    // GitLab has no neutral status: what is not reviewed holds nothing up.
    let status = Status(
      state: check.conclusion == .failure ? "failed" : "success",
      description: String("\(check.title). \(check.summary)".prefix(140)), target_url: publicURL)
    try await withProject(check.projectId, check.repository, check.url, integration) {
      project, caller throws(APIFault) in
      do throws(APIFault) {
        _ = try await project.writing(as: caller) { project throws(APIFault) in
          try await project.client.post("\(project.path)/statuses/\(check.sha.percentEncoded)", as: caller, status)
        }
      } catch .refused(let message) where message.contains("Cannot transition status") {
        // It is there already.
      }
    }
  }
}
