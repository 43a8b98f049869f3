internal import FoundationEssentials
package import Logging
package import Platforms
internal import Primitives
internal import Resilience
package import ReviewStore
internal import Reviews
internal import ServiceLifecycle

/// Finds what no webhook has reported: GitHub does not repeat what it could not deliver, and neither platform knows what was lost on the way.
///
/// It asks GitHub for failed deliveries and has them delivered again, and looks through the open pull requests of each installation and each
/// GitLab project for commits that have no review. What it finds is stored as if a webhook had brought it: `baton serve` judges it by the
/// same rules. How far each look has come stands in Postgres, so that any process goes on, and what has waited longest is next: no installation
/// waits for the others. A look makes a bounded number of requests in a bounded time, then the next one has its turn. A host that does not answer
/// is asked a few times in a pass, and no more in it.
package struct CatchUp: Service {
  private let store: ReviewStore
  private let questions: PlatformQuestions
  private let interval: Duration
  private let age: Duration
  private let logger: Logger

  /// Requests of one look, before the next one has its turn.
  static let requestsOfLook = 100
  /// Between two looks at the same, however short the setting is.
  private static let intervalMin: Duration = .seconds(60)
  /// A look begins no request after this: others wait for their turn, and another process takes it over after five minutes.
  static let timeOfLook: Duration = .seconds(60)
  /// Requests of one pass.
  static let requestsOfPass = 2_000

  /// - Parameters:
  ///   - store: where the reviews are.
  ///   - questions: what asks the platforms.
  ///   - interval: between two looks at the same.
  ///   - age: how far the first look at open pull requests goes back, zero for no bound; each later one goes back to the look before.
  ///   - logger: for what it reports.
  package init(
    store: ReviewStore, questions: PlatformQuestions, interval: Duration, age: Duration, logger: Logger
  ) {
    self.store = store
    self.questions = questions
    self.interval = max(interval, Self.intervalMin)
    self.age = age
    self.logger = logger
  }

  /// Looks until the service is shut down.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      await PeriodicLoop(interval: min(interval, .seconds(30))).run {
        let counts = try await pass(until: nil)
        guard !counts.isQuiet else { return }
        logger.notice("catch-up has found what no webhook has reported", metadata: ["found": "\(counts)"])
      } onNewFailure: { error in
        logger.error("catch-up failed; trying again until it works", metadata: ["error": "\(error)"])
      }
    }
  }

  /// One pass over everything, for cron, whether it is due or not.
  /// - Parameter deadline: what is left then is for the next pass.
  package func runOnce(until deadline: ContinuousClock.Instant) async throws -> CatchUpCounts {
    try await store.hastenCatchUp()
    return try await pass(until: deadline)
  }

  private func pass(until deadline: ContinuousClock.Instant?) async throws -> CatchUpCounts {
    var counts = CatchUpCounts()
    var walk = FailedWebhooks.Walk()
    var hosts = UnansweringHosts()
    try await store.planCatchUp(hasApp: questions.hasApp)
    while !Task.isCancelled, deadline.map({ .now < $0 }) ?? true, counts.requests < Self.requestsOfPass,
      let look = try await store.takeLook(hasApp: questions.hasApp, without: hosts.left)
    {
      var budget = RequestBudget(
        left: min(Self.requestsOfLook, Self.requestsOfPass - counts.requests), until: .now + Self.timeOfLook)
      let (progress, found) = try await perform(look, &budget, &walk)
      hosts.note(look.host, isUnanswered: progress.isUnanswered)
      counts.add(found, requests: budget.used, progress)
      try await store.settle(look, progress)
      try await store.countCatchUp(found.labels)
      log(look, progress)
    }
    return counts
  }

  private func perform(
    _ look: CatchUpLook, _ budget: inout RequestBudget, _ walk: inout FailedWebhooks.Walk
  ) async throws -> (CatchUpProgress, CatchUpFindings) {
    switch look.kind {
    case .deliveries:
      return await FailedWebhooks(questions: questions, interval: interval).look(look, &budget, &walk)
    case .installation, .project:
      return try await OpenPullRequests(store: store, questions: questions, interval: interval, age: age)
        .look(look, &budget)
    }
  }

  private func log(_ look: CatchUpLook, _ progress: CatchUpProgress) {
    guard let error = progress.error else { return }
    logger.warning(
      "catch-up could not look at everything; it goes on there later",
      metadata: [
        "kind": "\(look.kind.rawValue)", "integration": "\(look.integrationID.lowercase)", "error": "\(error)",
        "wait": "\(progress.wait)",
      ])
  }
}

/// Requests that a look may still make.
struct RequestBudget {
  private(set) var left: Int
  private(set) var used = 0
  private let deadline: ContinuousClock.Instant

  /// - Parameter deadline: after it there is none left.
  init(left: Int, until deadline: ContinuousClock.Instant) {
    self.left = left
    self.deadline = deadline
  }

  /// - Returns: false if there is none left. The first one is always given, so that each look gets on.
  mutating func take() -> Bool {
    guard left > 0, used == 0 || .now < deadline else { return false }
    left -= 1
    used += 1
    return true
  }
}

/// The hosts of which one look after the other met no answer in a pass. A single one may have a fault of its own.
struct UnansweringHosts {
  static let countMax = 3

  private var counts: [String: Int] = [:]

  /// Those that are left alone for the rest of the pass.
  var left: [String] { counts.filter { $0.value >= Self.countMax }.map(\.key).sorted() }

  mutating func note(_ host: String, isUnanswered: Bool) {
    counts[host] = isUnanswered ? counts[host, default: 0] + 1 : nil
  }
}

/// What one look has found.
struct CatchUpFindings: Sendable, Equatable {
  /// Failed deliveries that GitHub was asked to repeat.
  var redelivered = 0
  /// Commits without a review, now stored as deliveries.
  var unreviewed = 0

  /// As the counts in the database name them.
  var labels: [String: Int] { ["redelivered": redelivered, "unreviewed": unreviewed] }
}

/// What one pass did: the line that `baton catch-up` prints.
package struct CatchUpCounts: Sendable, Codable, Equatable, CustomStringConvertible {
  /// Failed deliveries that GitHub was asked to repeat.
  package var redelivered = 0
  /// Open pull requests whose newest commit had no review.
  package var unreviewed = 0
  /// Looks that are through.
  package var finished = 0
  /// Looks that go on in the next pass.
  package var unfinished = 0
  /// Looks that met an error or a rate limit.
  package var failed = 0
  /// Requests to the platforms.
  package var requests = 0

  package init() {}

  mutating func add(_ found: CatchUpFindings, requests: Int, _ progress: CatchUpProgress) {
    redelivered += found.redelivered
    unreviewed += found.unreviewed
    self.requests += requests
    if progress.error != nil { failed += 1 } else if progress.isFinished { finished += 1 } else { unfinished += 1 }
  }

  /// Whether nothing was found.
  package var isQuiet: Bool { redelivered + unreviewed == 0 }

  package var description: String { "redelivered \(redelivered), unreviewed \(unreviewed)" }
}

extension CatchUpLook {
  /// As it was, later.
  func unchanged(wait: Duration, error: String? = nil) -> CatchUpProgress {
    CatchUpProgress(
      position: position, doneUpTo: doneUpTo, begunAt: begunAt, wait: wait, isFinished: false, error: error)
  }
}
