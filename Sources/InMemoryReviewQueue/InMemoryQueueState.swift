internal import DequeModule
internal import ReviewQueue

/// What an ``InMemoryTicketQueue`` holds: messages that are ready, dead letters, and the subscriptions with what they have received.
struct InMemoryQueueState {
  /// A message in the queue.
  struct Message {
    var content: TicketMessage
    /// How often it was delivered and came back.
    var returnCount = 0
    var wasDelivered = false

    func delivery(tag: UInt64, generation: UInt64) -> TicketDelivery {
      content.delivery(tag: tag, generation: generation, isRedelivered: wasDelivered, returnCount: returnCount)
    }
  }

  /// A message that was delivered and not settled.
  struct Unsettled {
    /// nil if the queue was deleted since.
    var message: Message?
  }

  /// What one subscription has.
  struct Subscription {
    var prefetch: Int
    /// What is allowed of the prefetch; nil for all of it.
    var limit: Int?
    /// How many more are delivered now, as a quorum queue counts: see ``resume(limit:)``.
    var credit: Int
    var isRunning = false
    var isConsuming = true
    var isEnded = false
    var generation: UInt64 = 0
    var isOpen = false
    /// Whether its channel delivers nothing.
    var isStalled = false
    var lastTag: UInt64 = 0
    var unread: Deque<TicketDelivery> = []
    /// Delivered and not settled, by their tags.
    var unsettled: [UInt64: Unsettled] = [:]
    var reader: (id: UInt64, continuation: CheckedContinuation<TicketDelivery?, Never>)?

    var hasRoom: Bool { isOpen && !isStalled && isConsuming && credit > 0 }

    init(prefetch: Int) {
      self.prefetch = prefetch
      credit = prefetch
    }

    /// Consumes. The queue begins with the limit less what is unsettled; each that is settled makes room for one more, up to the limit.
    mutating func resume(limit: Int?) {
      if isConsuming && limit == self.limit { return }
      self.limit = limit
      isConsuming = true
      credit = max(0, (limit ?? prefetch) - unsettled.count)
    }

    mutating func hasSettled() { credit = min(limit ?? prefetch, credit + 1) }

    /// Receives a message.
    /// - Returns: the reader that has waited for it; nil if none has.
    mutating func take(
      _ message: Message
    ) -> (reader: CheckedContinuation<TicketDelivery?, Never>, delivery: TicketDelivery)? {
      lastTag += 1
      credit -= 1
      let delivery = message.delivery(tag: lastTag, generation: generation)
      var delivered = message
      delivered.wasDelivered = true
      unsettled[lastTag] = Unsettled(message: delivered)
      if let reader = reader.take() { return (reader.continuation, delivery) }
      unread.append(delivery)
      return nil
    }
  }

  var isConnected = true
  var isBlocked = false
  var fault: (@Sendable ([UInt8]) -> InMemoryTicketQueue.PublishFault?)?
  var ready: Deque<Message> = []
  var dead: [Message] = []
  private(set) var subscriptions: [UInt64: Subscription] = [:]
  private var nextID: UInt64 = 1
  /// Whose turn it is to receive.
  private var turn: UInt64 = 0
  private var resumptions: [@Sendable () -> Void] = []
  private var lastMessageID = 0

  /// Why nothing can be published now; nil if it can.
  var reasonNotToSend: String? {
    if !isConnected { return "there is no connection" }
    return isBlocked ? "the queue is blocked" : nil
  }

  var subscriptionIDs: [UInt64] { subscriptions.keys.sorted() }
  var consumerCount: Int { subscriptions.values.count { $0.isOpen && $0.isConsuming } }

  // MARK: Messages

  /// Another one each time, and the same in each run.
  mutating func makeMessageID() -> String {
    lastMessageID += 1
    return "message-\(lastMessageID)"
  }

  mutating func enqueue(_ message: TicketMessage) { ready.append(Message(content: message)) }

  mutating func bury(_ message: TicketMessage) { dead.append(Message(content: message)) }

