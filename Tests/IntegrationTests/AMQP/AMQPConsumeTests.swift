import Support
import Testing

@testable import AMQPClient

@Suite("AMQP consuming", .timeLimit(.minutes(5)))
struct AMQPConsumeTests {
  private func publish(_ count: Int, to name: String, _ topology: AMQPTopology) async throws {
    try await withPublisher(topology) { publisher in
      let outcomes = await publisher.publish(
        (0..<count).map { AMQPPublication(AMQPMessage(body: [], messageID: "m\($0)"), exchange: "", routingKey: name) },
        timeout: .seconds(30))
      #expect(outcomes.allSatisfy { $0 == .confirmed })
    }
  }

  private func ready(_ name: String) async throws -> Int {
    try await withAMQPConnection { try await $0.queueStatus(name).messagesReady }
  }

  @Test("the broker keeps what exceeds the prefetch, and an acknowledgement makes room for one")
  func prefetch() async throws {
    try await withTestQueue { name, topology in
      try await publish(20, to: name, topology)
      try await withConsumer(topology, queue: name, prefetch: 5) { consumer in
        try await eventually("five deliveries") { consumer.unsettledCount == 5 }
        #expect(try await consumer.queueStatus(name) == AMQPQueueStatus(messagesReady: 15, consumers: 1))
        var iterator = consumer.deliveries.makeAsyncIterator()
        let first = try #require(await iterator.next())
        #expect(consumer.acknowledge(first) == .sent)
        #expect(consumer.acknowledge(first) == .stale)
        #expect(consumer.reject(first, requeue: true) == .stale)
        try await eventually("one more delivery") { try await consumer.queueStatus(name).messagesReady == 14 }
        #expect(consumer.unsettledCount == 5)
      }
      try await eventually("the unsettled to be back") { try await self.ready(name) == 19 }
    }
  }

  @Test("looks at queues use one channel again and again, which is opened once more after a refusal")
  func looks() async throws {
    try await withTestQueue { name, topology in
      try await withAMQPConnection { connection in
        try await connection.declare(topology)
        _ = try await connection.queueStatus(name)
        let first = try #require(await connection.lookChannelState)
        for _ in 0..<3 { _ = try await connection.queueStatus(name) }
        #expect(await connection.lookChannelState == first)
        await #expect(throws: AMQPError.self) { try await connection.queueStatus("missing") }
        #expect(await connection.lookChannelState == nil)
        _ = try await connection.queueStatus(name)
        #expect(await connection.lookChannelState != nil)
      }
    }
  }

  @Test("acknowledged in any order and from many tasks, every message is gone and none comes again")
  func acknowledges() async throws {
    try await withTestQueue { name, topology in
      try await publish(2_000, to: name, topology)
      try await withConsumer(topology, queue: name, prefetch: 100) { consumer in
        var ids: Set<String> = []
        await withDiscardingTaskGroup { group in
          for await delivery in consumer.deliveries {
            ids.insert(delivery.messageID ?? "")
            group.addTask {
              for _ in 0..<Int.random(in: 0...3) { await Task.yield() }
              #expect(consumer.acknowledge(delivery) == .sent)
            }
            if ids.count == 2_000 { break }
          }
        }
        #expect(ids.count == 2_000)
        #expect(consumer.unsettledCount == 0)
      }
      #expect(try await ready(name) == 0)
    }
  }

  @Test("a rejected delivery goes to the dead-letter queue, a requeued one comes again and counts")
  func rejects() async throws {
    try await withTestQueue { dead, deadTopology in
      let arguments: AMQPTable = [
        "x-delivery-limit": 20, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": .string(dead),
      ]
      try await withTestQueue(arguments: arguments) { name, topology in
        try await publish(1, to: name, topology)
        try await withConsumer(topology, queue: name) { consumer in
          var iterator = consumer.deliveries.makeAsyncIterator()
          let first = try #require(await iterator.next())
          #expect(first.deliveryCount == 0 && !first.isRedelivered)
          #expect(consumer.reject(first, requeue: true) == .sent)
          let second = try #require(await iterator.next())
          #expect(second.messageID == first.messageID)
          #expect(second.deliveryCount == 1 && second.isRedelivered)
          #expect(consumer.reject(second, requeue: false) == .sent)
          try await eventually("the dead letter") { try await consumer.queueStatus(dead).messagesReady == 1 }
        }
        let letters = try await withAMQPConnection { try await $0.peek(dead, limit: 10) }
        #expect(letters.first?.headers["x-first-death-reason"]?.stringValue == "rejected")
      }
    }
  }

  @Test("a deleted queue is declared and consumed again")
  func queueDeleted() async throws {
    try await withTestQueue { name, topology in
      try await withConsumer(topology, queue: name) { consumer in
        var states = consumer.state.makeAsyncIterator()
        #expect(await states.next() == .consuming(generation: 1))
        _ = try await withAMQPConnection { try await $0.deleteQueue(name) }
        #expect(await states.next() == .cancelledByBroker(generation: 1))
        #expect(await states.next() == .consuming(generation: 1))
        try await publish(1, to: name, topology)
        let delivery = try #require(await consumer.deliveries.first { _ in true })
        #expect(consumer.acknowledge(delivery) == .sent)
        #expect(consumer.reconnects == 0)
      }
    }
  }

