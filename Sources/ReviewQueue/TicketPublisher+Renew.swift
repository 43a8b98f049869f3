package import AMQPClient
internal import FoundationEssentials
internal import Primitives
internal import Reviews

extension TicketPublisher {
  /// Publishes a ticket once more, as it came: the broker counts the deliveries of the copy from zero.
  ///
  /// The row carries the review, not the message: what was given back because of an outage must not add up to the delivery limit.
  package func renew(_ delivery: AMQPDelivery) async -> AMQPPublishOutcome {
    await publisher.publish(
      AMQPMessage(
        body: delivery.body, contentType: delivery.contentType, type: delivery.type, messageID: UUID().lowercase,
        headers: delivery.headers.filter { $0.key == "traceparent" }),
      exchange: ReviewTopology.exchange, routingKey: queue)
  }
}
