package import Primitives
package import Resilience
package import ReviewQueue
package import Reviews
internal import Synchronization

/// The work queue without a server, for tests and simulations: an executable specification of `TicketQueue`.
///
/// It behaves as a quorum queue of RabbitMQ does, as far as Baton sees it: redelivery in order, requeue to the head, the delivery limit,
/// dead letters. Its hooks do what operators and faults do: see ``fault``, ``purge()``, ``delete()``, ``block()``, ``disconnect()``.
package final class InMemoryTicketQueue: TicketQueue {
  package let name: String
  let clock: any MonotonicClock
  private let time: @Sendable () -> Timestamp
  let state: Mutex<InMemoryQueueState>
  /// Woken when publishing may have become possible.
  private let publishable: Wakeup

  /// For how long a publish waits while there is no connection, or the queue is blocked.
  private static let publishTimeMax: Duration = .seconds(10)

  /// - Parameters:
  ///   - name: the work queue's.
  ///   - clock: of the waits of publishes that cannot be sent.
  ///   - time: of dead letters.
  package init(
    name: String = "baton.reviews", clock: any MonotonicClock = ContinuousClock(),
    time: @escaping @Sendable () -> Timestamp = { .processNow }
  ) {
    self.name = name
    self.clock = clock
    self.time = time
    state = Mutex(InMemoryQueueState())
    publishable = Wakeup(clock: clock)
  }

  /// A subscription; it receives nothing until it runs.
  package func subscribe(prefetch: Int) -> InMemoryTicketSubscription {
    InMemoryTicketSubscription(self, id: state.withLock { $0.addSubscription(prefetch: prefetch) }, prefetch: prefetch)
  }

  package var isConnected: Bool { state.withLock { $0.isConnected } }
  package var isBlocked: Bool { state.withLock { $0.isBlocked } }

  // MARK: Publishing

  package func publish(_ tickets: [(ticket: Ticket, trace: TraceContext)]) async -> [TicketPublishOutcome] {
    var outcomes: [TicketPublishOutcome] = []
    for (ticket, trace) in tickets { outcomes.append(await publish { TicketMessage(ticket, trace, id: $0) }) }
    return outcomes
  }

  package func republish(_ delivery: TicketDelivery) async -> TicketPublishOutcome {
    await publish { delivery.renewed(id: $0) }
  }

  package func publishDead(_ delivery: TicketDelivery, reason: String) async -> TicketPublishOutcome {
    await publish(isDead: true) { [time] id in delivery.dead(reason: reason, id: id, at: time()) }
  }

  /// - Parameter make: the message, with an id.
  private func publish(
    isDead: Bool = false, _ make: @Sendable (_ id: String) -> TicketMessage
  ) async -> TicketPublishOutcome {
    let deadline = clock.now + Self.publishTimeMax
    while let reason = state.withLock({ $0.reasonNotToSend }) {
      guard (try? await publishable.wait(until: deadline)) == true else { return .notSent(reason) }
    }
    return change { state in
      let message = make(state.makeMessageID())
      let fault = state.fault?(message.body)
      switch fault {
      case .nacked: return .nacked
      case .returned: return .returned(code: 312, text: "NO_ROUTE")
      case .notSent(let reason): return .notSent(reason)
      case .confirmLost(isQueued: false): return .unknown("the connection was lost before the confirm")
      case .confirmLost(isQueued: true), nil:
        // A queue that was deleted is declared again by the publish that finds it missing.
        isDead ? state.bury(message) : state.enqueue(message)
        return fault == nil ? .confirmed : .unknown("the connection was lost before the confirm")
      }
    }
  }

  // MARK: Looking

  package func status() async throws -> TicketQueueStatus {
    try state.withLock { state in
      guard state.isConnected else { throw InMemoryQueueFault.notConnected }
      return TicketQueueStatus(messagesReady: state.ready.count, consumers: state.consumerCount)
    }
  }

  package func deadCount() async throws -> Int {
    try state.withLock { state in
      guard state.isConnected else { throw InMemoryQueueFault.notConnected }
      return state.dead.count
    }
  }

  package func deadLetters(limit: Int) async throws -> [DeadLetter] {
    let looked = try state.withLock { state in
      guard state.isConnected else { throw InMemoryQueueFault.notConnected }
      return state.lookAtDead(limit: limit)
    }
    return DeadLetter.letters(looked)
  }

  // MARK: What operators and faults do

  /// Decides how each publish fails, by the message's body; nil lets it succeed.
  package var fault: (@Sendable ([UInt8]) -> PublishFault?)? {
    get { state.withLock { $0.fault } }
    set { state.withLock { $0.fault = newValue } }
  }

  /// How a publish may fail.
  package enum PublishFault: Sendable, Hashable {
    case nacked
    case returned
    case notSent(String)
    /// - Parameter isQueued: whether the queue has the message.
    case confirmLost(isQueued: Bool)
  }

  /// Removes what is ready; what is delivered stays delivered.
  /// - Returns: how many messages were removed.
  @discardableResult
  package func purge() -> Int {
    change { state in
      defer { state.ready.removeAll() }
      return state.ready.count
    }
  }

  /// Removes the queue with everything in it, delivered messages included. Subscriptions declare it again at once.
  package func delete() {
    change { $0.delete() }
  }

  /// Whether nothing is ready, and nothing delivered and not settled.
  package var isDrained: Bool {
    state.withLock { state in state.ready.isEmpty && state.subscriptions.values.allSatisfy(\.unsettled.isEmpty) }
  }

  /// Publishes a body that may not be a ticket.
  package func publish(body: [UInt8]) {
    change { $0.enqueue(TicketMessage(body: body)) }
  }

  /// Takes no publishes until ``unblock()``.
  package func block() { state.withLock { $0.isBlocked = true } }

  /// Takes publishes again.
  package func unblock() {
    state.withLock { $0.isBlocked = false }
    publishable.wake()
  }

  /// Delivers nothing through the channels that are open, although nothing else shows it.
  package func stall() { state.withLock { $0.stall() } }

  /// Cuts all connections: what is unsettled goes back to the queue.
  package func disconnect() {
    change { state in
      state.isConnected = false
      for id in state.subscriptionIDs { state.closeChannel(of: id) }
    }
  }

  /// Lets all connections be made again.
  package func reconnect() {
    change { state in
      state.isConnected = true
      for id in state.subscriptionIDs { state.openChannel(of: id) }
    }
    publishable.wake()
  }

  /// Changes the state, and hands over what subscriptions receive because of it.
  @discardableResult
  func change<Result: Sendable>(_ body: (inout InMemoryQueueState) -> Result) -> Result {
    let (result, resumptions) = state.withLock { state in
      let result = body(&state)
      state.deliver()
      return (result, state.takeResumptions())
    }
    for resumption in resumptions { resumption() }
    return result
  }
}

/// Why the in-memory queue did not answer.
package enum InMemoryQueueFault: Error, Sendable, Hashable {
  case notConnected
  case channelLost
}
