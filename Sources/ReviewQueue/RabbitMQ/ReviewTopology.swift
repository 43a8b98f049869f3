package import AMQPClient

/// The names at the broker, and what is declared there.
package enum ReviewTopology {
  /// Durable direct exchange; the routing key is the queue's name.
  package static let exchange = "baton"
  /// Headers exchange that dead letters go through.
  package static let deadExchange = "baton.dead"
  /// Where poison ends: at most 100,000 messages and seven days, the oldest dropped.
  package static let deadQueue = "baton.dead"
  /// Marks a message that Baton itself publishes as poison.
  package static let deadHeader = "baton-dead"
  /// Why Baton published it as poison.
  package static let deadReasonHeader = "baton-dead-reason"
  /// How many bytes its headers took, if they could not be kept.
  package static let deadHeaderBytesHeader = "baton-dead-header-bytes"
  /// How many bytes its body had, if only the beginning could be kept.
  package static let deadBodyBytesHeader = "baton-dead-body-bytes"
  /// How often the broker delivers a message before it calls it poison. Consumers that die count, so it is far above the
  /// redeliveries of a rolling deploy; a review's own attempts are counted in Postgres.
  package static let deliveryLimit: Int64 = 20

  /// From this many deliveries on, a consumer that cannot decide a ticket because of an outage publishes a copy of it, and rejects it.
  package static let republishLimit = Int(deliveryLimit) / 2

  /// All of it, for one work queue. Declared by every process at every connect.
  ///
  /// The dead-letter exchange is a headers exchange, so that only poison is kept: messages over the delivery limit, and those
  /// that Baton publishes there itself. Every other reject matches no binding and vanishes: the row says what is next.
  package static func topology(queue: String) -> AMQPTopology {
    AMQPTopology(
      exchanges: [AMQPExchange(exchange, kind: .direct), AMQPExchange(deadExchange, kind: .headers)],
      queues: [
        .quorum(deadQueue, arguments: ["x-max-length": 100_000, "x-message-ttl": 604_800_000]),
        .quorum(
          queue, arguments: ["x-delivery-limit": .int(deliveryLimit), "x-dead-letter-exchange": .string(deadExchange)]),
      ],
      bindings: [
        AMQPBinding(
          queue: deadQueue, exchange: deadExchange,
          arguments: ["x-match": "all-with-x", DeadLetter.brokersReasonHeader: .string(DeadLetter.deliveryLimit)]),
        AMQPBinding(queue: deadQueue, exchange: deadExchange, arguments: ["x-match": "all", deadHeader: "yes"]),
        AMQPBinding(queue: queue, exchange: exchange, routingKey: queue),
      ])
  }
}
