internal import CrashPoints
package import Logging
package import Resilience
internal import ReviewQueue
package import ReviewStore
internal import ServiceLifecycle
package import Telemetry

/// Claims due reviews under their owners' limits and publishes a ticket for each.
///
/// A claim looks at the owners that have a visit: a row of `baton_visits`, which says that an owner may have something to claim (see
/// `ReviewStore.claim(limit:ownerLimit:by:)`).
package final class Producer: Service {
  private let ledger: any ReviewLedger
  private let publisher: ClaimPublisher
  private let holder: Holder.ID
  private let holderState: HolderState
  private let wakeup: Wakeup
  private let policy: DispatchPolicy
  private let environment: DispatchEnvironment
  private let metrics: BatonMetrics
  private let logger: Logger

  /// Rows of one pass: large enough that the round trip does not count, small enough that others get a turn.
  private static let batchMax = 1_000
  /// Batches whose confirms may be outstanding while the next is claimed.
  private static let batchesInFlight = 4
  /// How soon the queue's depth is read again if it was full and more is due: consumers take a thousand tickets in a third of a second.
  private static let fullQueueInterval: Duration = .milliseconds(100)
  /// The most rows that a pass claims by a depth that was read earlier: a single review costs no question to the broker, and does not wait for
  /// one.
  private static let unaskedMax = 20
  /// For how long a depth that was read may be used so.
  private static let depthIsKnownFor: Duration = .seconds(1)

  /// From a look for missed visits that failed to the next: each may wait for a lock.
  private static let lookAgainAfter: Duration = .seconds(30)

  /// The waits while nothing can be claimed.
  private static let retry = Backoff(base: .milliseconds(100), max: .seconds(5))

  package init(
    ledger: any ReviewLedger, publisher: ClaimPublisher, holder: Holder.ID, holderState: HolderState, wakeup: Wakeup,
    policy: DispatchPolicy, environment: DispatchEnvironment = DispatchEnvironment(), metrics: BatonMetrics,
    logger: Logger
  ) {
    self.ledger = ledger
    self.publisher = publisher
    self.holder = holder
    self.holderState = holderState
    self.wakeup = wakeup
    self.policy = policy
    self.environment = environment
    self.metrics = metrics
    self.logger = logger
  }

  /// What a pass did.
  package struct Pass: Sendable, Codable, Equatable {
    package var claimed = 0
    package var published = 0
  }

  /// Claims and publishes whenever something is due, until the service is shut down. No further batch is claimed then; what was
  /// claimed is published.
  package func run() async throws {
    publisher.wakeWhenReady(wakeup)
    await cancelWhenGracefulShutdown { [self] in
      await withTaskExecutorPreference(environment.executor) { await claimWhenDue() }
    }
    await publisher.finish()
  }

  private func claimWhenDue() async {
    var failures = 0
    var notice = FaultNotice()
    var depth = QueueDepth()
    var missed = MissedVisits(nextLook: environment.now)
    while !Task.isCancelled {
      do {
        // What it claims is this holder's. While this process is not signed on as a holder (``HolderState``), it claims nothing; the next
        // sign-on wakes this loop.
        guard holderState.isSignedOn else {
          try await wakeup.wait(until: environment.now + policy.pollInterval)
          continue
        }
        try await lookForMissedVisitsIfDue(&missed)
        // Without a connection to the broker, and while tickets are owed, nothing is claimed. The reconnect wakes this loop, as does the confirm
        // of the last owed ticket.
        if publisher.queue.isConnected, publisher.claimAllowance > 0 { _ = try await runOnce(&depth) }
        failures = 0
        if notice.worked(at: environment.now) { logger.notice("claiming again") }
        if depth.limitsClaims {
          try await wakeup.wait(until: environment.now + min(policy.pollInterval, Self.fullQueueInterval))
        } else {
          let due = try await ledger.timeUntilNextDue() ?? policy.pollInterval
          try await wakeup.wait(until: environment.now + min(policy.pollInterval, due + .milliseconds(1)))
        }
      } catch is CancellationError {
        return
      } catch {
        if Task.isCancelled { return }
        if notice.failed("\(error)", at: environment.now) {
          logger.error("cannot claim; trying again until it works", metadata: ["error": "\(error)"])
        }
        try? await environment.sleep(for: Self.retry.delay(attempt: failures, from: environment.random))
        failures += 1
      }
    }
  }

  /// Claims and publishes until nothing more is due, the queue is full, or the caller is cancelled: no further batch is claimed then, and what
  /// was claimed is published.
  package func runOnce() async throws -> Pass {
    do {
      try await ledger.noteOwnerLimit(policy.ownerLimit)
    } catch  where LedgerFaultKind(of: error) != .unreachable {
      logger.error("cannot note BATON_OWNER_LIMIT; claiming by it nevertheless", metadata: ["error": "\(error)"])
    }
    var depth = QueueDepth()
    let pass = try await runOnce(&depth)
    await publisher.finish()
    return pass
  }

  /// What is known of the work queue's depth from pass to pass.
  private struct QueueDepth {
    /// How many more messages the queue should take (I8); none before its depth was read.
    var free = 0
    var readAt: ContinuousClock.Instant?
    /// Whether more was due than the queue should take.
    var limitsClaims = false
  }

  /// Up to which owner it was checked that each one with something to claim has a visit.
  private struct MissedVisits {
    var isLimitNoted = false
    var nextLook: ContinuousClock.Instant
    var end: OwnerKey?
    var notice = FaultNotice()
  }

  /// The last resort, which holds up no claim: a look that fails, as because of one owner's row, is repeated later.
  /// - Throws: if the ledger does not answer.
  private func lookForMissedVisitsIfDue(_ missed: inout MissedVisits) async throws {
    guard missed.nextLook <= environment.now else { return }
    do {
      try await lookForMissedVisits(&missed)
      _ = missed.notice.worked(at: environment.now)
    } catch  where LedgerFaultKind(of: error) != .unreachable && !Task.isCancelled {
      missed.nextLook = environment.now + max(policy.pollInterval, Self.lookAgainAfter)
      if missed.notice.failed("\(error)", at: environment.now) {
        logger.error(
          "cannot look for owners that were not visited; claims go on, and it is tried again later",
          metadata: ["error": "\(error)"])
      }
    }
  }

  /// Notes the limit that this process claims by; then looks at a page of owners per poll interval.
  private func lookForMissedVisits(_ missed: inout MissedVisits) async throws {
    if !missed.isLimitNoted {
      try await ledger.noteOwnerLimit(policy.ownerLimit)
      missed.isLimitNoted = true
    }
    let page = try await ledger.visitMissed(after: missed.end, ownerLimit: policy.ownerLimit)
    missed.end = page.end
    missed.nextLook = environment.now + policy.pollInterval
    if page.found > 0 {
      logger.warning(
        "owners had reviews to claim and no visit; were rows written without the triggers? Claiming them now",
        metadata: ["owners": "\(page.found)"])
    }
  }

  private func runOnce(_ depth: inout QueueDepth) async throws -> Pass {
    var pass = Pass()
    try await withThrowingTaskGroup(of: Int.self) { group in
      var inFlight = 0
      var mayBeMore = true
      if let readAt = depth.readAt, readAt + Self.depthIsKnownFor > environment.now, depth.free >= Self.unaskedMax {
        pass.claimed = try await claimAndPublish(limit: Self.unaskedMax, &group)
        depth.free -= pass.claimed
        inFlight = 1
        mayBeMore = pass.claimed == Self.unaskedMax
      }
      if mayBeMore {
        pass.published += try await readFreeDepth(&depth, after: &group)
        inFlight = 0
      }
      while mayBeMore && depth.free > 0 && !Task.isCancelled {
        let claimed = try await claimAndPublish(limit: min(depth.free, Self.batchMax), &group)
        pass.claimed += claimed
        depth.free -= claimed
        inFlight += 1
        mayBeMore = claimed > 0
        if inFlight == Self.batchesInFlight {
          pass.published += try await group.next() ?? 0
          inFlight -= 1
        }
        // Consumers have taken tickets in the meantime.
        if depth.free <= 0 {
          pass.published += try await readFreeDepth(&depth, after: &group)
          inFlight = 0
        }
      }
      depth.limitsClaims = mayBeMore && depth.free <= 0
      for try await confirmed in group { pass.published += confirmed }
    }
    return pass
  }

  /// Claims a batch, and publishes it while the next is claimed. A claim that is made is published, even if the caller is
  /// cancelled.
  /// - Returns: how many were claimed.
  private func claimAndPublish(limit: Int, _ group: inout ThrowingTaskGroup<Int, any Error>) async throws -> Int {
    let claims = try await uncancelled { [self] in try await claim(limit: limit) }
    if !claims.isEmpty { CrashPoint.claimed.reached() }
    group.addTask { [publisher] in await uncancelled { await publisher.publish(claims) } }
    return claims.count
  }

  private func claim(limit: Int) async throws -> [Claim] {
    // While the broker takes nothing, rows stay pending: there they can be put in order, cancelled and counted.
    let allowed = min(limit, publisher.claimAllowance)
    guard allowed > 0, !publisher.queue.isBlocked, holderState.isSignedOn else { return [] }
    let spans = ClaimSpans()
    let claims = try await publisher.claiming(as: holder) {
      try await ledger.claim(limit: allowed, ownerLimit: policy.ownerLimit, by: holder)
    }
    spans.end(claims)
    metrics.claimed.increment(by: claims.count)
    return claims
  }

  /// Asks the broker how many messages are ready, and so how many more the work queue should take (I8). Waits first for the confirms of the
  /// tickets that are being published: the broker would not count these yet.
  /// - Returns: how many tickets were confirmed.
  private func readFreeDepth(
    _ depth: inout QueueDepth, after publishing: inout ThrowingTaskGroup<Int, any Error>
  ) async throws -> Int {
    var confirmed = 0
    for try await count in publishing { confirmed += count }
    depth.free = policy.queueDepthMax - (try await publisher.queue.status().messagesReady)
    depth.readAt = environment.now
    return confirmed
  }
}
