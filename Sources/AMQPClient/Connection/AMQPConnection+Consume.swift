// Consuming: deliveries into a buffer, decisions about them out of it.
extension AMQPConnection {
  /// Opens the main channel where it is not open, and consumes. A new channel begins a new generation.
  /// - Parameter isWanted: asked right before the method is sent: the owner may have changed its mind meanwhile.
  /// - Returns: the channel's epoch, or nil where consuming is not wanted.
  func startConsuming(
    _ queue: String, prefetch: Int, consumerTag: String, buffer: DeliveryBuffer,
    isWanted: @Sendable () -> Bool
  ) async throws(AMQPError) -> UInt64? {
    if channels[Self.mainChannel] == nil {
      try await openMainChannel()
      _ = try await call(.setPrefetch(prefetch), on: Self.mainChannel)
    }
    guard isWanted() else { return nil }
    let generation = beginConsumption(buffer, consumerTag)
    guard consumption?.isActive == false else { return generation }
    consumption?.isActive = true
    _ = try await call(.consume(queue: queue, consumerTag: consumerTag), on: Self.mainChannel)
    return generation
  }

  private func beginConsumption(_ buffer: DeliveryBuffer, _ consumerTag: String) -> UInt64 {
    if let consumption { return consumption.generation }
    let generation = buffer.begin { [weak self] delay in self?.wakeUp(after: delay) }
    consumption = Consumption(buffer: buffer, generation: generation, consumerTag: consumerTag)
    return generation
  }

  /// Ends the consumer and keeps the channel, so that what was delivered can be settled.
  func stopConsuming() async throws(AMQPError) {
    guard handle != nil, let consumption, consumption.isActive else { return }
    flushSettlements(early: true)
    // At once: the broker takes methods in order, so consuming again may be sent before this is answered.
    self.consumption?.isActive = false
    _ = try await call(.cancel(consumerTag: consumption.consumerTag), on: Self.mainChannel)
  }

  /// Closes the main channel: everything unsettled goes back to the broker.
  func closeMainChannel() async throws(AMQPError) {
    guard channels[Self.mainChannel] != nil else { return }
    flushSettlements(early: true)
    dropMainChannel(reason: "the channel was closed by this client")
    _ = try await call(.closeChannel, on: Self.mainChannel)
  }

  /// Sends the decisions taken.
  /// - Parameter early: also where more could be gathered.
  func flushSettlements(early: Bool = false) {
    guard let buffer = consumption?.buffer, early || buffer.isDue, canWrite() else { return }
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
