// Consuming: deliveries into a buffer, decisions about them out of it.
extension AMQPConnection {
  /// Opens the main channel if it is not open, and consumes. A new channel begins a new generation. A consumer with another prefetch is
  /// cancelled first.
  /// - Parameter wish: the most deliveries unsettled at once; nil if consuming is not wanted. Asked again whenever the broker has answered: the
  ///   owner may have changed its mind.
  /// - Returns: the channel's epoch, or nil if consuming is not wanted.
  func startConsuming(
    _ queue: String, consumerTag: String, buffer: DeliveryBuffer, wish: @Sendable () -> Int?
  ) async throws(AMQPError) -> UInt64? {
    if channels[Self.mainChannel] == nil { try await openMainChannel() }
    while let prefetch = wish() {
      if let consumption, let active = consumption.activePrefetch {
        if active == prefetch { return consumption.generation }
        try await stopConsuming { wish() != active }
        continue
      }
      // Holds for the consumer that begins next.
      _ = try await call(.setPrefetch(prefetch), on: Self.mainChannel)
      guard wish() == prefetch else { continue }
      let generation = beginConsumption(buffer, consumerTag)
      consumption?.activePrefetch = prefetch
      _ = try await call(.consume(queue: queue, consumerTag: consumerTag), on: Self.mainChannel)
      // The wish may have changed since the prefetch was set.
      if wish() == prefetch { return generation }
    }
    return nil
  }

  private func beginConsumption(_ buffer: DeliveryBuffer, _ consumerTag: String) -> UInt64 {
    if let consumption { return consumption.generation }
    let generation = buffer.begin { [weak self] delay in self?.wakeUp(after: delay) }
    consumption = ChannelConsumption(buffer: buffer, generation: generation, consumerTag: consumerTag)
    return generation
  }

  /// How long what the broker has begun to send has to arrive before a consumer is cancelled.
  private static let arrival: Duration = .milliseconds(20)

  /// Ends the consumer and keeps the channel, so that what was delivered can be settled.
  ///
  /// An acknowledgement makes room for another delivery. If that delivery is on its way when the broker reads the cancel, the broker
  /// takes it back and delivers it again, to another consumer. So decisions wait for the cancel's answer, and the cancel waits for the
  /// deliveries that earlier decisions made room for.
  /// - Parameter isWanted: asked right before the method is sent: the owner may have changed its mind.
  func stopConsuming(isWanted: @Sendable () -> Bool) async throws(AMQPError) {
    guard handle != nil, consumption?.isActive == true else { return }
    consumption?.holdsDecisions = true
    defer {
      consumption?.holdsDecisions = false
      flushSettlements(early: true)
    }
    try? await Task.sleep(for: Self.arrival)
    guard handle != nil, let consumption, consumption.isActive, isWanted() else { return }
    // At once: the broker takes methods in order, so consuming again may be sent before this is answered.
    self.consumption?.activePrefetch = nil
    _ = try await call(.cancel(consumerTag: consumption.consumerTag), on: Self.mainChannel)
  }

  /// Asks the broker for something through the main channel. It answers behind all that it has sent there before, and after it has
  /// processed all that it was sent.
  /// - Returns: the last delivery by then; nil without a channel.
  func catchUp(_ queue: String) async throws(AMQPError) -> AMQPConsumer.Position? {
    guard channels[Self.mainChannel] != nil, let consumption else { return nil }
    flushSettlements(early: true)
    // What came in the same round as the answer is handed over before this goes on, on the same thread.
    _ = try await call(.inspectQueue(queue), on: Self.mainChannel)
    let position = consumption.buffer.position
    return position?.generation == consumption.generation ? position : nil
  }

  /// Closes the main channel: everything unsettled goes back to the broker.
  func closeMainChannel() async throws(AMQPError) {
    guard channels[Self.mainChannel] != nil else { return }
    flushSettlements(early: true)
    dropMainChannel(reason: "the channel was closed by this client")
    _ = try await call(.closeChannel, on: Self.mainChannel)
  }

  /// Sends the decisions taken.
  /// - Parameter early: also if more could be gathered.
  func flushSettlements(early: Bool = false) {
    guard let buffer = consumption?.buffer, early || buffer.isDue, canWrite() else { return }
    if consumption?.holdsDecisions == true, !isClosing { return }
    handle?.holdBack(true)
    defer { handle?.holdBack(false) }
    for action in buffer.takeActions(early: early) {
      do {
        switch action {
        case .acknowledge(let tag, let multiple):
          try handle?.send(.acknowledge(tag: tag, multiple: multiple), channel: Self.mainChannel)
        case .reject(let tag, let requeue):
          try handle?.send(.reject(tag: tag, requeue: requeue), channel: Self.mainChannel)
        }
      } catch {
        return lose(error)
      }
    }
  }
}
