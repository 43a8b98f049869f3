package import AMQPClient

/// A message of the work queue as one subscription has received it, and what is needed to settle it.
package struct TicketDelivery: Sendable, Hashable {
  /// With all properties and headers: a dead letter keeps them.
  let message: AMQPDelivery

  package init(_ message: AMQPDelivery) { self.message = message }

  /// For tests; otherwise subscriptions make them.
  package init(body: [UInt8], tag: UInt64 = 1, generation: UInt64 = 1, isRedelivered: Bool = false) {
    message = AMQPDelivery(body: body, tag: tag, generation: generation, isRedelivered: isRedelivered)
  }

  /// The body; see `Ticket`.
  package var body: [UInt8] { message.body }
  /// Counts up from 1 on every channel.
  package var tag: UInt64 { message.tag }
  /// Which of the subscription's channels it came through. Once that channel is gone, the queue delivers the message again under a new tag,
  /// and settling the old delivery has no effect.
  package var generation: UInt64 { message.generation }
  /// Whether the queue has delivered it before, to any subscription.
  package var isRedelivered: Bool { message.isRedelivered }
  /// How often it was delivered and came back unsettled; 0 at first.
  package var returnCount: Int { message.deliveryCount }
  /// The publisher's message id.
  package var messageID: String? { message.messageID }
  /// The trace of the review, as the publisher sent it.
  package var traceparent: String? { message.headers[Self.traceHeader]?.stringValue }

  static let traceHeader = "traceparent"
}

/// What happens to a delivery.
package enum TicketSettlement: Sendable, Hashable, CaseIterable {
  /// The dispatch has succeeded: the queue forgets the ticket.
  case acknowledge
  /// The row says what is next: the queue drops the ticket.
  case reject
  /// Not decided here: the queue delivers the ticket again, here or elsewhere, and counts that.
  case requeue
}

/// What deliveries come through. It changes when the channel is lost, and when the next one is open.
package struct TicketChannel: Sendable, Hashable {
  /// See ``TicketDelivery/generation``; 0 before the first.
  package var generation: UInt64
  /// Whether it is open; otherwise the next one has another generation.
  package var isOpen: Bool

  package init(generation: UInt64, isOpen: Bool) {
    self.generation = generation
    self.isOpen = isOpen
  }
}

/// A place in the sequence of deliveries.
package struct TicketPosition: Sendable, Hashable {
  /// See ``TicketDelivery/generation``.
  package var generation: UInt64
  /// See ``TicketDelivery/tag``; 0 before the first.
  package var tag: UInt64

  package init(generation: UInt64, tag: UInt64) {
    self.generation = generation
    self.tag = tag
  }
}
