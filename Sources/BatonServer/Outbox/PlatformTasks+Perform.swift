internal import FoundationEssentials
internal import Logging
internal import Platforms
internal import Primitives
internal import ReviewStore
internal import Reviews

/// The outcome of a task.
enum TaskOutcome: Sendable {
  /// What became of it.
  case done(String)
  case failed(DeliveryRetry.Failure, String)
  /// Nothing is known of the platform: the database failed.
  case unknown(String)
}

/// A platform has not done what was asked, or has not answered.
private struct Unanswered: Error {
  var failure: DeliveryRetry.Failure
  var message: String
}

extension PlatformAnswer {
  /// The answer.
  fileprivate func get() throws(Unanswered) -> Value {
    switch self {
    case .answer(let value): return value
    case .later(let message, let delay): throw Unanswered(failure: .later(after: delay), message: message)
    case .blocked(let message): throw Unanswered(failure: .blocked, message: message)
    case .refused(let message): throw Unanswered(failure: .refused, message: message)
    }
  }
}

extension PlatformTasks {
  /// Does a task.
  func perform(_ task: PlatformTask) async -> TaskOutcome {
    do {
      switch task.kind {
      case .check(let check): return .done(try await show(check, task))
      case .review(let request): return .done(try await review(request, task))
      case .paths(let request): return .done(try await decide(request, task))
      }
    } catch let error as Unanswered {
      return .failed(error.failure, error.message)
    } catch {
      return .unknown("\(error)")
    }
  }

  // MARK: Checks

  private func show(_ check: PlatformTask.Check, _ task: PlatformTask) async throws -> String {
    if let pullRequest = check.excludedPullRequest(of: task.owner, task.platform),
      try await store.hasReview(of: pullRequest, sha: check.sha)
    {
      return "the commit has a review by now"
    }
    let answer = await questions.show(
      PlatformCheck(
        platform: task.platform, repository: check.repository, projectId: check.projectId, url: check.url ?? "",
        sha: check.sha, conclusion: .init(rawValue: check.conclusion.rawValue) ?? .neutral, title: check.title,
        summary: check.summary, externalId: check.externalId), for: task.integration)
    if let failure = answer.failure { throw Unanswered(failure: failure.reason, message: failure.message) }
    return check.conclusion.rawValue
  }

  // MARK: A person's wish

  private func review(_ request: PlatformTask.ReviewRequest, _ task: PlatformTask) async throws -> String {
    guard try await mayWrite(request, task).get() else {
      return "\(request.requester) may not write to \(request.repository)"
    }
    let url = request.url ?? ""
    let pull =
      task.platform == .github
      ? await questions.pullRequest(request.number, of: request.repository, task.integration)
      : await questions.mergeRequest(
        request.number, ofProject: request.projectId, request.repository, url, task.integration)
    return try await review(try pull.get(), request, task)
  }

  private func mayWrite(_ request: PlatformTask.ReviewRequest, _ task: PlatformTask) async -> PlatformAnswer<Bool> {
    task.platform == .github
      ? await questions.mayWrite(request.user, to: request.repository, task.integration)
      : await questions.mayWrite(
        request.user, toProject: request.projectId, request.repository, request.url ?? "", task.integration)
  }

  private func review(
    _ pull: JSONValue, _ request: PlatformTask.ReviewRequest, _ task: PlatformTask
  ) async throws -> String {
    guard let state = pull["state"]?.string, ["open", "opened"].contains(state) else {
      return "the pull request is closed"
    }
    let shape =
      task.platform == .github
      ? EventShape.github(pull, installation: task.integration.installationId)
      : EventShape.gitlab(
        pull, project: request.projectId, path: EventShape.projectPath(pull) ?? request.repository)
    let context = WebhookContext(
      owner: task.owner, platform: task.platform, integrationID: task.integration.id, receivedAt: try await store.now())
    let event = try WebhookEvent(
      task.platform == .github ? "pull_request" : "Merge Request Hook", payload: try JSONCoding.encode(shape),
      in: context)
    guard case .pushed(let push, _, _) = event else { return "the platform names no commit" }
    let outcome = try await store.review(push, requestedBy: request.requester, trace: task.trace)
    logger.notice(
      "a person has asked for a review",
      metadata: [
        "requester": "\(request.requester)", "repository": "\(request.repository)", "number": "\(request.number)",
        "outcome": "\(outcome.text)",
      ])
    return outcome.text
  }

  // MARK: Changed files

  private func decide(_ request: PlatformTask.PathsRequest, _ task: PlatformTask) async throws -> String {
    let review = request.review
    guard let stored = try await store.configuration(of: task.owner, platform: task.platform), stored.isEnabled else {
      return "reviews are not enabled for \(task.owner)"
    }
    let answer =
      task.platform == .github
      ? await questions.files(ofPullRequest: review.prNumber, of: review.repoFullName, task.integration)
      : await questions.files(
        ofMergeRequest: review.prNumber, ofProject: review.platformProjectId, review.repoFullName, review.prUrl,
        task.integration)
    // Better one review too many: the review itself fails with a reason that its owner sees.
    if case .refused = answer { return try await store.decide(request, exclusion: nil, of: task).text }
    let filter = (try? ReviewConfiguration(json: stored.json))?.filter
    return try await store.decide(request, exclusion: filter?.exclusion(ofFiles: try answer.get()), of: task).text
  }
}
