internal import DequeModule
internal import Synchronization

/// What stands between the connection's thread and the one reader: deliveries not yet read, and decisions not yet sent.
///
/// One lock for both, hardly ever contended: the thread hands over a whole round of frames at once, and the reader only
/// suspends when nothing is there. Both sides are bounded by the prefetch: the broker sends no more than that
/// unsettled.
final class DeliveryBuffer: Sendable {
  private struct State {
    var generation: UInt64 = 0
    /// Whether the channel of `generation` is there.
    var isLive = false
    var unread: Deque<AMQPDelivery> = []
    var ledger = AcknowledgementLedger()
    var reader: (id: UInt64, continuation: CheckedContinuation<AMQPDelivery?, Never>)?
    var nextReaderID: UInt64 = 1
    var isEnded = false
    var wake: (@Sendable (Duration) -> Void)?
    /// When the decisions taken are to be sent; nil if there are none.
    var due: ContinuousClock.Instant?
  }

  /// How long a decision waits for others that can share its frame. The broker writes each frame on its own, so its cost follows the frames,
  /// not the messages. At most a quarter of the prefetch waits, too little to hold up deliveries for that time.
  private static let gathering: Duration = .milliseconds(10)

  private let gatheredMax: Int
  private let state = Mutex(State())

  /// - Parameter prefetch: the most unsettled deliveries.
  init(prefetch: Int) { gatheredMax = max(1, prefetch / 4) }

  /// The last generation that began; 0 before the first.
  var generation: UInt64 { state.withLock { $0.generation } }
  /// Which channel deliveries come through, and whether it is there.
  var channel: AMQPConsumer.Channel {
    state.withLock { AMQPConsumer.Channel(generation: $0.generation, isOpen: $0.isLive) }
  }
  /// The last delivery received through the channel that is there; tag 0 before the first, nil without a channel.
  var position: AMQPConsumer.Position? {
    state.withLock { $0.isLive ? AMQPConsumer.Position(generation: $0.generation, tag: $0.ledger.lastTag) : nil }
  }
  /// Deliveries that were not yet read.
  var unreadCount: Int { state.withLock { $0.unread.count } }
  /// Deliveries received and not settled, those not yet read among them.
  var inHandCount: Int { state.withLock { $0.isLive ? $0.ledger.inHandCount : 0 } }

  // MARK: The reader's side

  /// The next delivery, without waiting.
  /// - Returns: nil if the reader must wait; `.some(nil)` at the end.
  func takeNow() -> AMQPDelivery?? {
    state.withLock { state in
      if let delivery = state.unread.popFirst() { return .some(delivery) }
      return state.isEnded ? .some(nil) : .none
    }
  }

  /// The next delivery; nil at the end and if the task is cancelled.
  func take(isolation: isolated (any Actor)? = #isolation) async -> AMQPDelivery? {
    if let answer = takeNow() { return answer }
    let id = state.withLock { state in
      defer { state.nextReaderID += 1 }
      return state.nextReaderID
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation(isolation: isolation) { continuation in
        wait(continuation, id: id)
      }
    } onCancel: {
      cancelReader(id)
    }
  }

  private func wait(_ continuation: CheckedContinuation<AMQPDelivery?, Never>, id: UInt64) {
    let answer = state.withLock { state -> AMQPDelivery?? in
      if let delivery = state.unread.popFirst() { return .some(delivery) }
      if state.isEnded || Task.isCancelled { return .some(nil) }
      precondition(state.reader == nil, "deliveries have one reader")
      state.reader = (id, continuation)
      return .none
    }
    if let answer { continuation.resume(returning: answer) }
  }

  private func cancelReader(_ id: UInt64) {
    let reader = state.withLock { state in
      state.reader?.id == id ? state.reader.take() : nil
    }
    reader?.continuation.resume(returning: nil)
  }

  /// Takes a decision about a delivery; the connection sends it soon.
  func settle(_ delivery: AMQPDelivery, _ verdict: AcknowledgementLedger.Verdict) -> AMQPSettlement {
    let (settlement, wake, delay) = state.withLock {
      state -> (AMQPSettlement, (@Sendable (Duration) -> Void)?, Duration) in
      guard state.isLive, delivery.generation == state.generation, state.ledger.decide(delivery.tag, verdict) else {
        return (.stale, nil, .zero)
      }
      if state.ledger.decisionCount < gatheredMax, case .acknowledge = verdict {
        guard state.due == nil else { return (.sent, nil, .zero) }
        state.due = .now + Self.gathering
        return (.sent, state.wake, Self.gathering)
      }
      let now = ContinuousClock.now
      if let due = state.due, due <= now { return (.sent, nil, .zero) }
      state.due = now
      return (.sent, state.wake, .zero)
    }
    wake?(delay)
    return settlement
  }

  // MARK: The connection's side

  /// A channel is about to consume.
  /// - Parameter wake: called from any thread when there will be decisions to send, with the time until then.
  func begin(wake: @escaping @Sendable (Duration) -> Void) -> UInt64 {
    state.withLock { state in
      state.generation += 1
      state.isLive = true
      state.unread.removeAll()
      state.ledger = AcknowledgementLedger()
      state.wake = wake
      state.due = nil
      return state.generation
    }
  }

  /// Hands over the deliveries of one round.
  /// - Returns: false if the broker's tags do not follow each other.
  func push(_ deliveries: [AMQPDelivery]) -> Bool {
    let (isInOrder, reader, first) = state.withLock { state in
      for delivery in deliveries {
        guard state.ledger.deliver(delivery.tag) else {
          return (false, nil as CheckedContinuation<AMQPDelivery?, Never>?, nil as AMQPDelivery?)
        }
        state.unread.append(delivery)
      }
      guard let reader = state.reader.take() else { return (true, nil, nil) }
      return (true, reader.continuation, state.unread.popFirst())
    }
    reader?.resume(returning: first)
    return isInOrder
  }

  /// The frames to send now.
  /// - Parameter early: those of all decisions; otherwise some may be kept for a while, and the connection is woken for them.
  func takeActions(early: Bool) -> [AcknowledgementLedger.Action] {
    let (actions, wake) = state.withLock { state -> ([AcknowledgementLedger.Action], (@Sendable (Duration) -> Void)?) in
      state.due = nil
      guard state.isLive else { return ([], nil) }
      let actions = state.ledger.flush(early: early)
      guard state.ledger.decisionCount > 0 else { return (actions, nil) }
      state.due = .now + Self.gathering
      return (actions, state.wake)
    }
    wake?(Self.gathering)
    return actions
  }

  /// Whether decisions are to be sent now.
  var isDue: Bool { state.withLock { $0.due.map { $0 <= .now } ?? false } }

  /// The channel is gone: the broker takes back what is unsettled, so nothing of it is read or settled any more.
  func invalidate() {
    state.withLock { state in
      state.isLive = false
      state.unread.removeAll()
      state.ledger = AcknowledgementLedger()
      state.wake = nil
      state.due = nil
    }
  }

  /// The sequence ends after what was received.
  func end() {
    let reader = state.withLock { state in
      state.isEnded = true
      return state.unread.isEmpty ? state.reader.take() : nil
    }
    reader?.continuation.resume(returning: nil)
  }

  /// A new iteration of the sequence finds deliveries again.
  func reopen() { state.withLock { $0.isEnded = false } }
}
