internal import CrashPoints
internal import Logging
internal import Primitives
internal import Resilience
internal import ReviewQueue
internal import ReviewStore
internal import Reviews
internal import Telemetry

/// Recovers what was abandoned: claims without a publish, ended leases, lost and stale tickets. Bounded in its time: it talks to Postgres,
/// on a connection of its own with a deadline for each statement, and to the broker, and to nothing else.
final class Recovery: Sendable {
  private let ledger: any ReviewLedger
  private let publisher: ClaimPublisher
  private let publishing: PagePublisher
  private let holder: Holder.ID
  private let holderState: HolderState
  private let policy: DispatchPolicy
  private let environment: DispatchEnvironment
  private let metrics: BatonMetrics
  private let logger: Logger

  /// Rows of one page: a full page is followed by the next.
  private static let pageMax = 500
  /// How soon to look again at the latest while a holder is missed, or after a pass that has taken something: more often follows, as leases end
  /// one after another when the worker was away.
  private static let busyInterval: Duration = .milliseconds(500)
  /// How soon to look again at a broker that could not be reached.
  private static let brokerInterval: Duration = .seconds(1)
  /// How often to look for holders that have been silent for an hour.
  private static let pruneInterval: Duration = .seconds(60)

  init(_ dependencies: Reaper.Dependencies, holder: Holder.ID, policy: DispatchPolicy, logger: Logger) {
    ledger = dependencies.recoveryLedger
    publisher = dependencies.publisher
    publishing = PagePublisher(publisher)
    self.holder = holder
    holderState = dependencies.holderState
    self.policy = policy
    environment = dependencies.environment
    metrics = dependencies.metrics
    self.logger = logger
  }

  /// Passes, one after another, until the task is cancelled; a pass that has begun is finished.
  func run(every interval: Duration, _ wakeup: Wakeup) async {
    var prunesAt = environment.now
    await PeriodicLoop(interval: interval, wakeup: wakeup, random: environment.random).runPaced(
      {
        // What it takes is this holder's. While this process is not signed on as a holder, it takes nothing.
        guard holderState.isSignedOn else { return min(interval, Self.brokerInterval) }
        let prunesHolders = prunesAt <= environment.now
        if prunesHolders { prunesAt = environment.now + Self.pruneInterval }
        let (counts, untilSure) = try await uncancelled { [self] in try await pass(prunesHolders: prunesHolders) }
        if !counts.isQuiet { logger.notice("reaped", metadata: ["counts": "\(counts)"]) }
        if let untilSure { return MissedHolders.nextLook(untilSure, atMost: Self.busyInterval) }
        if counts.brokerUnavailable { return Self.brokerInterval }
        return counts.isQuiet ? interval : min(interval, Self.busyInterval)
      },
      onNewFailure: { error in
        logger.error(
          "cannot recover abandoned reviews; trying again every second until it works",
          metadata: ["error": "\(error)"])
      })
  }

  /// One pass, which also waits for the few seconds that it takes to distinguish a dead holder from one whose session was cut.
  func runOnce() async throws -> ReapCounts {
    try await ledger.lookAtHolders()
    if let wait = try await ledger.timeUntilDeathsAreSure(heartbeatTimeout: policy.heartbeatTimeout) {
      try await environment.sleep(for: wait + .milliseconds(100))
    }
    return try await uncancelled { [self] in try await pass(prunesHolders: true).counts }
  }

  /// Returns when everything that was taken is published and recorded, or cannot be.
  func finish() async { await publishing.finish() }

  /// - Parameter prunesHolders: whether those are removed that have been silent for an hour.
  /// - Returns: what was done, and when the death of a holder that is missed becomes sure.
  private func pass(prunesHolders: Bool) async throws -> (counts: ReapCounts, untilSure: Duration?) {
    var counts = ReapCounts()
    var failure: (any Error)?
    // What the ledger refuses here, for example because of a lock, ends only this step.
    func step<Result>(_ body: () async throws -> Result) async throws -> Result? {
      do {
        return try await body()
      } catch let error as any LedgerFault where error.faultKind != .unreachable {
        failure = failure ?? error
        return nil
      }
    }
    let untilSure = try await step {
      try await ledger.lookAtHolders()
      return try await ledger.timeUntilDeathsAreSure(heartbeatTimeout: policy.heartbeatTimeout)
    }
    // Before the broker is asked: an empty queue proves something about what was opened by then.
    let calls = try await step {
      try await ledger.openRollCall(policy.queue, heartbeatTimeout: policy.heartbeatTimeout)
    }
    if let ready = await messagesReady() {
      _ = try await step {
        try await ledger.seeRollCalls(calls ?? [], isQueueEmpty: ready == 0, heartbeatTimeout: policy.heartbeatTimeout)
      }
      _ = try await step {
        try await republishAbandoned(&counts)
        try await ledger.recordReaperRun()
      }
    } else {
      counts.brokerUnavailable = true
    }
    _ = try await step { try await ledger.pruneRollCalls() }
    if prunesHolders { _ = try await step { try await ledger.pruneHolders() } }
    if let failure { throw failure }
    return (counts, untilSure ?? nil)
  }

  /// - Returns: nil if the broker cannot be reached, or takes nothing.
  private func messagesReady() async -> Int? {
    guard !publisher.queue.isBlocked else { return nil }
    return try? await publisher.queue.status().messagesReady
  }

  private func republishAbandoned(_ counts: inout ReapCounts) async throws {
    while true {
      // What is taken must be published: nothing is taken while this process still owes tickets.
      let limit = min(Self.pageMax, publisher.claimAllowance)
      guard limit > 0 else { return }
      let reaped = try await publisher.claiming(as: holder) {
        try await ledger.reapAbandoned(
          policy.reapTimes, queue: policy.queue, limit: limit, by: holder, failureMax: policy.failureMax)
      }
      var claims: [Claim] = []
      for item in reaped {
        switch item {
        case .republish(let claim, let reason):
          claims.append(claim)
          note(claim, reason, &counts)
        case .failed(let id, let attempt, let trace):
          counts.exhausted += 1
          metrics.ended(.failed).increment()
          logger.error("review failed: its consumers die", metadata: .review(id, attempt: attempt, trace))
        }
      }
      if !claims.isEmpty { CrashPoint.reaped.reached() }
      await publishing.begin(claims)
      guard reaped.count == limit else { return }
    }
  }

  private func note(_ claim: Claim, _ reason: ReapReason, _ counts: inout ReapCounts) {
    counts.add(reason)
    metrics.reaped(reason).increment()
    logger.info(
      "abandoned review taken; publishing it again",
      metadata: .review(claim.reviewID, attempt: claim.attempt, claim.trace, ["reason": "\(reason.rawValue)"]))
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
