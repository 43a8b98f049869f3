internal import FoundationEssentials
package import Logging
package import Platforms
internal import Primitives
internal import Resilience
package import ReviewStore
internal import Reviews
internal import ServiceLifecycle
internal import Spans
internal import Telemetry
internal import Tracing

/// Does what is to be done at GitHub and GitLab that belongs to no review, out of its outbox in the database: checks of merge groups and of
/// excluded pull requests, and the questions behind a person's wish for a review. Part of `serve`; any number may run.
package struct PlatformTasks: Service {
  private let store: ReviewStore
  private let questions: PlatformQuestions
  private let interval: Duration
  private let logger: Logger

  private static let tasksAtOnce = 8
  private static let backoff = Backoff(base: .seconds(5), max: .seconds(600))
  /// A refusal is believed after this: rights are given a moment late.
  private static let refusalAgeMax: Duration = .seconds(600)
  /// Until what waits for the operator is tried again.
  private static let blockedDelay: Duration = .seconds(60)
  /// What might still go well is tried for so long.
  private static let ageMax: Duration = .seconds(7 * 86_400)

  /// - Parameters:
  ///   - store: where the reviews are.
  ///   - questions: what asks the platforms.
  ///   - interval: between looks at the outbox.
  ///   - logger: for what it reports.
  package init(
    store: ReviewStore, questions: PlatformQuestions, interval: Duration = .seconds(1), logger: Logger
  ) {
    self.store = store
    self.questions = questions
    self.interval = interval
    self.logger = logger
  }

  /// Works until the service is shut down. What is interrupted is done by the next process.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      await feed().run { error in
        logger.error(
          "the tasks for GitHub and GitLab cannot be read; trying again until it works",
          metadata: ["error": "\(error)"])
      }
    }
  }

  /// Does everything that is due now.
  package func doDue() async throws { try await feed().drain() }

  private func feed() -> SlotFeed<PlatformTask> {
    SlotFeed(
      count: Self.tasksAtOnce, circuit: nil, interval: interval, take: { try await store.takeTasks(limit: $0) },
      work: { task in
        do {
          let result = await withSpan(
            .platformTask, in: task.trace, [SpanKey.platform: .string(task.platform.rawValue)]
          ) { span in await TraceContext.$current.withValue(span.context) { await perform(task) } }
          try await settle(task, result)
        } catch {
          logger.warning(
            "the outcome of a task could not be recorded; it is done again in a minute",
            metadata: ["task": "\(task.id)", "error": "\(error)"])
        }
        return .answered
      })
  }

  /// The outcome of a task.
  private enum Result {
    case done(String)
    case later(String, retryAfter: Duration?)
    case blocked(String)
    case refused(String)
  }

  private func settle(_ task: PlatformTask, _ result: Result) async throws {
    switch result {
    case .done(let outcome):
      try await store.endTask(task, outcome: outcome)
      logger.debug("a task at the platform is done", metadata: ["task": "\(task.id)", "outcome": "\(outcome)"])
    case .later(let message, let delay): try await failed(task, message, ageMax: Self.ageMax, delay)
    case .blocked(let message):
      try await failed(task, message, ageMax: .seconds(Int64.max), Self.blockedDelay)
    case .refused(let message): try await failed(task, message, ageMax: Self.refusalAgeMax, nil)
    }
  }

  private func failed(
    _ task: PlatformTask, _ message: String, ageMax: Duration, _ retryAfter: Duration?
  ) async throws {
    let isGivenUp = task.age >= ageMax
    let delay = retryAfter ?? Self.backoff.ceiling(attempt: task.tries - 1) / 2
    try await store.failTask(task, error: message, retryAfter: isGivenUp ? nil : delay)
    guard isGivenUp || task.tries == 1 else { return }
    logger.warning(
      isGivenUp ? "a task at the platform is given up" : "a task at the platform failed; trying again later",
      metadata: ["task": "\(task.id)", "owner": "\(task.owner)", "error": "\(message)"])
  }

  // MARK: Tasks

  private func perform(_ task: PlatformTask) async -> Result {
    do {
      switch task.kind {
      case .check(let check): return try await show(check, task)
      case .review(let request): return try await review(request, task)
      case .paths(let request): return try await decide(request, task)
      }
    } catch {
      return .later("\(error)", retryAfter: nil)
    }
  }

  private func show(_ check: PlatformTask.Check, _ task: PlatformTask) async throws -> Result {
    if let number = check.excludedNumber,
      try await store.hasReview(
        of: task.owner, task.platform, repository: check.repository, number: number, sha: check.sha)
    {
      return .done("the commit has a review by now")
    }
    let answer = await questions.show(
      PlatformCheck(
        platform: task.platform, repository: check.repository, projectId: check.projectId, url: check.url ?? "",
        sha: check.sha, conclusion: .init(rawValue: check.conclusion.rawValue) ?? .neutral, title: check.title,
        summary: check.summary, externalId: check.externalId), for: task.integration)
    switch answer {
    case .delivered: return .done(check.conclusion.rawValue)
    case .later(let message, let delay): return .later(message, retryAfter: delay)
    case .blocked(let message): return .blocked(message)
    case .refused(let message): return .refused(message)
    }
  }

  private func review(_ request: PlatformTask.ReviewRequest, _ task: PlatformTask) async throws -> Result {
    let url = request.url ?? ""
    let right =
      task.platform == .github
      ? await questions.mayWrite(request.user, to: request.repository, task.integration)
      : await questions.mayWrite(
        request.user, toProject: request.projectId, request.repository, url, task.integration)
    switch right {
    case .answer(false): return .done("\(request.requester) may not write to \(request.repository)")
    case .answer(true): break
    case .later(let message, let delay): return .later(message, retryAfter: delay)
    case .blocked(let message): return .blocked(message)
    case .refused(let message): return .refused(message)
    }
    let pull =
      task.platform == .github
      ? await questions.pullRequest(request.number, of: request.repository, task.integration)
      : await questions.mergeRequest(
        request.number, ofProject: request.projectId, request.repository, url, task.integration)
    switch pull {
    case .answer(let json): return try await review(json, request, task)
    case .later(let message, let delay): return .later(message, retryAfter: delay)
    case .blocked(let message): return .blocked(message)
    case .refused(let message): return .refused(message)
    }
  }

  private func review(
    _ pull: JSONValue, _ request: PlatformTask.ReviewRequest, _ task: PlatformTask
  ) async throws -> Result {
    guard let state = pull["state"]?.string, ["open", "opened"].contains(state) else {
      return .done("the pull request is closed")
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
    guard case .pushed(let push, _, _) = event else { return .done("the platform names no commit") }
    let outcome = try await store.review(push, requestedBy: request.requester, trace: task.trace)
    logger.notice(
      "a person has asked for a review",
      metadata: [
        "requester": "\(request.requester)", "repository": "\(request.repository)", "number": "\(request.number)",
        "outcome": "\(outcome.text)",
      ])
    return .done(outcome.text)
  }

  private func decide(_ request: PlatformTask.PathsRequest, _ task: PlatformTask) async throws -> Result {
    let review = request.review
    guard let stored = try await store.configuration(of: task.owner, platform: task.platform), stored.isEnabled else {
      return .done("reviews are not enabled for \(task.owner)")
    }
    let files =
      task.platform == .github
      ? await questions.files(ofPullRequest: review.prNumber, of: review.repoFullName, task.integration)
      : await questions.files(
        ofMergeRequest: review.prNumber, ofProject: review.platformProjectId, review.repoFullName, review.prUrl,
        task.integration)
    switch files {
    case .answer(let files):
      let filter = (try? ReviewConfiguration(json: stored.json))?.filter
      return .done(
        try await store.decide(request, exclusion: filter?.exclusion(ofFiles: files), of: task).text)
    case .later(let message, let delay): return .later(message, retryAfter: delay)
    case .blocked(let message): return .blocked(message)
    // Better one review too many: the review itself fails with a reason that its owner sees.
    case .refused: return .done(try await store.decide(request, exclusion: nil, of: task).text)
    }
  }
}
