internal import FoundationEssentials
package import Logging
package import Platforms
internal import Primitives
internal import Resilience
package import ReviewStore
internal import Reviews
internal import ServiceLifecycle
internal import Spans
internal import Synchronization
internal import Telemetry
internal import Tracing

/// Does what is to be done at GitHub and GitLab that belongs to no review, out of its outbox in the database: checks of merge groups and of
/// excluded pull requests, and the questions behind a person's wish for a review. Part of `serve`; any number may run.
package struct PlatformTasks: Service {
  private let store: ReviewStore
  private let questions: PlatformQuestions
  private let interval: Duration
  private let logger: Logger
  /// One for each host: a host that is unavailable holds up no other's tasks.
  private let circuits = Circuits()
  private let shares = HostShares(max: tasksOfHostAtOnce)
  private let wakeup = Wakeup()

  private static let tasksAtOnce = 16
  /// Of one host: one that does not answer leaves the other half of the slots to the others.
  private static let tasksOfHostAtOnce = 8
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
      count: Self.tasksAtOnce, circuit: nil, interval: interval, wakeup: wakeup, take: { try await take($0) },
      work: { task in
        // There may be more of a host that had its share.
        defer { if shares.ended(task.host) { wakeup.wake() } }
        do {
          try await work(on: task)
        } catch {
          logger.warning(
            "the outcome of a task could not be recorded; it is done again in a minute",
            metadata: ["task": "\(task.id)", "error": "\(error)"])
        }
        return .answered
      })
  }

  /// Takes up to so many tasks, of each host no more than its share allows.
  private func take(_ count: Int) async throws -> [PlatformTask] {
    var tasks: [PlatformTask] = []
    while tasks.count < count {
      let (room, full) = shares.room
      let limit = min(room, count - tasks.count)
      let taken: [PlatformTask]
      do {
        taken = try await store.takeTasks(limit: limit, without: full)
      } catch  where !tasks.isEmpty {
        break
      }
      for task in taken { shares.began(task.host) }
      tasks += taken
      if taken.count < limit { break }
    }
    return tasks
  }

  private func work(on task: PlatformTask) async throws {
    let circuit = circuits[task.host]
    if case .refused(let until) = circuit.admit() {
      let delay = max(.zero, until - .now) + Self.backoff.delay(attempt: 0)
      return try await store.failTask(
        task, error: "\(circuit.name) is unavailable: \(circuit.reason ?? "no answer")", retryAfter: delay)
    }
    let result = await withSpan(
      .platformTask, in: task.trace, [SpanKey.platform: .string(task.platform.rawValue)]
    ) { span in await TraceContext.$current.withValue(span.context) { await perform(task) } }
    if Task.isCancelled, case .later = result { return }
    switch result {
    case .later(let message, retryAfter: nil): circuit.failed(reason: message)
    case .later, .done, .blocked, .refused: circuit.succeeded()
    case .unknown: break
    }
    try await settle(task, result)
  }

  /// The outcome of a task.
  private enum Result {
    case done(String)
    case later(String, retryAfter: Duration?)
    case blocked(String)
    case refused(String)
    /// Nothing is known of the platform: the database failed.
    case unknown(String)
  }

  private func settle(_ task: PlatformTask, _ result: Result) async throws {
    switch result {
    case .done(let outcome):
      try await store.endTask(task, outcome: outcome)
      logger.debug("a task at the platform is done", metadata: ["task": "\(task.id)", "outcome": "\(outcome)"])
    case .later(let message, let delay): try await failed(task, message, ageMax: Self.ageMax, delay)
    case .unknown(let message): try await failed(task, message, ageMax: Self.ageMax, nil)
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
      return .unknown("\(error)")
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

/// How many tasks of each host are under way.
private final class HostShares: Sendable {
  private struct State {
    var counts: [String: Int] = [:]
    /// Hosts that have had their share, and may have more tasks.
    var full: Set<String> = []
  }

  private let max: Int
  private let state = Mutex(State())

  /// - Parameter max: of one host.
  init(max: Int) { self.max = max }

  /// How many more may begin, whatever hosts they are of, but for those that have their share.
  var room: (count: Int, full: [String]) {
    state.withLock { state in
      let full = state.counts.filter { $0.value >= max }.map(\.key).sorted()
      return (max - (state.counts.values.filter { $0 < max }.max() ?? 0), full)
    }
  }

  func began(_ host: String) {
    state.withLock { state in
      state.counts[host, default: 0] += 1
      if state.counts[host, default: 0] >= max { state.full.insert(host) }
    }
  }

  /// - Returns: whether it is time to look for more of this host.
  func ended(_ host: String) -> Bool {
    state.withLock { state in
      let count = state.counts[host, default: 1] - 1
      state.counts[host] = count > 0 ? count : nil
      // Few at a time are not worth a look.
      return count <= max * 3 / 4 && state.full.remove(host) != nil
    }
  }
}
