import AMQPClient
import ReviewQueue
import Support
import Testing

/// With a broker of its own: the dead letters of other tests would be counted.
@Suite("The work queue at RabbitMQ", .serialized, .ownBroker, .timeLimit(.minutes(5)))
struct TicketQueueConformanceTests {
  private let broker: BrokerServer

  init() throws { broker = try #require(OwnBroker.current) }

  @Test("it does what every queue of tickets has to do", arguments: TicketQueueConformance.allCases)
  func conforms(_ promise: TicketQueueConformance) async throws {
    let (broker, name) = (broker, uniqueName("conformance"))
    let topology = ReviewTopology.topology(queue: name)
    try await withPublisher(topology, broker.configuration("publisher")) { publisher in
      try await promise.run(
        TicketQueueConformance.Harness(
          queue: AMQPTicketQueue(publisher: publisher, queue: name, logger: .brokerTests),
          subscribe: { prefetch in
            AMQPTicketSubscription(
              AMQPConsumer(
                configuration: try broker.configuration("consumer"), topology: topology, queue: name,
                prefetch: prefetch, logger: .brokerTests))
          },
          purge: { _ = try await publisher.purge(name) },
          delete: {
            _ = try await withAMQPConnection(broker.configuration()) { try await $0.deleteQueue(name) }
          },
          publish: { body in
            let outcome = await publisher.publish(
              AMQPMessage(body: body), exchange: ReviewTopology.exchange, routingKey: name)
            try conforming(outcome == .confirmed, "a body is taken")
          }))
    }
  }
}
