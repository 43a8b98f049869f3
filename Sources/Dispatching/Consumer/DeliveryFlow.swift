internal import AMQPClient
internal import Logging
internal import Synchronization

/// Whether deliveries flow as they should: pauses consumption while nothing could be done with them, and proves that a
/// consumer which is connected does consume (I9).
final class DeliveryFlow: Sendable {
  private struct State {
    var receivedSinceLook = 0
    /// Consecutive looks that found messages ready, free slots, and none delivered.
    var silentLooks = 0
    var secondsToLook = DeliveryFlow.lookInterval
    var drainDeadline: ContinuousClock.Instant?
    var pause: Pause?
  }

  private enum Pause: Equatable {
    case keyMissing
    case circuitOpen
    case holderAway
    case databaseAway
  }

  /// Seconds between looks at the queue. Two silent looks make it ten seconds until the channel is rebuilt.
  private static let lookInterval = 5
  /// For how long Postgres may be unreachable before all deliveries are handed back.
  private static let outageMax: Duration = .seconds(60)

  private let state = Mutex(State())
  private let source: AMQPConsumer
  private let queue: String
  private let prefetch: Int
  private let logger: Logger

  init(source: AMQPConsumer, queue: String, prefetch: Int, logger: Logger) {
    self.source = source
    self.queue = queue
    self.prefetch = prefetch
    self.logger = logger
  }

  /// What is wrong with the flow; nil if nothing is.
  var fault: String? {
    let (silentLooks, pause) = state.withLock { ($0.silentLooks, $0.pause) }
    if pause == .databaseAway { return "deliveries were handed back while Postgres is unreachable" }
    if silentLooks > 0 { return "connected, but nothing is delivered although messages are ready" }
    return source.isConnected || pause != nil ? nil : "there is no connection to the broker"
  }

  /// Whether this process is shutting down.
  var isDraining: Bool { drainDeadline != nil }

  /// Until when what is in flight has to end; nil while this process is not shutting down.
  var drainDeadline: ContinuousClock.Instant? { state.withLock { $0.drainDeadline } }

  func received() { state.withLock { $0.receivedSinceLook += 1 } }

  func drain(until deadline: ContinuousClock.Instant) { state.withLock { $0.drainDeadline = deadline } }

  /// Called every second.
  func keepFlowing(
    inFlight: Int, keyFault: String?, isCircuitOpen: Bool, circuitReason: String?, isHolderAway: Bool,
    outage: Duration?,
    isDatabaseBack: () async -> Bool
  ) async {
    guard !isDraining else { return }
    let pause = state.withLock { $0.pause }
    switch pause {
    case _ where pause != .databaseAway && outage.map({ $0 > Self.outageMax }) ?? false:
      logger.error("Postgres has been unreachable for a minute: all deliveries go back to the broker")
      set(.databaseAway)
      await source.stopConsuming(endsDeliveries: false)
      source.rebuildChannel()
    case nil where keyFault != nil:
      logger.error("taking no deliveries until the key fits: \(keyFault ?? "")")
      set(.keyMissing)
      await source.stopConsuming(endsDeliveries: false)
    case nil where isCircuitOpen:
      logger.warning(
        "the worker is out: taking no deliveries until it answers", metadata: ["reason": "\(circuitReason ?? "")"])
      set(.circuitOpen)
      await source.stopConsuming(endsDeliveries: false)
    case nil where isHolderAway:
      logger.warning("this process is not signed on as a holder: taking no deliveries until it is")
      set(.holderAway)
      await source.stopConsuming(endsDeliveries: false)
    case nil:
      await proveConsuming(inFlight: inFlight)
    case .keyMissing where keyFault == nil, .circuitOpen where !isCircuitOpen, .holderAway where !isHolderAway,
      .databaseAway where await isDatabaseBack():
      logger.notice("taking deliveries again")
      set(nil)
      source.resumeConsuming()
    case .keyMissing, .circuitOpen, .holderAway, .databaseAway: break
    }
  }

  private func set(_ pause: Pause?) {
    state.withLock { state in
      state.pause = pause
      state.silentLooks = 0
      state.receivedSinceLook = 0
    }
  }

  /// Every few seconds: with free slots, nothing delivered and messages ready, the channel is rebuilt, then the
  /// connection. The most frequent complaint about systems of this kind is a consumer that is connected and silent.
  private func proveConsuming(inFlight: Int) async {
    let isDue = state.withLock { state in
      state.secondsToLook -= 1
      guard state.secondsToLook <= 0 else { return false }
      state.secondsToLook = Self.lookInterval
      let isSilent = state.receivedSinceLook == 0 && inFlight < prefetch
      state.receivedSinceLook = 0
      if !isSilent { state.silentLooks = 0 }
      return isSilent
    }
    // Without an answer the connection itself is being made again.
    guard isDue, let status = try? await source.queueStatus(queue) else { return }
    let silentLooks = state.withLock { state in
      state.silentLooks = status.messagesReady > 0 && state.receivedSinceLook == 0 ? state.silentLooks + 1 : 0
      return state.silentLooks
    }
    guard silentLooks >= 2 else { return }
    logger.error(
      "messages are ready and none is delivered: rebuilding the \(silentLooks == 2 ? "channel" : "connection")",
      metadata: ["ready": "\(status.messagesReady)"])
    if silentLooks == 2 {
      source.rebuildChannel()
    } else {
      source.rebuildConnection()
    }
  }
}
