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
/// `ReviewStore.claim(limit:ownerLimit:by:looksAtDelayed:)`).
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
  /// After a pass, a depth that was read so long ago is read again, next to the wait for the next pass.
  private static let depthIsFreshFor: Duration = .seconds(1)
  /// For how long a depth that was read may be used: there is a pass in each poll interval, and a look after it.
  private var depthIsKnownFor: Duration { policy.pollInterval + Self.depthIsFreshFor }

  /// From a look for missed visits that failed to the next: each may wait for a lock.
  private static let lookAgainAfter: Duration = .seconds(30)

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

  /// What a pass is for.
  private enum Occasion {
    /// A review became due, or was written. Each delayed one notifies of its time when it is written, so this pass need not look for those.
    case notification
    /// Nothing happened for a poll interval: a pass only if something is due of which no notification came.
    case poll
    /// A time has come, or there was no chance to claim before.
    case other
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
    let room = QueueRoom(depthMax: policy.queueDepthMax)
    await withDiscardingTaskGroup { group in await claimWhenDue(room, &group) }
  }

  /// - Parameter group: what is published, and what is asked of the broker, while this goes on.
  private func claimWhenDue(_ room: QueueRoom, _ group: inout DiscardingTaskGroup) async {
    var failures = 0
    var notice = FaultNotice()
    var missed = MissedVisits(nextLook: environment.now)
    var occasion = Occasion.other
    while !Task.isCancelled {
      do {
        // What it claims is this holder's. While this process is not signed on as a holder (``HolderState``), it claims nothing; the next
        // sign-on wakes this loop.
        guard holderState.isSignedOn else {
          occasion = .other
          try await wakeup.wait(until: environment.now + policy.pollInterval)
          continue
        }
        // The first look notes the limit, before a claim by it. Later ones hold up no claim.
        if !missed.isLimitNoted { try await lookForMissedVisitsIfDue(&missed) }
        // While the broker takes nothing, rows stay pending: there they can be put in order, cancelled and counted. The reconnect wakes this
        // loop, as does the confirm of the last owed ticket.
        let canClaim = publisher.queue.isConnected && !publisher.queue.isBlocked && publisher.claimAllowance > 0
        let next = canClaim && occasion == .poll ? try await ledger.nextDue() : nil
        var isQueueFull = false
        if canClaim, next?.isNow ?? true {
          isQueueFull = try await runOnce(room, looksAtDelayed: occasion != .notification, &group)
        }
        failures = 0
        if notice.worked(at: environment.now) { logger.notice("claiming again") }
        if canClaim { lookAside(room, &group) }
        try await lookForMissedVisitsIfDue(&missed)
        occasion = try await wait(canClaim, isQueueFull: isQueueFull, next: next?.isNow == false ? next : nil)
      } catch is CancellationError {
        return
      } catch {
        if Task.isCancelled { return }
        if notice.failed("\(error)", at: environment.now) {
          logger.error("cannot claim; trying again until it works", metadata: ["error": "\(error)"])
        }
        occasion = .other
        try? await environment.sleep(
          for: DispatchPolicy.statementRetry.delay(attempt: failures, from: environment.random))
        failures += 1
      }
    }
  }

  /// Waits until there may be something to claim.
  /// - Parameters:
  ///   - canClaim: whether there was a pass.
  ///   - isQueueFull: whether more is due than the queue should take.
  ///   - next: when something comes due, if that was asked just now.
  private func wait(_ canClaim: Bool, isQueueFull: Bool, next: NextDue?) async throws -> Occasion {
    guard canClaim, !isQueueFull else {
      let wait = isQueueFull ? min(policy.pollInterval, Self.fullQueueInterval) : policy.pollInterval
      try await wakeup.wait(until: environment.now + wait)
      return .other
    }
    let delay = if let next { next.delay } else { try await ledger.nextDue().delay }
    let isDelayedNext = delay.map { $0 < policy.pollInterval } ?? false
    let dueAt = environment.now + min(policy.pollInterval, delay ?? policy.pollInterval)
    let isWoken = try await wakeup.wait(until: dueAt + .milliseconds(1))
    if !isWoken { return isDelayedNext ? .other : .poll }
    // A pass that comes shortly before looks too: were one overdue, passes that other reviews cause would otherwise leave it out.
    return dueAt - DelayedReviews.overdueWait <= environment.now ? .other : .notification
  }

  /// Claims and publishes until nothing more is due, the queue is full, or the caller is cancelled: no further batch is claimed then, and what
  /// was claimed is published.
  package func runOnce() async throws -> Pass {
    do {
      try await ledger.noteOwnerLimit(policy.ownerLimit)
    } catch  where LedgerFaultKind(of: error) != .unreachable {
      logger.error("cannot note BATON_OWNER_LIMIT; claiming by it nevertheless", metadata: ["error": "\(error)"])
    }
    let room = QueueRoom(depthMax: policy.queueDepthMax)
    let outcome = await withDiscardingTaskGroup { group in
      do {
        return Result<Bool, any Error>.success(try await runOnce(room, looksAtDelayed: true, &group))
      } catch {
        return .failure(error)
      }
    }
    _ = try outcome.get()
    await publisher.finish()
    return Pass(claimed: room.claimedCount, published: room.confirmedCount)
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

  /// One pass. It ends when its last claims are on their way to the queue, and does not wait for the confirms.
  /// - Returns: whether more is due than the queue should take.
  private func runOnce(
    _ room: QueueRoom, looksAtDelayed: Bool, _ group: inout DiscardingTaskGroup
  ) async throws -> Bool {
    var mayBeMore = true
    func claimAndPublish(limit: Int) async throws -> Int {
      try await self.claimAndPublish(limit: limit, looksAtDelayed: looksAtDelayed, room, &group)
    }
    if room.free >= Self.unaskedMax, room.isKnown(since: environment.now - depthIsKnownFor) {
      let limit = min(Self.unaskedMax, publisher.claimAllowance)
      let claimed = try await claimAndPublish(limit: limit)
      mayBeMore = claimed > 0 && claimed == limit
    }
    if mayBeMore { try await look(room) }
    while mayBeMore && room.free > 0 && !Task.isCancelled {
      mayBeMore = try await claimAndPublish(limit: min(room.free, Self.batchMax)) > 0
      // Consumers have taken tickets in the meantime.
      if room.free <= 0 { try await look(room) }
    }
    return mayBeMore && room.free <= 0
  }

  /// Claims a batch, and publishes it while the next is claimed. A claim that is made is published, even if the caller is
  /// cancelled.
  /// - Returns: how many were claimed.
  private func claimAndPublish(
    limit: Int, looksAtDelayed: Bool, _ room: QueueRoom, _ group: inout DiscardingTaskGroup
  ) async throws -> Int {
    await room.waitForBatches(fewerThan: Self.batchesInFlight)
    let claims = try await uncancelled { [self] in try await claim(limit: limit, looksAtDelayed: looksAtDelayed) }
    guard !claims.isEmpty else { return 0 }
    CrashPoint.claimed.reached()
    room.begin(claims.count)
    group.addTask { [publisher] in
      let confirmed = await uncancelled { await publisher.publish(claims) }
      room.end(claims.count, confirmed: confirmed)
    }
    return claims.count
  }

  private func claim(limit: Int, looksAtDelayed: Bool) async throws -> [Claim] {
    // Asked again for each batch: the broker may have stopped taking tickets during the pass.
    let allowed = min(limit, publisher.claimAllowance)
    guard allowed > 0, !publisher.queue.isBlocked, holderState.isSignedOn else { return [] }
    let spans = ClaimSpans()
    let claims = try await publisher.claiming(as: holder) {
      try await ledger.claim(
        limit: allowed, ownerLimit: policy.ownerLimit, by: holder, looksAtDelayed: looksAtDelayed)
    }
    spans.end(claims)
    metrics.claimed.increment(by: claims.count)
    return claims
  }

  /// Asks the broker how many messages are ready, and so how many more the work queue should take (I8). Waits first for the confirms of the
  /// tickets that are being published: so all of the room is known.
  private func look(_ room: QueueRoom) async throws {
    await room.waitForBatches(fewerThan: 1)
    try await ask(room)
  }

  private func ask(_ room: QueueRoom) async throws {
    let start = room.beginLook(at: environment.now)
    room.endLook(start, ready: try await publisher.queue.status().messagesReady)
  }

  /// Asks the broker while the loop goes on, if its last answer is old: so the next pass need not wait for one.
  private func lookAside(_ room: QueueRoom, _ group: inout DiscardingTaskGroup) {
    guard !room.isKnown(since: environment.now - Self.depthIsFreshFor), room.mayLookAside() else { return }
    group.addTask { [self] in
      defer { room.hasLookedAside() }
      do {
        try await ask(room)
      } catch {
        // A pass asks when nothing is known any more, and reports it.
        logger.debug("the queue's depth is not known", metadata: ["error": "\(error)"])
      }
    }
  }
}
