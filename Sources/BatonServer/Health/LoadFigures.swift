internal import Primitives
internal import Resilience
package import ReviewStore
internal import Reviews
package import Telemetry

/// The source of the figures of `/api/stats` and of the load's gauges: the database, and the broker if it answers.
package struct LoadFigures: Sendable {
  private let store: ReviewStore
  private let heartbeatTimeout: Duration
  private let ownerLimit: Int
  private let queueStats: @Sendable () async -> QueueFigures?

  /// How long a scrape waits for the database and the broker; Prometheus gives up after ten seconds.
  static let scrapeTimeout = Duration.seconds(3)

  /// - Parameters:
  ///   - store: where the reviews are.
  ///   - heartbeatTimeout: `BATON_LEASE`.
  ///   - ownerLimit: `BATON_OWNER_LIMIT`.
  ///   - queueStats: nil if the broker cannot be reached; bounds its own time.
  package init(
    store: ReviewStore, heartbeatTimeout: Duration, ownerLimit: Int,
    queueStats: @escaping @Sendable () async -> QueueFigures?
  ) {
    self.store = store
    self.heartbeatTimeout = heartbeatTimeout
    self.ownerLimit = ownerLimit
    self.queueStats = queueStats
  }

  /// All figures of now, and what holds reviews back.
  /// - Throws: `StoreFault`.
  package func stats() async throws -> StatsBody {
    async let queue = queueStats()
    let stored = try await store.stats(heartbeatTimeout: heartbeatTimeout)
    let health = try await health(stored, withUndelivered: true)
    return StatsBody(store: stored, queue: await queue, health: health)
  }

  /// Processes that are read; fewer are shown.
  private static let holderCountMax = 1_000

  /// How the system is.
  /// - Parameters:
  ///   - stats: of now; nil reads them.
  ///   - withUndelivered: whether also `Undelivered` is read: people see it, and for metrics it is counted. What the account of a role may not
  ///     read is left out.
  /// - Throws: `StoreFault`.
  package func health(_ stats: StoreStats? = nil, withUndelivered: Bool = false) async throws -> SystemHealth {
    async let undelivered = withUndelivered ? try? store.undelivered() : nil
    async let holders = store.holders(heartbeatTimeout: heartbeatTimeout, limit: Self.holderCountMax)
    async let capacity = store.capacityStats(ownerLimit: ownerLimit)
    async let now = store.now()
    let live: StoreStats
    if let stats { live = stats } else { live = try await store.liveStats(heartbeatTimeout: heartbeatTimeout) }
    return SystemHealth(
      now: try await now, holders: try await holders, stats: live, capacity: try await capacity,
      undelivered: await undelivered ?? Undelivered())
  }

  /// Adds what holds reviews back to `/readyz`. It informs only: a process that is taken out for what is outside of it helps no one.
  package func inform(_ readiness: Readiness) {
    readiness.register("dispatch", isRequired: false) {
      // Without Postgres nothing is known, which a check of its own says.
      guard let worst = try? await self.health().findings.first, worst.grade == .bad else { return nil }
      return worst.reason.map { "\(worst.title): \($0)" } ?? worst.title
    }
  }

  /// What the broker says; nil if it does not answer.
  func queue() async -> QueueFigures? { await within(Self.scrapeTimeout) { await queueStats() } }

  /// Sets the gauges; what cannot be asked now is not shown until it can. For `PrometheusRegistry.onCollect`.
  package func measure(into metrics: BatonMetrics) async {
    async let queue = queue()
    async let known = within(Self.scrapeTimeout) { try? await self.health() }
    async let backlog = within(Self.scrapeTimeout) { try? await store.backlog() }
    async let counts = within(Self.scrapeTimeout) { try? await store.counts() }
    async let events = within(Self.scrapeTimeout) { try? await store.eventBacklog() }
    set(metrics, queue: await queue)
    let health = await known
    set(metrics, stored: health?.stats)
    set(metrics, capacity: health?.capacity)
    set(metrics, health: health)
    set(metrics, backlog: await backlog)
    set(metrics, events: await events)
    if let counts = await counts { set(metrics, counts: counts) }
  }

  private func set(_ metrics: BatonMetrics, queue: QueueFigures?) {
    guard let queue else {
      for gauge in [metrics.queueMessagesReady, metrics.queueConsumers, metrics.deadMessages] { gauge.unset() }
      return
    }
    metrics.queueMessagesReady.set(queue.ready)
    metrics.queueConsumers.set(queue.consumers)
    metrics.deadMessages.set(queue.dead)
  }

  private func set(_ metrics: BatonMetrics, stored: StoreStats?) {
    guard let stored else {
      for gauge in [metrics.queueMessagesUnacked, metrics.oldestPendingSeconds, metrics.oldestQueuedSeconds] {
        gauge.unset()
      }
      for status in BatonMetrics.ActiveStatus.allCases { metrics.reviews(status).unset() }
      return
    }
    metrics.queueMessagesUnacked.set(stored.unacknowledged)
    metrics.oldestPendingSeconds.set(seconds: stored.oldestPending ?? .zero)
    metrics.oldestQueuedSeconds.set(seconds: stored.oldestQueued ?? .zero)
    metrics.reviews(.pending).set(stored.counts[.pending] ?? 0)
    metrics.reviews(.queued).set(stored.counts[.queued] ?? 0)
    metrics.reviews(.running).set(stored.counts[.running] ?? 0)
  }
}

