internal import AMQPClient
package import Logging
internal import Resilience
internal import ReviewQueue
package import ReviewStore
internal import Reviews
internal import ServiceLifecycle
package import Telemetry
package import WorkerClient

/// Puts abandoned reviews on their way again. Any number may run: each review is taken by a conditional update.
package struct Reaper: Service {
  let store: ReviewStore
  let publisher: ClaimPublisher
  let worker: WorkerClient?
  let workerURL: String
  let holder: Holder.ID
  let policy: DispatchPolicy
  let metrics: BatonMetrics
  let logger: Logger
  private let interval: Duration

  /// Rows of one page: a full page is followed by the next.
  static let pageMax = 500
  /// How long a lock has to be seen free; see `Fragment.isDead` in the store.
  private static let lockFreeTime: Duration = .milliseconds(2_100)

  /// - Parameters:
  ///   - worker: nil where no worker is set: silent reviews are then left alone.
  ///   - interval: between passes of ``run()``.
  package init(
    store: ReviewStore, publisher: ClaimPublisher, worker: WorkerClient?, workerURL: String, holder: Holder.ID,
    policy: DispatchPolicy, interval: Duration, metrics: BatonMetrics, logger: Logger
  ) {
    self.store = store
    self.publisher = publisher
    self.worker = worker
    self.workerURL = workerURL
    self.holder = holder
    self.policy = policy
    self.interval = interval
    self.metrics = metrics
    self.logger = logger
  }

  /// Passes, one after another, until the service is shut down; a pass that has begun is finished.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      await PassLoop(interval: interval).run {
        let counts = try await runOnce(confirmsDeaths: false)
        if !counts.isQuiet { logger.notice("reaped", metadata: ["counts": "\(counts)"]) }
      } onFirstFailure: { error in
        logger.error("cannot reap; trying again until it works", metadata: ["error": "\(error)"])
      }
    }
  }

  /// One pass.
  /// - Parameter confirmsDeaths: whether to wait the two seconds that it takes to tell a dead holder from one whose session was
  ///   cut; a pass that is followed by another need not.
  package func runOnce(confirmsDeaths: Bool) async throws -> ReapCounts {
    // In a task of its own: what a pass has taken it also publishes, also when the caller is cancelled meanwhile.
    try await Task {
      var counts = ReapCounts()
      try await store.lookAtHolders()
      if confirmsDeaths, try await store.hasSuspects() {
        try await Task.sleep(for: Self.lockFreeTime)
        try await store.lookAtHolders()
      }
      try await republishAbandoned(&counts)
      try await reconcileSilent(&counts)
      try await store.pruneHolders()
      await publisher.finish()
      if !counts.brokerUnavailable { try await store.recordReaperRun() }
      return counts
    }.value
  }

  private func republishAbandoned(_ counts: inout ReapCounts) async throws {
    let seenAt = try await store.now()
    // What is taken must be published: nothing is taken while this process still owes tickets.
    guard publisher.room > 0, !publisher.tickets.publisher.isBlocked, let status = try? await publisher.tickets.status()
    else {
      counts.brokerUnavailable = true
      return
    }
    // Before the next page is taken as proof: the consumers' next heartbeats complete it.
    let times = policy.reapTimes
    while true {
      let limit = min(Self.pageMax, publisher.room)
      guard limit > 0 else { break }
      let reaped = try await publisher.claiming(as: holder) {
        try await store.reapAbandoned(
          times, queue: policy.queue, limit: limit, by: holder, attemptMax: policy.attemptMax)
      }
      var claims: [Claim] = []
      for item in reaped {
        switch item {
        case .republish(let claim, let reason):
          claims.append(claim)
          counts.add(reason)
          logger.info(
            "abandoned review published again",
            metadata: .review(claim.reviewID, attempt: claim.attempt, claim.trace, ["reason": "\(reason.rawValue)"]))
          if let reason = BatonMetrics.ReapReason(rawValue: reason.rawValue) { metrics.reaped(reason).increment() }
        case .failed(let id, let attempt, let trace):
          counts.exhausted += 1
          metrics.ended(.failed).increment()
          logger.error("review failed: its consumers die", metadata: .review(id, attempt: attempt, trace))
        }
      }
      _ = await publisher.publish(claims)
      guard reaped.count == limit else { break }
    }
    if status.messagesReady == 0 { try await store.recordQueueEmpty(policy.queue, since: seenAt) }
  }
}

extension ReapCounts {
  fileprivate mutating func add(_ reason: ReapReason) {
    switch reason {
    case .unpublished: unpublished += 1
    case .leaseExpired: leaseExpired += 1
    case .lost: lost += 1
    case .stale: stale += 1
    }
  }
}
