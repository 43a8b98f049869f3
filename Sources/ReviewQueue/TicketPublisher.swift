package import AMQPClient
internal import FoundationEssentials
package import Logging
package import Primitives
package import Reviews

/// Publishes tickets on the work queue with confirms, and poison on the dead-letter exchange.
package struct TicketPublisher: Sendable {
  /// The reconnecting connection; the process's assembly runs it.
  package let publisher: AMQPPublisher
  /// The work queue.
  package let queue: String
  private let repair: TopologyRepair

  package init(publisher: AMQPPublisher, queue: String, logger: Logger) {
    self.publisher = publisher
    self.queue = queue
    repair = TopologyRepair(publisher: publisher, logger: logger)
  }

  /// Publishes a batch: persistent, mandatory, all confirms in flight together.
  /// - Returns: an outcome for each ticket, in order.
  package func publish(_ tickets: [(ticket: Ticket, trace: TraceContext)]) async -> [AMQPPublishOutcome] {
    await publish(
      tickets.map { ticket, trace in
        AMQPPublication(
          AMQPMessage(
            body: ticket.body, contentType: "application/json", type: "review.dispatch",
            messageID: UUID().lowercase, headers: ["traceparent": .string(trace.traceparent)]),
          exchange: ReviewTopology.exchange, routingKey: queue)
      })
  }

  /// Publishes; what comes back without a route is published once more if the topology could be declared again.
  private func publish(_ publications: [AMQPPublication]) async -> [AMQPPublishOutcome] {
    var outcomes = await publisher.publish(publications)
    let returned = outcomes.indices.filter { outcomes[$0].isReturned }
    guard !returned.isEmpty, await repair.declare(because: "a message has no route to its queue") else {
      return outcomes
    }
    let again = await publisher.publish(returned.map { publications[$0] })
    for (index, outcome) in zip(returned, again) { outcomes[index] = outcome }
    if !again.contains(where: \.isReturned) { repair.succeeded() }
    return outcomes
  }

  /// Publishes what cannot be worked on to the dead-letter queue, with the reason: as it came, or in a smaller form if the broker cannot
  /// take that.
  package func publishDead(_ delivery: AMQPDelivery, reason: String) async -> AMQPPublishOutcome {
    var outcome = AMQPPublishOutcome.notSent("it has no form that can be sent")
    for form in DeadLetterForm.allCases {
      let publication = form.publication(of: delivery, reason: reason, queue: queue)
      guard publisher.fault(of: publication) == nil else { continue }
      outcome = await publish([publication])[0]
      // Another form only if this one turned out to be what the connection does not carry.
      guard case .notSent = outcome, publisher.fault(of: publication) != nil else { return outcome }
    }
    return outcome
  }

  /// What the broker says of the work queue; one that was deleted is declared again.
  package func status() async throws(AMQPError) -> AMQPQueueStatus {
    await repair.declareNowAndThen()
    return try await declaringIfMissing { () throws(AMQPError) in try await publisher.queueStatus(queue) }
  }

  /// How many dead letters there are; a deleted queue of dead letters is declared again.
  package func deadCount() async throws(AMQPError) -> Int {
    try await declaringIfMissing { () throws(AMQPError) in
      try await publisher.queueStatus(ReviewTopology.deadQueue).messagesReady
    }
  }

  private func declaringIfMissing<Value>(_ look: () async throws(AMQPError) -> Value) async throws(AMQPError) -> Value {
    do {
      return try await look()
    } catch {
      guard error.cause == .notFound else { throw error }
      try await publisher.declareTopology()
      return try await look()
    }
  }

  /// Bytes of dead letters that one look takes into memory: messages of any size may be among them.
  private static let lookByteMax = 8 << 20

  /// The oldest dead letters, which stay where they are; the broker counts the look as a delivery of each.
  package func deadLetters(limit: Int) async throws(AMQPError) -> [DeadLetter] {
    try await declaringIfMissing { () throws(AMQPError) in
      DeadLetter.letters(
        try await publisher.peek(ReviewTopology.deadQueue, limit: limit, byteMax: Self.lookByteMax))
    }
  }
}

extension AMQPPublishOutcome {
  fileprivate var isReturned: Bool {
    if case .returned = self { true } else { false }
  }
}
