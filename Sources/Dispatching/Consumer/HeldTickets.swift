internal import Logging
internal import ReviewStore
internal import Reviews

/// Tickets whose reviews another process has leased, looked at again all together until each is decided.
///
/// The broker's redelivery is the fast way back after a kill: the ticket is here within milliseconds, and the lease
/// becomes free as soon as the dead holder's lock has been free for two seconds.
actor HeldTickets {
  private struct Waiter {
    var ticket: Ticket
    var since: ContinuousClock.Instant
    var continuation: CheckedContinuation<LeaseVerdict, Never>
  }

  private static let interval: Duration = .milliseconds(400)
  /// RabbitMQ closes the channel of a delivery that is unacknowledged for 30 minutes.
  private static let timeMax: Duration = .seconds(600)

  private let countMax: Int
  private let store: ReviewStore
  private let lease: @Sendable ([Ticket]) async throws -> [LeaseVerdict]
  private let logger: Logger
  private var waiters: [Waiter] = []
  private var isLooking = false
  private var isClosed = false

  /// - Parameters:
  ///   - countMax: further tickets are refused; the reaper covers them.
  ///   - lease: tries the leases of a batch.
  init(
    countMax: Int, store: ReviewStore, lease: @escaping @Sendable ([Ticket]) async throws -> [LeaseVerdict],
    logger: Logger
  ) {
    self.countMax = countMax
    self.store = store
    self.lease = lease
    self.logger = logger
  }

  /// Waits until the ticket's lease is decided otherwise than `.held`.
  /// - Returns: the verdict; `.held` where there is no room, it takes too long, or this process is shutting down.
  func wait(_ ticket: Ticket) async -> LeaseVerdict {
    guard waiters.count < countMax, !isClosed else { return .held }
    return await withCheckedContinuation { continuation in
      waiters.append(Waiter(ticket: ticket, since: .now, continuation: continuation))
      if !isLooking {
        isLooking = true
        Task { await look() }
      }
    }
  }

  /// Lets go of everything: this process is shutting down.
  func close() {
    isClosed = true
    for waiter in waiters { waiter.continuation.resume(returning: .held) }
    waiters = []
  }

  private func look() async {
    while !waiters.isEmpty {
      try? await Task.sleep(for: Self.interval)
      let looked = waiters
      waiters = []
      do {
        try await store.lookAtHolders()
        settle(looked, try await lease(looked.map(\.ticket)))
      } catch {
        logger.debug("held tickets not looked at", metadata: ["error": "\(error)"])
        settle(looked, looked.map { _ in .held })
      }
    }
    isLooking = false
  }

  private func settle(_ looked: [Waiter], _ verdicts: [LeaseVerdict]) {
    for (waiter, verdict) in zip(looked, verdicts) {
      if verdict == .held && !isClosed && .now - waiter.since < Self.timeMax {
        waiters.append(waiter)
      } else {
        waiter.continuation.resume(returning: verdict)
      }
    }
  }
}
