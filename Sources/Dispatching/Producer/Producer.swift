internal import CrashPoints
package import Logging
package import Resilience
internal import ReviewQueue
package import ReviewStore
internal import ServiceLifecycle
package import Telemetry

/// Claims due reviews under their owners' limits and publishes a ticket for each.
package struct Producer: Service {
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
  /// How soon a queue that was full is looked at again while more is due: consumers take a thousand tickets in a third of a second.
  private static let fullQueueInterval: Duration = .milliseconds(100)
  /// Rows claimed by an earlier answer of how full the queue is: a single review costs no question, and does not wait for one.
  private static let unaskedMax = 20
  /// How long such an answer is good for.
  private static let roomIsKnownFor: Duration = .seconds(1)

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

  /// Claims and publishes whenever something is due, until the service is shut down; a pass that has begun is finished.
  package func run() async throws {
    publisher.wakeWhenReady(wakeup)
    await cancelWhenGracefulShutdown {
      await withTaskExecutorPreference(environment.executor) { await claimWhenDue() }
    }
    await publisher.finish()
  }

  private func claimWhenDue() async {
    var failures = 0
    var notice = FaultNotice()
    var queue = QueueRoom()
    var missed = MissedVisits(nextLook: environment.now)
    while !Task.isCancelled {
      do {
        // What it claims is this holder's; without a session it claims nothing. The next sign-on wakes.
        guard holderState.isSignedOn else {
          try await wakeup.wait(until: environment.now + policy.pollInterval)
          continue
        }
        try await lookForMissedVisits(&missed)
        // Without a connection, and while tickets are owed, nothing is claimed. The reconnect wakes this loop, as does the last owed ticket.
        if publisher.queue.isConnected, publisher.room > 0 { _ = try await runOnce(&queue) }
        failures = 0
        if notice.worked(at: environment.now) { logger.notice("claiming again") }
        if queue.isInTheWay {
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

  /// Claims and publishes until nothing more is due, the queue is full, or the caller is cancelled.
  package func runOnce() async throws -> Pass {
    try await ledger.noteOwnerLimit(policy.ownerLimit)
    var queue = QueueRoom()
    let pass = try await runOnce(&queue)
    await publisher.finish()
    return pass
  }

  /// What is known of the queue from pass to pass.
  private struct QueueRoom {
    /// How many more messages it should hold (I8); none before it was asked.
    var count = 0
    var askedAt: ContinuousClock.Instant?
    /// Whether more was due than it had room for.
    var isInTheWay = false
  }

  /// How far the look for missed visits has come.
  private struct MissedVisits {
    var isLimitNoted = false
    var nextLook: ContinuousClock.Instant
    var end: OwnerKey?
  }

  /// Notes the limit that this process claims by; then looks at a page of owners per poll interval.
  private func lookForMissedVisits(_ missed: inout MissedVisits) async throws {
    guard missed.nextLook <= environment.now else { return }
    if !missed.isLimitNoted {
      try await ledger.noteOwnerLimit(policy.ownerLimit)
      missed.isLimitNoted = true
    }
    let page = try await ledger.visitMissed(after: missed.end, ownerLimit: policy.ownerLimit)
    missed.end = page.end
    missed.nextLook = environment.now + policy.pollInterval
    if page.found > 0 {
      logger.warning(
        "owners had reviews to claim that no event had announced; were rows written without the triggers? Claiming them now",
        metadata: ["owners": "\(page.found)"])
    }
  }

  private func runOnce(_ queue: inout QueueRoom) async throws -> Pass {
    var pass = Pass()
    try await withThrowingTaskGroup(of: Int.self) { group in
      var inFlight = 0
      var mayBeMore = true
      if let askedAt = queue.askedAt, askedAt + Self.roomIsKnownFor > environment.now, queue.count >= Self.unaskedMax {
        pass.claimed = try await claimAndPublish(limit: Self.unaskedMax, &group)
        queue.count -= pass.claimed
        inFlight = 1
        mayBeMore = pass.claimed == Self.unaskedMax
      }
      if mayBeMore {
        pass.published += try await askForRoom(&queue, after: &group)
        inFlight = 0
      }
      while mayBeMore && queue.count > 0 && !Task.isCancelled {
        let claimed = try await claimAndPublish(limit: min(queue.count, Self.batchMax), &group)
        pass.claimed += claimed
        queue.count -= claimed
        inFlight += 1
        mayBeMore = claimed > 0
        if inFlight == Self.batchesInFlight {
          pass.published += try await group.next() ?? 0
          inFlight -= 1
        }
        // Consumers have taken from it in the meantime.
        if queue.count <= 0 {
          pass.published += try await askForRoom(&queue, after: &group)
          inFlight = 0
        }
      }
      queue.isInTheWay = mayBeMore && queue.count <= 0
      for try await confirmed in group { pass.published += confirmed }
    }
    return pass
  }

  /// Claims a batch, and publishes it while the next is claimed. A claim that is made is published, even if the caller is
  /// cancelled.
  /// - Returns: how many were claimed.
  private func claimAndPublish(limit: Int, _ group: inout ThrowingTaskGroup<Int, any Error>) async throws -> Int {
    let claims = try await uncancelled { try await claim(limit: limit) }
    if !claims.isEmpty { CrashPoint.claimed.reached() }
    group.addTask { await uncancelled { await publisher.publish(claims) } }
    return claims.count
  }

  private func claim(limit: Int) async throws -> [Claim] {
    // While the broker takes nothing, rows stay pending: there they can be put in order, cancelled and counted.
    let room = min(limit, publisher.room)
    guard room > 0, !publisher.queue.isBlocked, holderState.isSignedOn else { return [] }
    let spans = ClaimSpans()
    let claims = try await publisher.claiming(as: holder) {
      try await ledger.claim(limit: room, ownerLimit: policy.ownerLimit, by: holder)
    }
    spans.end(claims)
    metrics.claimed.increment(by: claims.count)
    return claims
  }

  /// Asks the broker how many more messages the work queue should hold (I8). First what is on its way is confirmed: the answer would lack it.
  /// - Returns: how many tickets were confirmed.
  private func askForRoom(
    _ queue: inout QueueRoom, after publishing: inout ThrowingTaskGroup<Int, any Error>
  ) async throws -> Int {
    var confirmed = 0
    for try await count in publishing { confirmed += count }
    queue.count = policy.queueDepthMax - (try await publisher.queue.status().messagesReady)
    queue.askedAt = environment.now
    return confirmed
  }
}
