internal import FoundationEssentials
internal import Primitives
internal import Reviews

/// Award emoji and commit statuses at GitLab.
struct GitLabFeedback: Sendable {
  let api: GitLabAPI
  let publicURL: String?

  /// How long a token is needed.
  private static let lifetime: Duration = .seconds(60)

  func tell(_ feedback: PullRequestFeedback) async throws(FeedbackFault) {
    let project = try project(of: feedback)
    do throws(CollectFailure) {
      try await project.withToken(for: Self.lifetime) { grant throws(CollectFailure) in
        guard let grant else {
          throw .permanent(.integrationMissing, message: "the integration has no token to write with")
        }
        do throws(APIFault) {
          let caller = GitLabSource.caller(grant.secret)
          try await project.writing(as: caller) { project throws(APIFault) in
            try await tell(feedback, project, caller)
          }
        } catch {
          throw .call(error)
        }
      }
    } catch {
      throw FeedbackFault(error)
    }
  }

  private func tell(
    _ feedback: PullRequestFeedback, _ project: GitLabProject, _ caller: APICaller
  ) async throws(APIFault) {
    if feedback.subject == .gate {
      try await setStatus(feedback, project, caller)
    } else {
      try await award(feedback, project, caller)
    }
  }

  private func project(of feedback: PullRequestFeedback) throws(FeedbackFault) -> GitLabProject {
    let project: GitLabProject?
    do {
      project = try api.project(
        feedback.platformProjectId, path: feedback.repoFullName, mergeRequest: feedback.prUrl,
        integration: feedback.integration)
    } catch {
      throw FeedbackFault(error)
    }
    guard let project else { throw .impossible("\"\(feedback.repoFullName)\" is not a GitLab project's path") }
    return project
  }

  private struct Emoji: Encodable {
    var name: String
  }

  private struct KnownEmoji: Decodable {
    var name: String
  }

  private func award(
    _ feedback: PullRequestFeedback, _ project: GitLabProject, _ caller: APICaller
  ) async throws(APIFault) {
    let path = "\(project.path)/merge_requests/\(feedback.prNumber)/award_emoji"
    let emoji = Emoji(name: feedback.subject == .hooray ? "tada" : feedback.subject.rawValue)
    do {
      _ = try await project.client.post(path, as: caller, emoji)
    } catch .missing {
      // GitLab also says 404 if this user has awarded it before.
      let answer = try await project.client.get("\(path)?per_page=100", as: caller)
      let known = try APIClient.decode([KnownEmoji].self, from: answer.body)
      guard known.contains(where: { $0.name == emoji.name }) else { throw .missing }
    }
  }

  private struct Status: Encodable {
    var state: String
    var name: String
    var description: String
    var target_url: String?
  }

  private func setStatus(
    _ feedback: PullRequestFeedback, _ project: GitLabProject, _ caller: APICaller
  ) async throws(APIFault) {
    let state =
      switch feedback.status {
      case .pending, .queued: "pending"
      case .running: "running"
      // GitLab has no neutral: as with GitHub, a run that has not said what it found holds nothing up.
      case .completed: feedback.gateResult == "fail" ? "failed" : "success"
      case .failed: feedback.isClosed ? "canceled" : "failed"
      case .cancelled: "canceled"
      }
    do {
      _ = try await project.client.post(
        "\(project.path)/statuses/\(feedback.headSha.percentEncoded)", as: caller,
        Status(
          state: state, name: PullRequestFeedback.checkName, description: feedback.summary,
          target_url: feedback.page(at: publicURL)))
    } catch .refused(let message) where message.contains("Cannot transition status") {
      // It is there already.
    }
  }
}

extension FeedbackFault {
  /// Why there was no token, or no success with it.
  init(_ failure: CollectFailure) {
    switch failure {
    case .permanent(_, let message): self = .impossible(message)
    case .retry(let message): self = .wait(message, nil)
    case .wait(let message, let delay): self = .wait(message, delay)
    case .keyMissing(let message): self = .blocked(message)
    case .call(let fault, _): self = .call(fault)
    }
  }
}
