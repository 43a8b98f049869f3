internal import Logging
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews
internal import Telemetry

/// Who has a ticket's review, as a statement has found it.
struct LeaseAnswer: Sendable {
  var verdict: LeaseVerdict
  /// When the statement began, by this process's clock: a lease that it gave is not older. Its answer may be read much later, by a process that
  /// stood still.
  var since: ContinuousClock.Instant
  /// Whether its batch has waited for a lock because of it, or may have.
  var hasHeldUpBatch = false
}

/// Tickets whose reviews another process has leased, or another transaction has locked, looked at again all together until each is
/// decided. They wait for each other only; they never hold up batches that can be decided at once. One that has held up a batch is looked at
/// alone and after the others.
///
/// The broker's redelivery is the fast way back after a kill: the ticket is here within milliseconds, and the lease
/// becomes free as soon as the death of its holder is sure. A session that ends notifies no other, nor does a row's lock: Postgres has to be
/// looked at.
actor LeaseWaitlist {
  private struct Waiter {
    var ticket: Ticket
    var lock: LockWatch
    var hasHeldUpBatch: Bool
    var continuation: CheckedContinuation<LeaseAnswer, Never>
  }

  /// Between two looks; less if a death becomes sure earlier.
  private static let interval: Duration = .milliseconds(400)

  private let countMax: Int
  private let ledger: any ReviewLedger
  private let heartbeatTimeout: Duration
  private let lease: @Sendable ([Ticket]) async -> [Result<LeaseAnswer, any Error>]
  private let environment: DispatchEnvironment
  private let logger: Logger
  /// Those that wait for the next look.
  private var waiters: [Waiter] = []
  /// All that wait, those that are being looked at included.
  private var count = 0
  private var isLooking = false
  private var isClosed = false

  /// - Parameters:
  ///   - countMax: further tickets are refused; the reaper covers them.
  ///   - heartbeatTimeout: a holder that is silent for longer is dead.
  ///   - lease: tries the leases of a batch.
  init(
    countMax: Int, ledger: any ReviewLedger, heartbeatTimeout: Duration,
    lease: @escaping @Sendable ([Ticket]) async -> [Result<LeaseAnswer, any Error>],
    environment: DispatchEnvironment, logger: Logger
  ) {
    self.countMax = countMax
    self.ledger = ledger
    self.heartbeatTimeout = heartbeatTimeout
    self.lease = lease
    self.environment = environment
    self.logger = logger
  }

  /// Waits until the ticket's lease is decided otherwise than `.leasedElsewhere` or `.lockedByOther`.
  /// - Parameter answer: the present one, with one of these two.
  /// - Returns: the answer; with one of these two if there is no room, it takes too long, or this process is shutting down.
  func wait(_ ticket: Ticket, _ answer: LeaseAnswer) async -> LeaseAnswer {
    guard count < countMax, !isClosed else { return answer }
    count += 1
    return await withCheckedContinuation { continuation in
      waiters.append(
        Waiter(
          ticket: ticket, lock: LockWatch(since: environment.now), hasHeldUpBatch: answer.hasHeldUpBatch,
          continuation: continuation))
      if !isLooking {
        isLooking = true
        Task.onSameExecutor { await self.look() }
      }
    }
  }

  /// Releases all waiting tickets: this process ends.
  func close() {
    isClosed = true
    for waiter in waiters { resume(waiter, undecided) }
    waiters = []
  }

  /// Looks at once, so that a holder which was just killed is missed from now on, and again until none waits.
  private func look() async {
    while !waiters.isEmpty {
      let looked = waiters
      waiters = []
      let wait = await lookAtHolders()
      let together = looked.filter { !$0.hasHeldUpBatch }
      if !together.isEmpty {
        let results = await lease(together.map(\.ticket))
        for (waiter, result) in zip(together, results) { settle(waiter, result) }
      }
      await lookAtEach(looked.filter(\.hasHeldUpBatch))
      if !waiters.isEmpty { try? await environment.sleep(for: wait) }
    }
    isLooking = false
  }

  /// Looks at one after another, up to the first that still waits for its lock. Those after it have their turn at the next look.
  private func lookAtEach(_ looked: [Waiter]) async {
    var left = looked[...]
    var isLocked = false
    while !isLocked, !isClosed, let waiter = left.popFirst() {
      for result in await lease([waiter.ticket]) {
        if case .failure(let error) = result { isLocked = LedgerFaultKind(of: error) == .rowLocked }
        settle(waiter, result)
      }
    }
    if isClosed {
      for waiter in left { resume(waiter, undecided) }
    } else {
      waiters = left + waiters
    }
  }

  /// Notes which holders are missed.
  /// - Returns: when to look again.
  private func lookAtHolders() async -> Duration {
    do {
      try await ledger.lookAtHolders()
      let sure = try await ledger.timeUntilDeathsAreSure(heartbeatTimeout: heartbeatTimeout)
      return MissedHolders.nextLook(sure, atMost: Self.interval)
    } catch {
      logger.debug("holders not looked at", metadata: ["error": "\(error)"])
      return Self.interval
    }
  }

  private var undecided: LeaseAnswer { LeaseAnswer(verdict: .leasedElsewhere, since: environment.now) }

  private func settle(_ waiter: Waiter, _ result: Result<LeaseAnswer, any Error>) {
    var waiter = waiter
    var isDecided = isClosed || environment.now - waiter.lock.since >= DispatchPolicy.holdMax
    var answer = undecided
    switch result {
    case .success(let found):
      answer = found
      isDecided = isDecided || found.verdict != .leasedElsewhere && found.verdict != .lockedByOther
    case .failure(let error):
      logger.debug("a held ticket could not be looked at", metadata: ["error": "\(error)"])
      isDecided = isDecided || LedgerFaultKind(of: error) == .aboutRow
      waiter.hasHeldUpBatch = LedgerFaultKind(of: error) == .rowLocked
    }
    guard !isDecided else { return resume(waiter, answer) }
    if answer.verdict == .lockedByOther, waiter.lock.isToBeNamed(at: environment.now) { name(waiter) }
    waiters.append(waiter)
  }

  private func name(_ waiter: Waiter) {
    logger.warning(
      "\(RowLocked(reviewID: waiter.ticket.reviewID)); it waits, and nothing else does",
      metadata: .review(
        waiter.ticket.reviewID, attempt: waiter.ticket.attempt, TraceContext(of: waiter.ticket.reviewID)))
  }

  private func resume(_ waiter: Waiter, _ answer: LeaseAnswer) {
    count -= 1
    waiter.continuation.resume(returning: answer)
  }
}
