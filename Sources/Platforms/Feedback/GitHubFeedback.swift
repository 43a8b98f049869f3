internal import FoundationEssentials
internal import NIOHTTP1
internal import Primitives
internal import Reviews

/// Reactions and check runs at GitHub.
struct GitHubFeedback: Sendable {
  let access: GitHubAccess
  let publicURL: String?

  private var client: APIClient { access.client }

  /// - Returns: the id of the check run, for a gate.
  func tell(_ feedback: PullRequestFeedback) async throws(FeedbackFault) -> Int64? {
    guard let repository = GitHubSource.path(of: feedback.repoFullName) else {
      throw .impossible("\"\(feedback.repoFullName)\" is not a GitHub repository's owner/name")
    }
    return try await access.withCaller(of: feedback.integration, asApp: feedback.subject == .gate) {
      caller throws(APIFault) in
      guard feedback.subject == .gate else {
        // 201, or 200 if this app has reacted so before.
        _ = try await client.post(
          "\(repository)/issues/\(feedback.prNumber)/reactions", as: caller, ["content": feedback.subject.rawValue])
        return nil
      }
      return try await checkRun(feedback, repository, caller)
    }
  }
}

// MARK: Check runs

extension GitHubFeedback {
  private struct Output: Encodable {
    var title: String
    var summary: String
  }

  /// `POST /repos/{owner}/{repo}/check-runs`, and PATCH of one, which needs neither name nor commit.
  private struct CheckRun: Encodable {
    var name: String?
    var head_sha: String?
    var external_id: String?
    var status: String
    var conclusion: String?
    var details_url: String?
    var output: Output
  }

  private struct KnownRun: Decodable {
    var id: Int64
    var external_id: String?
  }

  private struct KnownRuns: Decodable {
    var check_runs: [KnownRun]
  }

  /// Brings the check run of this attempt to where the review is, and that of an earlier attempt to its end.
  private func checkRun(
    _ feedback: PullRequestFeedback, _ repository: String, _ caller: APICaller
  ) async throws(APIFault) -> Int64 {
    if let id = feedback.checkRunID {
      if feedback.toldAttempt == feedback.attempt {
        if feedback.toldStatus != feedback.status { try await update(id, Self.run(feedback), repository, caller) }
        return id
      }
      if feedback.toldStatus?.isTerminal != true {
        try await update(id, Self.overtaken, repository, caller)
      }
    }
    if feedback.tries > 1, let id = try await find(feedback, repository, caller) {
      try await update(id, Self.run(feedback), repository, caller)
      return id
    }
    var run = Self.run(feedback)
    run.name = PullRequestFeedback.checkName
    run.head_sha = feedback.headSha
    run.external_id = Self.externalID(feedback)
    run.details_url = feedback.page(at: publicURL)
    let answer = try await client.post("\(repository)/check-runs", as: caller, run)
    return try APIClient.decode(KnownRun.self, from: answer.body).id
  }

  private func update(
    _ id: Int64, _ run: CheckRun, _ repository: String, _ caller: APICaller
  ) async throws(APIFault) {
    _ = try await client.send(
      .PATCH, "\(repository)/check-runs/\(id)", as: caller, run)
  }

  /// The check run that an earlier try has made and could not record any more: without this it would never end.
  private func find(
    _ feedback: PullRequestFeedback, _ repository: String, _ caller: APICaller
  ) async throws(APIFault) -> Int64? {
    let path = "\(repository)/commits/\(feedback.headSha.percentEncoded)/check-runs"
    let answer = try await client.get(
      "\(path)?check_name=\(PullRequestFeedback.checkName)&filter=all&per_page=100", as: caller)
    return try APIClient.decode(KnownRuns.self, from: answer.body).check_runs.first {
      $0.external_id == Self.externalID(feedback)
    }?.id
  }

  private static func externalID(_ feedback: PullRequestFeedback) -> String {
    "\(feedback.reviewID.lowercase)/\(feedback.attempt)"
  }

  private static let overtaken = CheckRun(
    status: "completed", conclusion: "cancelled",
    output: Output(title: "Reviewed again", summary: "A newer attempt has taken the place of this one."))

  private static func run(_ feedback: PullRequestFeedback) -> CheckRun {
    let (status, conclusion): (String, String?) =
      switch feedback.status {
      case .pending, .queued: ("queued", nil)
      case .running: ("in_progress", nil)
      // Success is only what the agent called so: a run that merely ended proves nothing.
      case .completed:
        ("completed", feedback.gateResult == "pass" ? "success" : feedback.gateResult == "fail" ? "failure" : "neutral")
      case .failed: ("completed", feedback.isClosed ? "neutral" : "failure")
      case .cancelled: ("completed", "cancelled")
      }
    return CheckRun(
      status: status, conclusion: conclusion,
      output: Output(
        title: feedback.isClosed ? "Pull request closed" : "Code review: \(feedback.status.rawValue)",
        summary: feedback.summary))
  }
}
