internal import FoundationEssentials
internal import HTTPKit
package import Logging
internal import Primitives
internal import Resilience
package import ReviewStore
internal import Reviews
internal import ServiceLifecycle
internal import Spans
internal import Telemetry
internal import Tracing

/// Takes deliveries: stored first, then processed, each exactly once.
///
/// The receiver processes what it has stored. If it dies before that, or has to wait for too long, ``run()`` of any
/// server does so: it looks for stored deliveries that are not processed yet. What a delivery does and that it was done are one
/// transaction, so it does not matter how many try.
package struct WebhookIntake: Service {
  private let store: ReviewStore
  private let interval: Duration
  let policy: WebhookPolicy
  private let processing: Batcher<(platform: Platform, id: String), WebhookOutcome>
  private let logger: Logger

  /// How long a request waits for another event of the same pull request, or for a row of it that another transaction has locked;
  /// then it leaves its own to ``run()``.
  private static let patience: Duration = .milliseconds(500)
  /// Deliveries that are processed at once. Each has a connection for itself; the callbacks need some as well.
  private static let lanes = 2
  /// How often a delivery may fail before it is given up; with the backoff, more than an hour.
  private static let tryMax = 16
  /// Deliveries that are looked at in one pass.
  private static let pageMax = 100
  /// Platforms repeat a delivery for some days; by then an event is old whatever it says.
  private static let age: Duration = .seconds(14 * 86_400)
  /// Between looks for deliveries that may be deleted.
  private static let pruneInterval: Duration = .seconds(600)

  /// - Parameters:
  ///   - store: where the reviews are.
  ///   - policy: what the settings say about webhooks.
  ///   - interval: between looks for deliveries that were left behind.
  ///   - logger: for what it reports.
  package init(
    store: ReviewStore, policy: WebhookPolicy = WebhookPolicy(), interval: Duration = .seconds(2), logger: Logger
  ) {
    self.store = store
    self.policy = policy
    self.interval = interval
    self.logger = logger
    processing = Batcher(maxBatch: 1, lanes: Self.lanes) { deliveries in
      var results: [Result<WebhookOutcome, any Error>] = []
      for (platform, id) in deliveries {
        do {
          results.append(
            .success(try await store.process(platform, id, patience: Self.patience) { try $0.verdict(policy) }))
        } catch {
          results.append(.failure(error))
        }
      }
      return results
    }
  }

  /// The outcome of a delivery when its request is answered.
  enum Receipt: Sendable {
    case processed(WebhookOutcome)
    /// It is stored, and will be processed.
    case stored
  }

  /// Stores a delivery and processes it.
  /// - Throws: `PostgresError` if it could not be stored: the platform has to send it again; `HTTPFault` if it cannot be
  ///   understood.
  func take(_ delivery: WebhookDelivery) async throws -> Receipt {
    _ = try await store.store(delivery)
    if let reason = delivery.ignored { return .processed(.unchanged(reason, nil)) }
    do {
      let outcome = try await process(delivery.platform, delivery.id)
      log(outcome, of: delivery.platform, delivery.id, .debug, "a webhook has been processed")
      return .processed(outcome)
    } catch let fault as HTTPFault {
      // Postgres reads the JSON in another way (of two equal keys the last counts): as bad as faulty at once.
      try await postpone(delivery.platform, delivery.id, fault)
      throw fault
    } catch {
      logger.warning(
        "a webhook is stored, but could not be processed yet",
        metadata: ["platform": "\(delivery.platform.rawValue)", "delivery": "\(delivery.id)", "error": "\(error)"])
      return .stored
    }
  }

  private func process(_ platform: Platform, _ id: String) async throws -> WebhookOutcome {
    let start = SpanStart.now
    let outcome = try await processing.submit((platform, id))
    if case .pending(let review, let attempt, let trace) = outcome {
      recordSpan(
        .processWebhook, in: trace, since: start,
        .review(review, attempt: attempt).with([SpanKey.platform: .string(platform.rawValue)]))
    }
    return outcome
  }

  /// Processes what was left behind, until the service is shut down.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      var prunes = ContinuousClock.now
      await PeriodicLoop(interval: interval).run {
        try await processDue()
        guard prunes <= .now else { return }
        try await prune()
        prunes = .now + Self.pruneInterval
      } onNewFailure: { error in
        logger.error(
          "cannot look for webhooks that were left behind; trying again later", metadata: ["error": "\(error)"])
      }
    }
  }

  /// Processes what is due now.
  package func processDue() async throws {
    while true {
      let due = try await store.dueDeliveries(limit: Self.pageMax)
      for (platform, id) in due {
        do {
          let outcome = try await process(platform, id)
          guard outcome != .repeated else { continue }
          log(outcome, of: platform, id, .notice, "a webhook that was left behind has been processed")
        } catch {
          try await postpone(platform, id, error)
        }
      }
      guard due.count == Self.pageMax, !Task.isCancelled else { return }
    }
  }

  private func log(
    _ outcome: WebhookOutcome, of platform: Platform, _ id: String, _ level: Logger.Level, _ message: Logger.Message
  ) {
    let metadata: Logger.Metadata = [
      "platform": "\(platform.rawValue)", "delivery": "\(id)", "outcome": "\(outcome.text)",
    ]
    guard case .pending(let review, let attempt, let trace) = outcome else {
      return logger.log(level: level, message, metadata: metadata)
    }
    logger.log(level: level, message, metadata: .review(review, attempt: attempt, trace, metadata))
  }

  private func postpone(_ platform: Platform, _ id: String, _ error: any Error) async throws {
    // A payload that cannot be understood never will be.
    let fault = error as? HTTPFault
    let text = fault?.message ?? "\(error)"
    let isGivenUp = try await store.deferDelivery(platform, id, error: text, tryMax: fault == nil ? Self.tryMax : 1)
    logger.log(
      level: isGivenUp ? .error : .warning,
      isGivenUp ? "a webhook cannot be processed and is given up" : "a webhook cannot be processed; trying again later",
      metadata: ["platform": "\(platform.rawValue)", "delivery": "\(id)", "error": "\(text)"])
  }

  private func prune() async throws {
    while try await store.pruneDeliveries(olderThan: Self.age, limit: 1_000) == 1_000, !Task.isCancelled {}
    try await store.pruneTasks()
    try await store.pruneEvents()
  }
}
