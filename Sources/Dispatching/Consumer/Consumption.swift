internal import Logging
internal import Resilience
internal import ReviewQueue
internal import Synchronization
internal import Telemetry

/// Carries out for one subscription what a ``ConsumptionMonitor`` decides.
final class Consumption: Sendable {
  private let monitor = Mutex(ConsumptionMonitor())
  /// Of an unavailable worker: each probe that fails would say the same again.
  private let notice = Mutex(FaultNotice(settling: .zero))
  private let subscription: any TicketSubscription
  private let environment: DispatchEnvironment
  private let logger: Logger
  /// One decision is carried out at a time.
  private let turn = SharedExclusiveLock()

  init(_ subscription: any TicketSubscription, environment: DispatchEnvironment, logger: Logger) {
    self.subscription = subscription
    self.environment = environment
    self.logger = logger
  }

  /// What is wrong with consuming; nil if nothing is.
  var fault: String? { monitor.withLock { $0 }.fault(isConnected: subscription.isConnected) }

  var pause: ConsumptionMonitor.Pause? { monitor.withLock { $0.pause } }

  /// Whether one delivery at a time is taken, until the worker has answered.
  var isProbing: Bool { monitor.withLock { $0.isProbing } }

  /// Takes no more deliveries, and ends after what was received: this process shuts down. If the task is cancelled, so is the subscription's.
  func end() async {
    _ = try? await turn.withExclusive { await subscription.end() }
  }

  /// Called every second, and when a call has shown that the worker is unavailable, or available again.
  /// - Parameters:
  ///   - sight: what is seen now; nil if this process shuts down.
  ///   - reasons: why deliveries may have to be paused, for the log.
  ///   - receivedCount: deliveries received since the start, by now.
  func keepConsuming(
    _ sight: @Sendable () async -> ConsumptionMonitor.Sight?, reasons: (key: String?, worker: String?),
    receivedCount: @Sendable () -> Int
  ) async {
    _ = try? await turn.withExclusive {
      if let sight = await sight() { await carryOut(monitor.withLock { $0.tick(sight) }, reasons, receivedCount) }
    }
  }

  private func carryOut(
    _ action: ConsumptionMonitor.Action?, _ reasons: (key: String?, worker: String?),
    _ receivedCount: @Sendable () -> Int
  ) async {
    switch action {
    case .pause(let pause):
      note(pause, reasons)
      await subscription.pause()
      // Everything goes back to the queue.
      if pause == .databaseAway { subscription.rebuildChannel() }
    case .resume:
      _ = notice.withLock { $0.worked(at: environment.now) }
      logger.notice("taking deliveries again")
      subscription.resume(limit: nil)
    case .probe:
      if !notice.withLock({ $0.isOpen }) {
        logger.notice("taking one delivery at a time, until the worker has answered")
      }
      subscription.resume(limit: 1)
    case .look: await look(receivedCount)
    case nil: break
    }
  }

  private func look(_ receivedCount: () -> Int) async {
    let ready = try? await subscription.readyCount()
    guard let repair = monitor.withLock({ $0.looked(ready: ready, receivedCount: receivedCount()) }) else { return }
    logger.error(
      "messages are ready and none is delivered: rebuilding the \(repair == .rebuildChannel ? "channel" : "connection")",
      metadata: ["ready": "\(ready ?? 0)"])
    switch repair {
    case .rebuildChannel: subscription.rebuildChannel()
    case .rebuildConnection: subscription.rebuildConnection()
    }
  }

  private func note(_ pause: ConsumptionMonitor.Pause, _ reasons: (key: String?, worker: String?)) {
    switch pause {
    case .keyMissing: logger.error("taking no deliveries until the key fits: \(reasons.key ?? "")")
    case .circuitOpen:
      let reason = reasons.worker ?? ""
      logger.log(
        level: notice.withLock({ $0.failed(reason, at: environment.now) }) ? .warning : .debug,
        "the worker is unavailable: taking one delivery from time to time, to see whether it answers",
        metadata: ["reason": "\(reason)"])
    case .holderAway:
      logger.warning("this process is not signed on as a holder: taking no deliveries until it is")
    case .databaseAway: logger.error("Postgres has not answered for a minute: all deliveries go back to the broker")
    }
  }
}
