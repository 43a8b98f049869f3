package import AMQPClient
internal import FoundationEssentials
package import Reviews

/// Publishes tickets on the work queue with confirms, and poison on the dead-letter exchange.
package struct TicketPublisher: Sendable {
  /// The reconnecting connection; whoever assembles the process runs it.
  package let publisher: AMQPPublisher
  /// The work queue.
  package let queue: String

  package init(publisher: AMQPPublisher, queue: String) {
    self.publisher = publisher
    self.queue = queue
  }

  /// Publishes a batch: persistent, mandatory, all confirms in flight together.
  /// - Returns: an outcome for each ticket, in order.
  package func publish(_ tickets: [(ticket: Ticket, trace: TraceContext)]) async -> [PublishOutcome] {
    await publisher.publish(
      tickets.map { ticket, trace in
        AMQPPublication(
          AMQPMessage(
            body: ticket.body, contentType: "application/json", type: "review.dispatch",
            messageID: UUID().lowercase, headers: ["traceparent": .string(trace.traceparent)]),
          exchange: ReviewTopology.exchange, routingKey: queue)
      })
  }

  /// Publishes what cannot be worked on to the dead-letter queue, as it came, with the reason.
  package func publishDead(_ delivery: Delivery, reason: String) async -> PublishOutcome {
    var headers = delivery.headers.filter { !$0.key.hasPrefix("x-") }
    headers[ReviewTopology.deadHeader] = "yes"
    headers[ReviewTopology.deadReasonHeader] = .string(reason)
    return await publisher.publish(
      AMQPMessage(
        body: delivery.body, contentType: delivery.contentType, type: delivery.type,
        messageID: UUID().lowercase, correlationID: delivery.messageID,
        // By this machine's clock: of what it has not rejected itself the broker keeps no time.
        timestamp: Int64(Date().timeIntervalSince1970), headers: headers),
      exchange: ReviewTopology.deadExchange, routingKey: queue)
  }

  /// What the broker says of the work queue; one that somebody has deleted is declared again.
  package func status() async throws(AMQPError) -> QueueStatus {
    do {
      return try await publisher.queueStatus(queue)
    } catch {
      guard error.code == 404 else { throw error }
      try await publisher.declareTopology()
      return try await publisher.queueStatus(queue)
    }
  }

  /// How many dead letters there are.
  package func deadCount() async throws(AMQPError) -> Int {
    try await publisher.queueStatus(ReviewTopology.deadQueue).messagesReady
  }

  /// Bytes of dead letters that one look takes into memory: whatever somebody has published is among them.
  private static let lookByteMax = 8 << 20

  /// The oldest dead letters, which stay where they are; the broker counts the look as a delivery of each.
  package func deadLetters(limit: Int) async throws(AMQPError) -> [DeadLetter] {
    DeadLetter.letters(
      try await publisher.peek(ReviewTopology.deadQueue, limit: limit, byteMax: Self.lookByteMax))
  }
}
