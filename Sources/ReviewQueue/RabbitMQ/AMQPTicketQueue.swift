package import AMQPClient
package import Logging
package import Primitives
package import Reviews

/// The work queue at RabbitMQ: tickets are published with confirms, and poison on the dead-letter exchange.
package struct AMQPTicketQueue: TicketQueue {
  /// The reconnecting connection; the process's assembly runs it.
  package let publisher: AMQPPublisher
  package let name: String
  private let repair: TopologyRepair
  private let ids = MessageIDs()

  package init(publisher: AMQPPublisher, queue: String, logger: Logger) {
    self.publisher = publisher
    name = queue
    repair = TopologyRepair(publisher: publisher, logger: logger)
  }

  package var isConnected: Bool { publisher.isConnected }
  package var isBlocked: Bool { publisher.isBlocked }

  /// As persistent, mandatory messages.
  package func publish(_ tickets: [(ticket: Ticket, trace: TraceContext)]) async -> [TicketPublishOutcome] {
    await publish(
      tickets.map { ticket, trace in
        AMQPPublication(
          TicketMessage(ticket, trace, id: ids.next()).content, exchange: ReviewTopology.exchange,
          routingKey: name)
      }
    ).map { TicketPublishOutcome($0) }
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

  package func republish(_ delivery: TicketDelivery) async -> TicketPublishOutcome {
    TicketPublishOutcome(
      await publisher.publish(
        delivery.renewed(id: ids.next()).content, exchange: ReviewTopology.exchange, routingKey: name))
  }

  package func publishDead(_ delivery: TicketDelivery, reason: String) async -> TicketPublishOutcome {
    var outcome = AMQPPublishOutcome.notSent("it has no form that can be sent")
    for form in DeadLetterForm.allCases {
      let publication = form.publication(
        of: delivery.message, reason: reason, queue: name, id: ids.next(), at: .processNow)
      guard publisher.fault(of: publication) == nil else { continue }
      outcome = await publish([publication])[0]
      // Another form only if this one turned out to be what the connection does not carry.
      guard case .notSent = outcome, publisher.fault(of: publication) != nil else { break }
    }
    return TicketPublishOutcome(outcome)
  }

  package func status() async throws(AMQPError) -> TicketQueueStatus {
    await repair.declareNowAndThen()
    return TicketQueueStatus(
      try await declaringIfMissing { () throws(AMQPError) in try await publisher.queueStatus(name) })
  }

  /// A deleted queue of dead letters is declared again.
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

  package func deadLetters(limit: Int) async throws(AMQPError) -> [DeadLetter] {
    try await declaringIfMissing { () throws(AMQPError) in
      DeadLetter.letters(
        try await publisher.peek(ReviewTopology.deadQueue, limit: limit, byteMax: DeadLetter.lookByteMax))
    }
  }

  /// Deletes the dead letters with a message id, among the oldest.
  /// - Parameters:
  ///   - messageID: as ``DeadLetter`` has it.
  ///   - limit: how many are looked at.
  /// - Returns: how many were deleted.
  package func deleteDeadLetters(_ messageID: String, limit: Int) async throws(AMQPError) -> Int {
    try await declaringIfMissing { () throws(AMQPError) in
      try await publisher.remove(from: ReviewTopology.deadQueue, limit: limit) {
        DeadLetter($0).messageId == messageID
      }.count
    }
  }
}

extension AMQPPublishOutcome {
  fileprivate var isReturned: Bool {
    if case .returned = self { true } else { false }
  }
}

extension TicketQueueStatus {
  init(_ status: AMQPQueueStatus) {
    self.init(messagesReady: status.messagesReady, consumers: status.consumers)
  }
}

extension TicketPublishOutcome {
  init(_ outcome: AMQPPublishOutcome) {
    self =
      switch outcome {
      case .confirmed: .confirmed
      case .nacked: .nacked
      case .returned(let code, let text): .returned(code: code, text: text)
      case .unknown(let reason): .unknown(reason)
      case .notSent(let reason): .notSent(reason)
      }
  }
}
