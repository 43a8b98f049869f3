internal import FoundationEssentials
internal import Reviews

/// Award emoji and commit statuses at GitLab.
struct GitLabFeedback: Sendable {
  let hosts: GitLabHosts
  let cipher: TokenCipher
  /// Of another host; its limits and answers are shared.
  let client: APIClient

  func tell(_ feedback: PullRequestFeedback) async throws(FeedbackFault) {
    guard let ciphertext = feedback.integration.tokenCiphertext else {
      throw .impossible("the integration has no token to write with")
    }
    let caller = GitLabSource.caller(try GitHubFeedback.open(ciphertext, of: feedback.integration, cipher))
    let instance: GitLabInstance
    do {
      instance = try hosts.instance(of: feedback.integration, mergeRequest: feedback.prUrl)
    } catch {
      throw .impossible("\(error)")
    }
    let client = instance.api(self.client)
    let project = "/projects/\(feedback.platformProjectId.map { String($0) } ?? feedback.repoFullName.percentEncoded)"
    do {
      if feedback.subject == .gate {
        try await setStatus(feedback, project, client, caller)
      } else {
        try await award(feedback, project, client, caller)
      }
    } catch {
      throw .call(error)
    }
  }

  private struct Emoji: Encodable {
    var name: String
  }

  private struct KnownEmoji: Decodable {
    var name: String
  }

  private func award(
    _ feedback: PullRequestFeedback, _ project: String, _ client: APIClient, _ caller: APICaller
  ) async throws(APIFault) {
    let path = "\(project)/merge_requests/\(feedback.prNumber)/award_emoji"
    let emoji = Emoji(name: feedback.subject == .hooray ? "tada" : feedback.subject.rawValue)
    do {
      _ = try await client.post(path, as: caller, body: try GitHubFeedback.encode(emoji))
    } catch .missing {
      // GitLab also says 404 where this user has awarded it before.
      let answer = try await client.get("\(path)?per_page=100", as: caller)
      let known = try APIClient.decode([KnownEmoji].self, from: answer.body)
      guard known.contains(where: { $0.name == emoji.name }) else { throw .missing }
    }
  }

  private struct Status: Encodable {
    var state: String
    var name: String
    var description: String
  }

  private func setStatus(
    _ feedback: PullRequestFeedback, _ project: String, _ client: APIClient, _ caller: APICaller
  ) async throws(APIFault) {
    let state =
      switch feedback.status {
      case .pending, .queued: "pending"
      case .running: "running"
      // GitLab has no neutral: as with GitHub, a run that has not said what it found holds nothing up.
      case .completed: feedback.gateResult == "fail" ? "failed" : "success"
      case .failed: "failed"
      case .cancelled: "canceled"
      }
    do {
      _ = try await client.post(
        "\(project)/statuses/\(feedback.headSha.percentEncoded)", as: caller,
        body: try GitHubFeedback.encode(
          Status(state: state, name: PullRequestFeedback.checkName, description: feedback.summary)))
    } catch .refused(let message) where message.contains("Cannot transition status") {
      // It is there already.
    }
  }
}