  @Test("a channel error begins a new generation on the same connection, and old deliveries are stale")
  func channelError() async throws {
    try await withTestQueue { name, topology in
      try await publish(3, to: name, topology)
      try await withConsumer(topology, queue: name) { consumer in
        var iterator = consumer.deliveries.makeAsyncIterator()
        let first = try #require(await iterator.next())
        try await consumer.connection?.acknowledgeUnknownTag()
        try await eventually("a new generation") { consumer.generation == 2 }
        #expect(consumer.acknowledge(first) == .stale)
        var ids: Set<String?> = []
        for _ in 0..<3 {
          let delivery = try #require(await iterator.next())
          #expect(delivery.generation == 2 && delivery.isRedelivered)
          #expect(consumer.acknowledge(delivery) == .sent)
          ids.insert(delivery.messageID)
        }
        #expect(ids == ["m0", "m1", "m2"])
        #expect(consumer.reconnects == 0)
      }
      #expect(try await ready(name) == 0)
    }
  }

  @Test("rebuilding gives everything unsettled back and begins a new generation", arguments: [false, true])
  func rebuilds(isConnection: Bool) async throws {
    try await withTestQueue { name, topology in
      try await publish(4, to: name, topology)
      try await withConsumer(topology, queue: name, prefetch: 3) { consumer in
        var iterator = consumer.deliveries.makeAsyncIterator()
        let kept = try #require(await iterator.next())
        let held = try #require(await iterator.next())
        // Decided before the rebuild, so it must be sent before it.
        #expect(consumer.acknowledge(kept) == .sent)
        if isConnection { consumer.rebuildConnection() } else { consumer.rebuildChannel() }
        try await eventually("a new generation") { consumer.generation == 2 }
        #expect(consumer.acknowledge(held) == .stale)
        var ids: Set<String?> = []
        for _ in 0..<3 {
          let delivery = try #require(await iterator.next())
          #expect(delivery.generation == 2)
          #expect(consumer.acknowledge(delivery) == .sent)
          ids.insert(delivery.messageID)
        }
        #expect(ids == ["m1", "m2", "m3"])
        #expect(consumer.reconnects == (isConnection ? 1 : 0))
      }
    }
  }

  @Test("a stopped consumer takes nothing more, settles what was delivered, and goes on when resumed")
  func stops() async throws {
    try await withTestQueue { name, topology in
      try await publish(10, to: name, topology)
      try await withConsumer(topology, queue: name, prefetch: 4) { consumer in
        try await eventually("four deliveries") { consumer.unsettledCount == 4 }
        await consumer.stopConsuming()
        #expect(try await consumer.queueStatus(name).messagesReady == 6)
        var inHand: [AMQPDelivery] = []
        for await delivery in consumer.deliveries { inHand.append(delivery) }
        #expect(inHand.map(\.messageID) == ["m0", "m1", "m2", "m3"])
        for delivery in inHand { #expect(consumer.acknowledge(delivery) == .sent) }
        consumer.resumeConsuming()
        consumer.resumeConsuming()
        var rest: [String?] = []
        for await delivery in consumer.deliveries {
          #expect(consumer.acknowledge(delivery) == .sent)
          rest.append(delivery.messageID)
          if rest.count == 6 { break }
        }
        #expect(rest == (4..<10).map { "m\($0)" })
        #expect(consumer.generation == 1 && consumer.reconnects == 0)
      }
      #expect(try await ready(name) == 0)
    }
  }

  @Test("a stopped consumer stays stopped across a reconnect")
  func staysStopped() async throws {
    try await withTestQueue { name, topology in
      try await publish(2, to: name, topology)
      try await withConsumer(topology, queue: name) { consumer in
        try await eventually("two deliveries") { consumer.unsettledCount == 2 }
        await consumer.stopConsuming(endsDeliveries: false)
        consumer.rebuildConnection()
        try await eventually("a reconnect") { consumer.reconnects == 1 && consumer.isConnected }
        try await eventually("the messages to be back") { try await self.ready(name) == 2 }
        consumer.resumeConsuming()
        var iterator = consumer.deliveries.makeAsyncIterator()
        let delivery = try #require(await iterator.next())
        #expect(delivery.generation == 2)
      }
    }
  }
}

extension AMQPConnection {
  /// Provokes the broker into closing the channel.
  fileprivate func acknowledgeUnknownTag() throws {
    try handle?.send(.acknowledge(tag: 9_999, multiple: false), channel: Self.mainChannel)
  }
}

extension AMQPConnection {
  /// The open channel that is kept for looks at queues.
  fileprivate var lookChannelState: ObjectIdentifier? {
    lookChannel.flatMap { kept in channels[kept.number] === kept.state ? ObjectIdentifier(kept.state) : nil }
  }
}
