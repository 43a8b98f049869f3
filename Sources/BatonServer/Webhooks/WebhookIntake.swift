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

/// Takes webhooks: stored first, then processed, each exactly once.
///
/// The receiver processes what it has stored. If it dies before that, or has to wait for too long, ``run()`` of any
/// server does so: it looks for stored webhooks that are not processed yet. What a webhook does and that it was done are one
/// transaction, so it does not matter how many try.
package struct WebhookIntake: Service {
  private let store: ReviewStore
  private let interval: Duration
  let policy: WebhookPolicy
  private let processing: Batcher<(platform: Platform, id: String), WebhookOutcome>
  private let logger: Logger

  /// How long a request waits for another event of the same pull request, or for a row of it that another transaction has locked;
  /// then it leaves its own to ``run()``.
  private static let waitMax: Duration = .milliseconds(500)
  /// Webhooks that are processed at once. Each has a connection for itself; the callbacks need some as well.
  private static let concurrencyMax = 2
  /// How often a webhook may fail before it is given up; with the backoff, more than an hour.
  private static let tryMax = 16
  /// Webhooks of one page of ``processDue()``.
  private static let pageMax = 100
  /// How long a webhook is kept. Platforms repeat one for some days. Later than this, a repeated one is processed once more: what is older than the
  /// pull request's newest event, or of an earlier attempt, has no effect.
  private static let retention: Duration = .seconds(14 * 86_400)
  /// Between two prunes, which delete webhooks that are older than `retention`.
  private static let pruneInterval: Duration = .seconds(600)

  /// - Parameters:
  ///   - store: where the reviews are.
  ///   - policy: what the settings say about webhooks.
  ///   - interval: between looks for webhooks that were left behind.
  ///   - logger: for what it reports.
  package init(
    store: ReviewStore, policy: WebhookPolicy = WebhookPolicy(), interval: Duration = .seconds(2), logger: Logger
  ) {
    self.store = store
    self.policy = policy
    self.interval = interval
    self.logger = logger
    processing = Batcher(maxBatch: 1, lanes: Self.concurrencyMax) { webhooks in
      var results: [Result<WebhookOutcome, any Error>] = []
      for (platform, id) in webhooks {
        do {
          results.append(
            .success(try await store.process(platform, id, waitMax: Self.waitMax) { try $0.verdict(policy) }))
        } catch {
          results.append(.failure(error))
        }
      }
      return results
    }
  }

  /// The outcome of a webhook when its request is answered.
  enum Receipt: Sendable {
    case processed(WebhookOutcome)
    /// It is stored, and will be processed.
    case stored
  }

  /// Stores a webhook and processes it.
  /// - Throws: `StoreFault` if it could not be stored: the platform has to send it again; `HTTPFault` if it cannot be
  ///   understood.
  func take(_ webhook: WebhookDelivery) async throws -> Receipt {
    _ = try await store.store(webhook)
    if let reason = webhook.ignored { return .processed(.unchanged(reason, nil)) }
    do {
      let outcome = try await process(webhook.platform, webhook.id)
      log(outcome, of: webhook.platform, webhook.id, .debug, "a webhook has been processed")
      return .processed(outcome)
    } catch let fault as HTTPFault {
      // Baton could read the JSON when it came, and cannot read what Postgres makes of it (of two equal keys the last counts). The answer is the
      // same as to a webhook that cannot be read when it comes.
      try await postpone(webhook.platform, webhook.id, fault)
      throw fault
    } catch {
      logger.warning(
        "a webhook is stored, but could not be processed yet",
        metadata: ["platform": "\(webhook.platform.rawValue)", "delivery": "\(webhook.id)", "error": "\(error)"])
      return .stored
    }
  }

  private func process(_ platform: Platform, _ id: String) async throws -> WebhookOutcome {
    let start = SpanStart.now
    let outcome = try await processing.submit((platform, id))
    if case .reviewMadePending(let review, let attempt, let trace) = outcome {
      recordSpan(
        .processWebhook, in: trace, since: start,
        .review(review, attempt: attempt).with([SpanKey.platform: .string(platform.rawValue)]))
    }
    return outcome
  }

  /// Processes what was left behind, until the service is shut down.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      var nextPrune = ContinuousClock.now
      await PeriodicLoop(interval: interval).run {
        try await processDue()
        guard nextPrune <= .now else { return }
        try await prune()
        nextPrune = .now + Self.pruneInterval
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
      // Those that others have in hand stay due until they are done.
      var areAllRepeated = true
      for (platform, id) in due {
        do {
          let outcome = try await process(platform, id)
          guard outcome != .repeated else { continue }
          areAllRepeated = false
          log(outcome, of: platform, id, .notice, "a webhook that was left behind has been processed")
        } catch {
          areAllRepeated = false
          try await postpone(platform, id, error)
        }
      }
      guard due.count == Self.pageMax, !areAllRepeated, !Task.isCancelled else { return }
    }
  }

  private func log(
    _ outcome: WebhookOutcome, of platform: Platform, _ id: String, _ level: Logger.Level, _ message: Logger.Message
  ) {
    let metadata: Logger.Metadata = [
      "platform": "\(platform.rawValue)", "delivery": "\(id)", "outcome": "\(outcome.text)",
    ]
    guard case .reviewMadePending(let review, let attempt, let trace) = outcome else {
      return logger.log(level: level, message, metadata: metadata)
    }
    logger.log(level: level, message, metadata: .review(review, attempt: attempt, trace, metadata))
  }

  private func postpone(_ platform: Platform, _ id: String, _ error: any Error) async throws {
    // A payload that cannot be understood never will be.
    let fault = error as? HTTPFault
    let text = fault?.message ?? "\(error)"
    let isGivenUp = try await store.deferDelivery(
      platform, id, error: text, tryMax: fault == nil ? Self.tryMax(error) : 1)
    logger.log(
      level: isGivenUp ? .error : .warning,
      isGivenUp ? "a webhook cannot be processed and is given up" : "a webhook cannot be processed; trying again later",
      metadata: ["platform": "\(platform.rawValue)", "delivery": "\(id)", "error": "\(text)"])
  }

  /// - Returns: nil for locks and outages, which say nothing about the delivery: however long they last, it is processed when they are over.
  private static func tryMax(_ error: any Error) -> Int? {
    switch error {
    case is CancellationError: nil
    case let fault as any StoreFault
    where fault.isTransient || [.timeout, .lostRace, .cancelled, .noConnection, .noSession].contains(fault.cause):
      nil
    default: tryMax
    }
  }

  private func prune() async throws {
    while try await store.pruneDeliveries(olderThan: Self.retention, limit: 1_000) == 1_000, !Task.isCancelled {}
    try await store.pruneTasks()
    try await store.pruneEvents()
  }
}