extension LoadFigures {
  private func set(_ metrics: BatonMetrics, capacity: CapacityStats?) {
    guard let capacity else {
      for gauge in [metrics.oldestClaimableSeconds, metrics.oldestRunningSeconds, metrics.reaperLastRun] {
        gauge.unset()
      }
      for reason in BatonMetrics.HoldReason.allCases { metrics.heldBack(reason).unset() }
      return
    }
    metrics.oldestClaimableSeconds.set(seconds: capacity.oldestClaimable ?? .zero)
    metrics.oldestRunningSeconds.set(seconds: capacity.oldestRunning ?? .zero)
    metrics.heldBack(.ownerLimit).set(capacity.heldByLimit)
    metrics.heldBack(.paused).set(capacity.heldByPause)
    if let lastRun = capacity.reaperLastRun {
      metrics.reaperLastRun.set(Double(lastRun.microseconds) / 1e6)
    } else {
      metrics.reaperLastRun.unset()
    }
  }
}

extension LoadFigures {
  private func set(_ metrics: BatonMetrics, health: SystemHealth?) {
    guard let health else {
      metrics.dispatchStalledSeconds.unset()
      for cause in BatonMetrics.FaultCause.allCases { metrics.processFaults(cause).unset() }
      return
    }
    metrics.dispatchStalledSeconds.set(seconds: health.stalledFor ?? .zero)
    let counts = Dictionary(
      health.holders.flatMap { holder in Set(holder.health.faults.map(\.cause.rawValue)).map { ($0, 1) } },
      uniquingKeysWith: +)
    for cause in BatonMetrics.FaultCause.allCases { metrics.processFaults(cause).set(counts[cause.rawValue] ?? 0) }
  }

  private func set(_ metrics: BatonMetrics, backlog: Backlog?) {
    for (gauge, count) in [
      (metrics.cancelsUndelivered, backlog?.cancels), (metrics.webhooksUnprocessed, backlog?.webhooks),
      (metrics.feedbackUndelivered, backlog?.feedback), (metrics.feedbackGivenUp, backlog?.feedbackGivenUp),
    ] {
      if let count { gauge.set(count) } else { gauge.unset() }
    }
    for (gauge, age) in [
      (metrics.oldestFeedbackSeconds, backlog?.oldestFeedback), (metrics.oldestWebhookSeconds, backlog?.oldestWebhook),
    ] {
      if backlog != nil { gauge.set(seconds: age ?? .zero) } else { gauge.unset() }
    }
  }
}

extension LoadFigures {
  private func set(_ metrics: BatonMetrics, events: EventBacklog?) {
    guard let events else {
      for gauge in [
        metrics.eventsUndelivered, metrics.oldestEventSeconds, metrics.eventsGivenUp, metrics.endpointsFailing,
      ] { gauge.unset() }
      return
    }
    metrics.eventsUndelivered.set(events.undelivered)
    metrics.oldestEventSeconds.set(seconds: events.oldest ?? .zero)
    metrics.eventsGivenUp.set(events.givenUp)
    metrics.endpointsFailing.set(events.failingEndpoints)
  }
}

extension LoadFigures {
  /// What cannot be read stays as it was last seen: a count only grows.
  private func set(_ metrics: BatonMetrics, counts: ReviewCounts) {
    metrics.reviewsCompleted.set(counts.completed)
    for code in BatonMetrics.FailureCode.allCases where code != .other {
      metrics.reviewsFailed(code).set(counts.failed[code.rawValue] ?? 0)
    }
    let other = counts.failed.filter { BatonMetrics.FailureCode(rawValue: $0.key) ?? .other == .other }
    metrics.reviewsFailed(.other).set(other.values.reduce(0.0) { $0 + Double($1) })
    for reason in ReapReason.allCases {
      metrics.reviewsReaped(reason).set(counts.reaped[reason.rawValue] ?? 0)
    }
    metrics.cancelsGivenUp.set(counts.cancelsGivenUp)
    metrics.webhooksGivenUp.set(counts.webhooksGivenUp)
    for finding in BatonMetrics.CatchUpFinding.allCases {
      metrics.caughtUp(finding).set(counts.caughtUp[finding.rawValue] ?? 0)
    }
    for result in BatonMetrics.ReconcileResult.allCases {
      metrics.reviewsReconciled(result).set(counts.reconciled[result.rawValue] ?? 0)
    }
  }
}
