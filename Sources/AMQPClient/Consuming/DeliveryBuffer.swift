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
    var unread: Deque<Delivery> = []
    var ledger = AcknowledgementLedger()
    var reader: (id: UInt64, continuation: CheckedContinuation<Delivery?, Never>)?
    var nextReaderID: UInt64 = 1
    var isEnded = false
    var wake: (@Sendable () -> Void)?
    var isAwaited = false
  }

  private let state = Mutex(State())

  /// The last generation that began; 0 before the first.
  var generation: UInt64 { state.withLock { $0.generation } }
  /// Deliveries that were not yet read.
  var unreadCount: Int { state.withLock { $0.unread.count } }
  /// Deliveries received and not settled, those not yet read among them.
  var inHandCount: Int { state.withLock { $0.isLive ? $0.ledger.inHandCount : 0 } }

  // MARK: The reader's side

  /// The next delivery, without waiting.
  /// - Returns: nil where one must wait; `.some(nil)` at the end.
  func takeNow() -> Delivery?? {
    state.withLock { state in
      if let delivery = state.unread.popFirst() { return .some(delivery) }
      return state.isEnded ? .some(nil) : .none
    }
  }

  /// The next delivery; nil at the end and where the task is cancelled.
  func take(isolation: isolated (any Actor)? = #isolation) async -> Delivery? {
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

  private func wait(_ continuation: CheckedContinuation<Delivery?, Never>, id: UInt64) {
    let answer = state.withLock { state -> Delivery?? in
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

  /// Takes a decision about a delivery; the connection sends it in its next turn.
  func settle(_ delivery: Delivery, _ verdict: AcknowledgementLedger.Verdict) -> Settlement {
    let (settlement, wake) = state.withLock { state -> (Settlement, (@Sendable () -> Void)?) in
      guard state.isLive, delivery.generation == state.generation, state.ledger.decide(delivery.tag, verdict) else {
        return (.stale, nil)
      }
      if state.isAwaited { return (.sent, nil) }
      state.isAwaited = true
      return (.sent, state.wake)
    }
    wake?()
    return settlement
  }

  // MARK: The connection's side

  /// A channel is about to consume.
  /// - Parameter wake: called from any thread when there are decisions to send, once until `takeActions`.
  func begin(wake: @escaping @Sendable () -> Void) -> UInt64 {
    state.withLock { state in
      state.generation += 1
      state.isLive = true
      state.unread.removeAll()
      state.ledger = AcknowledgementLedger()
      state.wake = wake
      state.isAwaited = false
      return state.generation
    }
  }

  /// Hands over the deliveries of one round.
  /// - Returns: false where the broker's tags do not follow each other.
  func push(_ deliveries: [Delivery]) -> Bool {
    let (isInOrder, reader, first) = state.withLock { state in
      for delivery in deliveries {
        guard state.ledger.deliver(delivery.tag) else {
          return (false, nil as CheckedContinuation<Delivery?, Never>?, nil as Delivery?)
        }
        state.unread.append(delivery)
      }
      guard let reader = state.reader.take() else { return (true, nil, nil) }
      return (true, reader.continuation, state.unread.popFirst())
    }
    reader?.resume(returning: first)
    return isInOrder
  }

  /// The frames for the decisions taken since the last time.
  func takeActions() -> [AcknowledgementLedger.Action] {
    state.withLock { state in
      state.isAwaited = false
      return state.isLive ? state.ledger.flush() : []
    }
  }

  /// Whether decisions wait to be sent.
  var isAwaited: Bool { state.withLock { $0.isAwaited } }

  /// The channel is gone: the broker takes back what is unsettled, so nothing of it is read or settled any more.
  func invalidate() {
    state.withLock { state in
      state.isLive = false
      state.unread.removeAll()
      state.ledger = AcknowledgementLedger()
      state.wake = nil
      state.isAwaited = false
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
