internal import AMQPClient
package import Primitives
package import Reviews

/// A message of the work queue or of the dead letters: as it is published, and as a queue keeps it.
package struct TicketMessage: Sendable, Hashable {
  /// With all properties and headers, as the broker takes it.
  private(set) var content: AMQPMessage

  init(_ content: AMQPMessage) { self.content = content }

  /// A ticket.
  /// - Parameters:
  ///   - ticket: the body.
  ///   - trace: of the review.
  ///   - id: of the message.
  package init(_ ticket: Ticket, _ trace: TraceContext, id: String) {
    content = AMQPMessage(
      body: ticket.body, contentType: "application/json", type: "review.dispatch", messageID: id,
      headers: [TicketDelivery.traceHeader: .string(trace.traceparent)])
  }

  /// A body that may not be a ticket, without properties.
  package init(body: [UInt8]) { content = AMQPMessage(body: body) }

  /// The body; see `Ticket`.
  package var body: [UInt8] { content.body }

  /// Notes, as the broker does, that the message is a dead letter because it was delivered too often.
  package mutating func markOverDeliveryLimit() {
    content.headers[DeadLetter.brokersReasonHeader] = .string(DeadLetter.deliveryLimit)
  }

  /// The message as a subscription receives it, or a look at the dead letters.
  /// - Parameters:
  ///   - tag: see ``TicketDelivery/tag``.
  ///   - generation: see ``TicketDelivery/generation``.
  ///   - isRedelivered: whether it was delivered before.
  ///   - returnCount: how often it was delivered and came back.
  package func delivery(tag: UInt64, generation: UInt64, isRedelivered: Bool, returnCount: Int) -> TicketDelivery {
    var headers = content.headers
    if returnCount > 0 { headers["x-delivery-count"] = .int(Int64(returnCount)) }
    return TicketDelivery(
      AMQPDelivery(
        body: content.body, tag: tag, generation: generation, isRedelivered: isRedelivered,
        messageID: content.messageID, type: content.type, correlationID: content.correlationID,
        contentType: content.contentType, timestamp: content.timestamp, headers: headers))
  }
}

extension TicketDelivery {
  /// The message as it is published once more.
  package func renewed(id: String) -> TicketMessage {
    TicketMessage(
      AMQPMessage(
        body: message.body, contentType: message.contentType, type: message.type, messageID: id,
        headers: message.headers.filter { $0.key == Self.traceHeader }))
  }

  /// The message as a dead letter, whole.
  /// - Parameters:
  ///   - reason: shown with it.
  ///   - id: of the new message.
  ///   - time: when it died.
  package func dead(reason: String, id: String, at time: Timestamp) -> TicketMessage {
    TicketMessage(DeadLetterForm.whole.message(of: message, reason: reason, id: id, at: time))
  }
}
