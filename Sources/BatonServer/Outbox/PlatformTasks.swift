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
  let store: ReviewStore
  let questions: PlatformQuestions
  let logger: Logger
  private let interval: Duration
  /// A host that is unavailable or slow holds up no other's tasks.
  private let shares: HostShares

  private static let tasksAtOnce = 16
  /// Of one host: one that does not answer leaves the other half of the slots to the others.
  private static let tasksOfHostAtOnce = 8
  private static let retry = DeliveryRetry.ofPlatforms

  /// - Parameters:
  ///   - store: where the reviews are.
  ///   - questions: what asks the platforms.
  ///   - circuits: of the hosts, which other relays to them share.
  ///   - interval: between looks at the outbox.
  ///   - logger: for what it reports.
  package init(
    store: ReviewStore, questions: PlatformQuestions, circuits: Circuits = Circuits(),
    interval: Duration = .seconds(1), logger: Logger
  ) {
    self.store = store
    self.questions = questions
    shares = HostShares(max: Self.tasksOfHostAtOnce, circuits: circuits)
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
  package func deliverDue() async throws { try await feed().drain() }

  private func feed() -> SlotFeed<PlatformTask> {
    shares.feed(
      count: Self.tasksAtOnce, interval: interval, host: \.host,
      take: { try await store.takeTasks(limit: $0, without: $1) },
      work: { task, circuit in
        do {
          try await work(on: task, circuit)
        } catch {
          logger.warning(
            "the outcome of a task could not be recorded; it is done again in a minute",
            metadata: ["task": "\(task.id)", "error": "\(error)"])
        }
      })
  }

  private func work(on task: PlatformTask, _ circuit: Circuit) async throws {
    if case .refused(let until) = circuit.admit() {
      return try await store.failTask(
        task, error: "\(circuit.name) is unavailable: \(circuit.reason ?? "no answer")",
        retryAfter: Self.retry.delay(until: until))
    }
    let outcome = await withSpan(
      .platformTask, in: task.trace, [SpanKey.platform: .string(task.platform.rawValue)]
    ) { span in await TraceContext.$current.withValue(span.context) { await perform(task) } }
    if Task.isCancelled, case .failed(.later, _) = outcome { return }
    switch outcome {
    case .done(let outcome):
      circuit.succeeded()
      try await store.endTask(task, outcome: outcome)
      logger.debug("a task at the platform is done", metadata: ["task": "\(task.id)", "outcome": "\(outcome)"])
    case .failed(let failure, let message):
      circuit.note(failure, message)
      try await failed(task, failure, message)
    case .unknown(let message): try await failed(task, .later(), message)
    }
  }

  private func failed(_ task: PlatformTask, _ failure: DeliveryRetry.Failure, _ message: String) async throws {
    let next = Self.retry.next(tries: task.tries, age: task.age, after: failure)
    try await store.failTask(task, error: message, retryAfter: next.delay)
    guard next.isNews else { return }
    logger.warning(
      next.isGivenUp ? "a task at the platform is given up" : "a task at the platform failed; trying again later",
      metadata: ["task": "\(task.id)", "owner": "\(task.owner)", "error": "\(message)"])
  }
}
