package import Logging
internal import Primitives
package import Resilience
package import ReviewStore
internal import Reviews
internal import ServiceLifecycle
internal import Synchronization
internal import Telemetry
internal import WorkerClient

/// Notifies the worker which attempts were cancelled, or have failed although a start may still reach it, out of the outbox that is written
/// with each of these ends.
///
/// Part of `serve`, which always runs, woken by the notification of the outbox, and of the reaper, in case no server knows the
/// worker. Any number may run: an entry that one has taken is not taken by another until its call must have ended. What the worker does
/// not accept comes due again, holds up nothing else, and is given up after a day.
package struct CancelRelay: Service {
  private let ledger: any ReviewLedger
  private let worker: any Worker
  private let wakeup: Wakeup
  private let interval: Duration
  private let lease: Duration
  private let logger: Logger
  private let circuit: Circuit
  private let random: RandomSource

  /// Calls that are made at once.
  package static let callsAtOnce = 16
  /// What taking an entry and settling it may cost besides the call.
  private static let margin: Duration = .seconds(5)
  /// Between two tries of one cancel.
  private static let retry = Backoff(base: .seconds(5), max: .seconds(300))

  /// - Parameters:
  ///   - ledger: where the outbox is.
  ///   - worker: the client of the worker.
  ///   - callTimeout: the worker client's: by then a call has ended.
  ///   - wakeup: of the outbox.
  ///   - interval: between looks without a notification.
  ///   - environment: clock and randomness.
  ///   - logger: for what it reports.
  package init(
    ledger: any ReviewLedger, worker: any Worker, callTimeout: Duration, wakeup: Wakeup, interval: Duration,
    environment: DispatchEnvironment = DispatchEnvironment(), logger: Logger
  ) {
    self.ledger = ledger
    self.worker = worker
    self.wakeup = wakeup
    self.interval = interval
    lease = callTimeout + Self.margin
    random = environment.random
    circuit = Circuit(name: "worker's cancels", clock: environment.clock, random: random)
    self.logger = logger
  }

  /// Delivers what is due, until the service is shut down. Calls under way are given up then; others make them again.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      await feed { _ in }.run { error in
        logger.error(
          "cannot look for cancels that the worker has to know; trying again until it works",
          metadata: ["error": "\(error)"])
      }
    }
  }

  /// Delivers everything that is due now, until the worker is unavailable or the deadline has come.
  /// - Returns: how many the worker has accepted.
  package func deliverDue(until deadline: ContinuousClock.Instant? = nil) async throws -> Int {
    let accepted = AcceptedCount()
    try await feed { if $0 { accepted.increment() } }.drain(until: deadline)
    return accepted.value
  }

  /// How many are due now.
  func countDue() async throws -> Int { try await ledger.outboxCount() }

  private final class AcceptedCount: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func increment() { count.withLock { $0 += 1 } }
  }

  private func feed(_ settled: @escaping @Sendable (_ isAccepted: Bool) -> Void) -> SlotFeed<OutboxEntry> {
    SlotFeed(
      count: Self.callsAtOnce, circuit: circuit, interval: interval, wakeup: wakeup, random: random,
      take: { try await ledger.takeOutbox(limit: $0, for: lease) },
      work: { await deliver($0, settled) }, onCircuit: { note(isOpen: $0) })
  }

  private func note(isOpen: Bool) {
    if isOpen {
      logger.warning(
        "the worker does not accept cancels; trying one at a time until it does",
        metadata: ["error": "\(circuit.reason ?? "none")"])
    } else {
      logger.notice("the worker accepts cancels again")
    }
  }

  private func deliver(
    _ entry: OutboxEntry, _ settled: @Sendable (_ isAccepted: Bool) -> Void
  ) async -> SlotFeed<OutboxEntry>.Outcome {
    let answer = await worker.cancel(entry.reviewID, attempt: entry.attempt)
    // Given up because this process ends: the entry comes due again soon, for another.
    if case .failed = answer, Task.isCancelled { return .unknown }
    do {
      // An answer is written down, also when this process ends.
      settled(try await uncancelled { try await settle(entry, answer) })
    } catch {
      logger.warning(
        "the worker's answer to a cancel could not be written down; the cancel is delivered again",
        metadata: entry.metadata(["error": "\(error)"]))
    }
    if case .failed(let message) = answer { return .failed(message) }
    return .answered
  }

  /// - Returns: whether the worker has accepted it.
  private func settle(_ entry: OutboxEntry, _ answer: CancelAnswer) async throws -> Bool {
    switch answer {
    case .done, .unknown:
      try await ledger.deleteOutbox(entry.id)
      logger.debug("the worker was notified of a cancel", metadata: entry.metadata([:]))
      return true
    case .failed(let message):
      let delay = Self.retry.atLeastHalf(attempt: entry.tries - 1, from: random)
      if try await ledger.failOutbox(entry.id, error: message, retryAfter: delay) {
        logger.error(
          "the worker has not accepted a cancel for a day; it is given up, and the run may still be going on",
          metadata: entry.metadata(["tries": "\(entry.tries)", "error": "\(message)"]))
      } else {
        logger.warning(
          "the worker was not notified of a cancel; trying again later",
          metadata: entry.metadata(["error": "\(message)"]))
      }
      return false
    }
  }
}

extension OutboxEntry {
  fileprivate func metadata(_ more: Logger.Metadata) -> Logger.Metadata {
    .review(reviewID, attempt: attempt, trace, more)
  }
}
