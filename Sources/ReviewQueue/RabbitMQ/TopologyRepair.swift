internal import AMQPClient
internal import Logging
internal import Resilience
internal import Synchronization

/// Declares exchanges, queues and bindings again while the connection lasts: any of them may be deleted at the broker at any time.
final class TopologyRepair: Sendable {
  private struct State {
    /// Repairs in a row that did not help.
    var attempts = 0
    var nextAt = ContinuousClock.now
    var declaredAt = ContinuousClock.now
    var notice = FaultNotice()
  }

  /// The waits between repairs that do not help.
  private static let waits = Backoff(base: .milliseconds(500), max: .seconds(30))
  /// How often everything is declared without a sign that it is needed: nothing shows that a binding of the dead letters is gone.
  private static let interval: Duration = .seconds(60)

  private let publisher: AMQPPublisher
  private let logger: Logger
  private let state = Mutex(State())

  init(publisher: AMQPPublisher, logger: Logger) {
    self.publisher = publisher
    self.logger = logger
  }

  /// Declares the topology, unless the last repair was a moment ago: if a repair did not help, another one right after it will hardly help.
  /// - Returns: whether it was declared, as far as the account may.
  func declare(because reason: String) async -> Bool {
    let isDue = state.withLock { state in
      guard state.nextAt <= .now else { return false }
      state.nextAt = .now + Self.waits.ceiling(attempt: state.attempts)
      state.attempts += 1
      return true
    }
    guard isDue else { return false }
    let isNews = state.withLock { $0.notice.failed(reason) }
    do {
      try await publisher.declareTopology()
      state.withLock { $0.declaredAt = .now }
      if isNews, publisher.mayDeclare {
        logger.warning("\(reason): exchanges, queues and bindings were declared again")
      } else if isNews {
        logger.error("\(reason), and this account may not declare: run `baton migrate` with one that may")
      }
      return true
    } catch {
      if state.withLock({ $0.notice.failed("\(error)") }) {
        logger.error("\(reason), and nothing could be declared", metadata: ["error": "\(error)"])
      }
      return false
    }
  }

  /// The last repair has helped.
  func succeeded() {
    state.withLock { state in
      state.attempts = 0
      state.nextAt = .now
      _ = state.notice.worked()
    }
  }

  /// Declares the topology if it was not for a while, and the account may.
  func declareNowAndThen() async {
    guard publisher.isConnected, publisher.mayDeclare, !publisher.isBlocked else { return }
    let isDue = state.withLock { state in
      guard .now - state.declaredAt >= Self.interval else { return false }
      state.declaredAt = .now
      return true
    }
    guard isDue else { return }
    do {
      try await publisher.declareTopology()
    } catch {
      if state.withLock({ $0.notice.failed("\(error)") }) {
        logger.error("the exchanges and queues could not be declared again", metadata: ["error": "\(error)"])
      }
    }
  }
}
