internal import AMQPClient
package import Logging
package import Resilience
package import ReviewQueue
package import ReviewStore
internal import Reviews
package import Telemetry

/// Publishes claims and settles what became of each: the second half of a claim, whoever made it.
package struct ClaimPublisher: Sendable {
  package let tickets: TicketPublisher
  private let store: ReviewStore
  private let publications: PublicationLog
  private let metrics: BatonMetrics
  private let retry: Backoff
  private let logger: Logger

  package init(
    tickets: TicketPublisher, store: ReviewStore, metrics: BatonMetrics, retry: Backoff, logger: Logger
  ) {
    self.tickets = tickets
    self.store = store
    publications = PublicationLog(store: store, logger: logger)
    self.metrics = metrics
    self.retry = retry
    self.logger = logger
  }

  /// Publishes a batch with all confirms in flight. Confirmed: recorded as published, a little later. Provably not taken: pending again.
  /// Unknown: left as it is, for the reaper.
  /// - Returns: how many were confirmed.
  package func publish(_ claims: [Claim]) async -> Int {
    guard !claims.isEmpty else { return 0 }
    let start = ContinuousClock.now
    let outcomes = await tickets.publish(claims.map { ($0.ticket, $0.trace) })
    let elapsed = ContinuousClock.now - start
    var confirmed: [Claim] = []
    var refused: [Claim] = []
    var fault: PublishOutcome?
    for (claim, outcome) in zip(claims, outcomes) {
      switch outcome {
      case .confirmed:
        confirmed.append(claim)
        logger.debug("ticket published", metadata: .review(claim.reviewID, attempt: claim.attempt, claim.trace))
        metrics.publishConfirmSeconds.record(seconds: elapsed)
      case .nacked, .returned, .notSent:
        refused.append(claim)
        fault = outcome
      case .unknown: fault = outcome
      }
      metrics.published(outcome.metric).increment()
    }
    if let fault {
      logger.warning(
        "\(claims.count - confirmed.count) of \(claims.count) tickets were not confirmed",
        metadata: ["outcome": "\(fault)", "pending_again": "\(refused.count)"])
    }
    await settle(confirmed: confirmed, refused: refused)
    return confirmed.count
  }

  private func settle(confirmed: [Claim], refused: [Claim]) async {
    publications.add(confirmed)
    do {
      try await store.unclaim(
        refused, reason: "the broker did not take the ticket", retryAfter: retry.delay(attempt: 0))
    } catch {
      logger.error(
        "claims not given back; the reaper publishes them",
        metadata: ["count": "\(refused.count)", "error": "\(error)"])
    }
  }

  /// Returns when everything that was published is recorded, or cannot be.
  package func finish() async { await publications.finish() }
}

extension PublishOutcome {
  fileprivate var metric: BatonMetrics.PublishResult {
    switch self {
    case .confirmed: .confirmed
    case .nacked: .nacked
    case .returned: .returned
    case .unknown, .notSent: .failed
    }
  }
}
