internal import DequeModule
internal import Resilience
package import ReviewQueue
internal import Synchronization

/// A subscription of an ``InMemoryTicketQueue``.
package struct InMemoryTicketSubscription: TicketSubscription {
  package let prefetch: Int
  private let queue: InMemoryTicketQueue
  private let id: UInt64
  private let readers = ReaderIDs()

  init(_ queue: InMemoryTicketQueue, id: UInt64, prefetch: Int) {
    self.queue = queue
    self.id = id
    self.prefetch = prefetch
  }

  package var isConnected: Bool { queue.state.withLock { $0.subscriptions[id]?.isOpen ?? false } }

  package var channel: TicketChannel {
    queue.state.withLock { state in
      let subscription = state.subscriptions[id]
      return TicketChannel(generation: subscription?.generation ?? 0, isOpen: subscription?.isOpen ?? false)
    }
  }

  package func run() async throws {
    queue.change { state in
      _ = state.change(id) { $0.isRunning = true }
      state.openChannel(of: id)
    }
    // Until the task is cancelled.
    _ = try? await Wakeup(clock: queue.clock).wait(until: nil)
    queue.change { state in
      _ = state.change(id) { $0.isRunning = false }
      state.closeChannel(of: id)
      state.end(id)
    }
  }

  package func next() async -> TicketDelivery? {
    let reader = readers.next()
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in read(reader, continuation) }
    } onCancel: {
      let waiting = queue.state.withLock { state in
        state.change(id) { $0.reader?.id == reader ? $0.reader.take() : nil } ?? nil
      }
      waiting?.continuation.resume(returning: nil)
    }
  }

  /// The task's flag is read under the lock: a cancellation either finds the reader or is seen here.
  private func read(_ reader: UInt64, _ continuation: CheckedContinuation<TicketDelivery?, Never>) {
    let answer = queue.state.withLock { state in
      state.change(id) { subscription -> TicketDelivery?? in
        if let delivery = subscription.unread.popFirst() { return .some(delivery) }
        if subscription.isEnded || Task.isCancelled { return .some(nil) }
        precondition(subscription.reader == nil, "deliveries have one reader")
        subscription.reader = (reader, continuation)
        return .none
      } ?? .some(nil)
    }
    if let answer { continuation.resume(returning: answer) }
  }

  @discardableResult
  package func settle(_ delivery: TicketDelivery, _ settlement: TicketSettlement) -> Bool {
    queue.change { $0.settle(id, delivery, settlement) }
  }

  package func pause() async {
    queue.change { state in _ = state.change(id) { $0.isConsuming = false } }
  }

  package func end() async {
    queue.change { state in
      _ = state.change(id) { $0.isConsuming = false }
      state.end(id)
    }
  }

  package func resume(limit: Int?) {
    queue.change { state in
      _ = state.change(id) { subscription in
        subscription.resume(limit: limit)
        subscription.isEnded = false
      }
    }
  }

  package func rebuildChannel() {
    queue.change { state in
      state.closeChannel(of: id)
      state.openChannel(of: id)
    }
  }

  package func rebuildConnection() { rebuildChannel() }

  /// Cuts the connection of this subscription alone, until ``reconnect()``: what is unsettled goes back to the queue.
  package func disconnect() {
    queue.change { state in
      _ = state.change(id) { $0.isRunning = false }
      state.closeChannel(of: id)
    }
  }

  /// Lets the connection be made again.
  package func reconnect() {
    queue.change { state in
      _ = state.change(id) { $0.isRunning = true }
      state.openChannel(of: id)
    }
  }

  package func readyCount() async throws -> Int {
    try queue.state.withLock { state in
      guard state.subscriptions[id]?.isOpen ?? false else { throw InMemoryQueueFault.notConnected }
      return state.ready.count
    }
  }

  package func catchUp() async throws -> TicketPosition? {
    queue.state.withLock { state in
      guard let subscription = state.subscriptions[id], subscription.isOpen else { return nil }
      return TicketPosition(generation: subscription.generation, tag: subscription.lastTag)
    }
  }
}

/// Distinguishes the readers of a subscription, for their cancellation.
private final class ReaderIDs: Sendable {
  private let last = Atomic<UInt64>(0)

  func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue }
}
