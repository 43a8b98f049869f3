package import AMQPClient

/// The work queue at RabbitMQ, as one consumer has it.
package struct AMQPTicketSubscription: TicketSubscription {
  /// The reconnecting consumer.
  package let consumer: AMQPConsumer

  package init(_ consumer: AMQPConsumer) { self.consumer = consumer }

  package var prefetch: Int { consumer.prefetch }
  package var isConnected: Bool { consumer.isConnected }
  package var channel: TicketChannel { TicketChannel(consumer.channel) }

  package func run() async throws { try await consumer.run() }

  package func next() async -> TicketDelivery? {
    var deliveries = consumer.deliveries.makeAsyncIterator()
    return await deliveries.next().map { TicketDelivery($0) }
  }

  @discardableResult
  package func settle(_ delivery: TicketDelivery, _ settlement: TicketSettlement) -> Bool {
    switch settlement {
    case .acknowledge: consumer.acknowledge(delivery.message) == .sent
    case .reject: consumer.reject(delivery.message, requeue: false) == .sent
    case .requeue: consumer.reject(delivery.message, requeue: true) == .sent
    }
  }

  package func pause() async { await consumer.stopConsuming(endsDeliveries: false) }
  package func end() async { await consumer.stopConsuming() }
  package func resume(limit: Int?) { consumer.resumeConsuming(limit: limit) }
  package func rebuildChannel() { consumer.rebuildChannel() }
  package func rebuildConnection() { consumer.rebuildConnection() }

  package func readyCount() async throws -> Int { try await consumer.queueStatus(consumer.queue).messagesReady }

  package func catchUp() async throws -> TicketPosition? { try await consumer.catchUp().map { TicketPosition($0) } }
}

extension TicketChannel {
  init(_ channel: AMQPConsumer.Channel) {
    self.init(generation: channel.generation, isOpen: channel.isOpen)
  }
}

extension TicketPosition {
  init(_ position: AMQPConsumer.Position) {
    self.init(generation: position.generation, tag: position.tag)
  }
}
