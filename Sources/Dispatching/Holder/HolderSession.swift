package import Logging
package import PostgresClient
package import Resilience
package import ReviewStore
internal import ServiceLifecycle

/// Keeps this process known as a holder, and hears the notifications: one session that holds the advisory lock, listens,
/// and is made again for ever; and a heartbeat through the pool.
///
/// Listed before the roles that claim or lease, so that it stops after them: it leaves when they have drained.
package struct HolderSession: Service {
  package let holder: Holder
  /// Woken when reviews may have become due; also after every reconnect, because notifications may have been missed.
  package let pendingWakeup = Wakeup()
  /// Woken when something was put into the outbox.
  package let outboxWakeup = Wakeup()
  private let store: ReviewStore
  private let listener: PostgresListener
  private let interval: Duration
  private let report: @Sendable () -> Holder.Report
  private let logger: Logger

  /// The channels that Postgres notifies.
  package enum Channel {
    package static let pending = "baton_pending"
    package static let outbox = "baton_outbox"
  }

  /// - Parameters:
  ///   - interval: between heartbeats.
  ///   - report: what the heartbeat says; asked on every beat.
  package init(
    holder: Holder, store: ReviewStore, configuration: PostgresConfiguration, interval: Duration,
    report: @escaping @Sendable () -> Holder.Report = { Holder.Report() }, logger: Logger
  ) {
    self.holder = holder
    self.store = store
    self.interval = interval
    self.report = report
    self.logger = logger
    listener = PostgresListener(
      configuration, channels: [Channel.pending, Channel.outbox],
      onConnect: { session in try await store.register(holder, on: session) }, logger: logger)
  }

  package func run() async throws {
    await cancelWhenGracefulShutdown {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await listener.run() }
        group.addTask { await hear() }
        group.addTask { await beat() }
        await group.waitForAll()
      }
    }
    // After the cancellation, and all the same: what this process still had is free at once.
    await Task { [store, holder, logger] in
      do {
        try await store.leave(holder.id)
      } catch {
        logger.warning("could not sign off; others wait for the heartbeat to run out", metadata: ["error": "\(error)"])
      }
    }.value
  }

  private func hear() async {
    for await event in listener.events {
      switch event {
      case .connected:
        pendingWakeup.wake()
        outboxWakeup.wake()
      case .notified(Channel.pending, _): pendingWakeup.wake()
      case .notified(Channel.outbox, _): outboxWakeup.wake()
      case .notified: break
      case .lost: break
      }
    }
  }

  private func beat() async {
    while !Task.isCancelled {
      try? await Task.sleep(for: interval)
      guard !Task.isCancelled else { return }
      do {
        if try await !store.heartbeat(holder.id, report()) {
          logger.notice("this process was taken for dead, and signs on again")
          try await store.signOn(holder)
        }
      } catch {
        logger.debug("heartbeat failed", metadata: ["error": "\(error)"])
      }
    }
  }
}