  mutating func delete() {
    ready.removeAll()
    for id in subscriptionIDs {
      _ = change(id) { subscription in
        subscription.unread.removeAll()
        subscription.unsettled = subscription.unsettled.mapValues { _ in Unsettled() }
      }
    }
  }

  /// The first dead letters; the look counts as a delivery of each.
  mutating func lookAtDead(limit: Int) -> [TicketDelivery] {
    dead.indices.prefix(limit).map { index in
      defer { dead[index].returnCount += 1 }
      return dead[index].delivery(tag: UInt64(index + 1), generation: 1)
    }
  }

  /// Puts messages back at the head of the queue, in their order; those over the delivery limit become dead letters.
  private mutating func giveBack(_ messages: [Message]) {
    var back: [Message] = []
    for var message in messages {
      message.returnCount += 1
      if message.returnCount > Int(ReviewTopology.deliveryLimit) {
        message.returnCount = 0
        message.content.markOverDeliveryLimit()
        dead.append(message)
      } else {
        back.append(message)
      }
    }
    for message in back.reversed() { ready.prepend(message) }
  }

  // MARK: Subscriptions

  mutating func addSubscription(prefetch: Int) -> UInt64 {
    defer { nextID += 1 }
    subscriptions[nextID] = Subscription(prefetch: prefetch)
    return nextID
  }

  mutating func change<Result>(_ id: UInt64, _ body: (inout Subscription) -> Result) -> Result? {
    guard let index = subscriptions.index(forKey: id) else { return nil }
    return body(&subscriptions.values[index])
  }

  mutating func stall() {
    for id in subscriptionIDs { _ = change(id) { $0.isStalled = $0.isOpen } }
  }

  mutating func openChannel(of id: UInt64) {
    let isConnected = isConnected
    _ = change(id) { subscription in
      guard isConnected, subscription.isRunning, !subscription.isOpen else { return }
      subscription.generation += 1
      subscription.isOpen = true
      subscription.isStalled = false
      subscription.lastTag = 0
      subscription.credit = subscription.limit ?? subscription.prefetch
    }
  }

  mutating func closeChannel(of id: UInt64) {
    let messages = change(id) { subscription -> [Message] in
      subscription.isOpen = false
      subscription.unread.removeAll()
      defer { subscription.unsettled.removeAll() }
      return subscription.unsettled.sorted { $0.key < $1.key }.compactMap(\.value.message)
    }
    giveBack(messages ?? [])
  }

  /// Its `next()` ends after what is unread.
  mutating func end(_ id: UInt64) {
    subscriptions[id]?.isEnded = true
    guard subscriptions[id]?.unread.isEmpty ?? false, let reader = subscriptions[id]?.reader.take() else { return }
    resumptions.append { reader.continuation.resume(returning: nil) }
  }

  mutating func settle(_ id: UInt64, _ delivery: TicketDelivery, _ settlement: TicketSettlement) -> Bool {
    guard subscriptions[id]?.isOpen ?? false, subscriptions[id]?.generation == delivery.generation,
      let unsettled = subscriptions[id]?.unsettled.removeValue(forKey: delivery.tag)
    else { return false }
    subscriptions[id]?.hasSettled()
    if settlement == .requeue, let message = unsettled.message { giveBack([message]) }
    return true
  }

  // MARK: Delivering

  /// Hands out what is ready, to subscriptions in turn.
  mutating func deliver() {
    while !ready.isEmpty, let id = nextReceiver(), let message = ready.popFirst() {
      turn = id
      let reading = change(id) { $0.take(message) } ?? nil
      if let reading { resumptions.append { reading.reader.resume(returning: reading.delivery) } }
    }
  }

  private func nextReceiver() -> UInt64? {
    let ids = subscriptionIDs.filter { subscriptions[$0]?.hasRoom ?? false }
    return ids.first { $0 > turn } ?? ids.first
  }

  mutating func takeResumptions() -> [@Sendable () -> Void] {
    defer { resumptions = [] }
    return resumptions
  }
}
