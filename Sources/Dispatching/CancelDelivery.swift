package import Logging
package import Resilience
package import ReviewStore
internal import Reviews
internal import ServiceLifecycle
internal import Telemetry
package import WorkerClient

/// Tells the worker which attempts were cancelled, out of the outbox that is written with each cancel.
///
/// Part of `serve`, which always runs, woken by the notification of the outbox, and of the reaper, for where no server knows the
/// worker. Any number may run: an entry that one has taken is nobody else's until its call must have ended. What the worker does
/// not accept comes due again, and holds up nothing else.
package struct CancelDelivery: Service {
  private let store: ReviewStore
  private let worker: WorkerClient
  private let wakeup: Wakeup
  private let interval: Duration
  private let lease: Duration
  private let logger: Logger

  /// Cancels that are told at once.
  package static let pageMax = 16
  /// What taking an entry and settling it may cost beside the call.
  private static let margin: Duration = .seconds(5)

  /// - Parameters:
  ///   - callTimeout: the worker client's: by then a call has ended.
  ///   - wakeup: of the outbox.
  ///   - interval: between looks without a notification.
  package init(
    store: ReviewStore, worker: WorkerClient, callTimeout: Duration, wakeup: Wakeup, interval: Duration, logger: Logger
  ) {
    self.store = store
    self.worker = worker
    self.wakeup = wakeup
    self.interval = interval
    lease = callTimeout + Self.margin
    self.logger = logger
  }

  /// Tells what is due, until the service is shut down; what has been taken is told.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      await PassLoop(interval: interval, wakeup: wakeup).run {
        _ = try await deliverDue()
      } onFirstFailure: { error in
        logger.error(
          "cannot look for cancels that the worker has to know; trying again until it works",
          metadata: ["error": "\(error)"])
      }
    }
  }

  /// Tells everything that is due now.
  /// - Returns: how many the worker has accepted.
  package func deliverDue() async throws -> Int {
    var count = 0
    while true {
      // In a task of its own: whoever is cancelled meanwhile leaves nothing taken and untold.
      let page = try await Task { try await deliverPage() }.value
      count += page.accepted
      // Where it accepts none the worker is taken for out: the others would wait for the same time-out.
      guard page.taken == Self.pageMax, page.accepted > 0, !Task.isCancelled else { return count }
    }
  }

  private func deliverPage() async throws -> (taken: Int, accepted: Int) {
    let entries = try await store.takeOutbox(limit: Self.pageMax, for: lease)
    let accepted = try await withThrowingTaskGroup(of: Bool.self) { group in
      for entry in entries { group.addTask { try await deliver(entry) } }
      return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    return (entries.count, accepted)
  }

  /// - Returns: whether the worker has accepted it.
  private func deliver(_ entry: OutboxEntry) async throws -> Bool {
    switch await worker.cancel(entry.reviewID, reason: "cancelled", attempt: entry.attempt) {
    case .done, .unknown:
      try await store.deleteOutbox(entry.id)
      logger.debug(
        "the worker was told of a cancel", metadata: .review(entry.reviewID, attempt: entry.attempt, entry.trace))
      return true
    case .failed(let message):
      try await store.failOutbox(entry.id, error: message)
      logger.warning(
        "the worker was not told of a cancel; trying again later",
        metadata: .review(entry.reviewID, attempt: entry.attempt, entry.trace, ["error": "\(message)"]))
      return false
    }
  }
}
