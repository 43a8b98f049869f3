import AMQPClient
import Logging

func consume(_ configuration: AMQPConfiguration, _ topology: AMQPTopology) async throws {
  let consumer = AMQPConsumer(
    configuration: configuration, topology: topology, queue: "orders.new", prefetch: 20,
    logger: Logger(label: "orders"))
  try await withThrowingDiscardingTaskGroup { group in
    group.addTask { try await consumer.run() }
    // One child for each delivery: the prefetch is what limits them.
    for await delivery in consumer.deliveries {
      group.addTask {
        if await handle(delivery.body) {
          consumer.acknowledge(delivery)
        } else {
          consumer.reject(delivery, requeue: false)
        }
      }
    }
  }
}

func handle(_ body: [UInt8]) async -> Bool { !body.isEmpty }
