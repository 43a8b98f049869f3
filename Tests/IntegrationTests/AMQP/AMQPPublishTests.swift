import AMQPClient
import Support
import Testing

@Suite("AMQP publishing", .timeLimit(.minutes(5)))
struct AMQPPublishTests {
  @Test("a confirmed message arrives with its body, properties and headers")
  func roundTrip() async throws {
    try await withTestQueue { name, topology in
      let message = AMQPMessage(
        body: Array("hello".utf8), contentType: "text/plain", type: "greeting", messageID: "id-1",
        correlationID: "c-1", timestamp: 1_700_000_000,
        headers: [
          "string": "ü", "int": -7, "bool": true, "double": 2.5, "bytes": .bytes([0, 255]), "time": .timestamp(99),
          "array": [1, "two", [3]], "table": ["inner": ["deep": nil]],
        ])
      try await withPublisher(topology) { publisher in
        #expect(await publisher.publish(message, exchange: "", routingKey: name) == .confirmed)
      }
      try await withConsumer(topology, queue: name) { consumer in
        let delivery = try #require(await consumer.deliveries.first { _ in true })
        #expect(delivery.body == message.body && delivery.contentType == "text/plain")
        #expect(delivery.type == "greeting" && delivery.messageID == "id-1" && delivery.correlationID == "c-1")
        #expect(delivery.timestamp == 1_700_000_000 && delivery.headers == message.headers)
        #expect(delivery.exchange == "" && delivery.routingKey == name)
        #expect(!delivery.isRedelivered && delivery.deliveryCount == 0 && delivery.tag == 1)
        #expect(consumer.acknowledge(delivery) == .sent)
      }
    }
  }

  @Test(
    "bodies of no byte, of many frames and of exactly full frames arrive whole",
    arguments: [0, 1, 131_064, 262_128, 700_000])
  func bodies(byteCount: Int) async throws {
    try await withTestQueue { name, topology in
      let body = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      try await withPublisher(topology) { publisher in
        #expect(await publisher.publish(AMQPMessage(body: body), exchange: "", routingKey: name) == .confirmed)
        #expect(await publisher.publish(AMQPMessage(body: [1]), exchange: "", routingKey: name) == .confirmed)
      }
      try await withConsumer(topology, queue: name) { consumer in
        var iterator = consumer.deliveries.makeAsyncIterator()
        #expect(await iterator.next()?.body == body)
        #expect(await iterator.next()?.body == [1])
      }
    }
  }

  @Test("of many messages in flight exactly those without a route are returned")
  func returned() async throws {
    try await withTestQueue { name, topology in
      try await withPublisher(topology) { publisher in
        let outcomes = await publisher.publish(
          (0..<100).map { number in
            AMQPPublication(
              AMQPMessage(body: [UInt8(number)], messageID: "m\(number)"), exchange: "",
              routingKey: number.isMultiple(of: 3) ? "nowhere" : name)
          })
        for (number, outcome) in outcomes.enumerated() {
          #expect(
            outcome == (number.isMultiple(of: 3) ? .returned(code: 312, text: "NO_ROUTE") : .confirmed), "\(number)")
        }
        let ignored = await publisher.publish(
          AMQPMessage(body: []), exchange: "", routingKey: "nowhere", mandatory: false)
        #expect(ignored == .confirmed)
      }
    }
  }

  @Test("a full queue that rejects publishes nacks them")
  func nacked() async throws {
    try await withTestQueue(arguments: ["x-max-length": 1, "x-overflow": "reject-publish"]) { name, topology in
      try await withPublisher(topology) { publisher in
        var outcomes: [AMQPPublishOutcome] = []
        for _ in 0..<6 {
          outcomes.append(await publisher.publish(AMQPMessage(body: []), exchange: "", routingKey: name))
        }
        #expect(outcomes.first == .confirmed)
        #expect(outcomes.last == .nacked)
        #expect(outcomes.allSatisfy { $0 == .confirmed || $0 == .nacked })
      }
    }
  }

  @Test("far more messages than the window are all confirmed, in their order")
  func window() async throws {
    try await withTestQueue { name, topology in
      var configuration = try testBroker("publisher")
      configuration.publishWindow.messageMax = 16
      try await withPublisher(topology, configuration) { publisher in
        let outcomes = await publisher.publish(
          (0..<1_000).map {
            AMQPPublication(AMQPMessage(body: [], messageID: "\($0)"), exchange: "", routingKey: name)
          }, timeout: .seconds(30))
        #expect(outcomes.allSatisfy { $0 == .confirmed })
        let messages = try await publisher.peek(name, limit: 20)
        #expect(messages.map(\.messageID) == (0..<20).map { "\($0)" })
      }
    }
  }

  @Test("publishing to a missing exchange is unknown, and the publisher goes on with a new channel")
  func missingExchange() async throws {
    try await withTestQueue { name, topology in
      try await withPublisher(topology) { publisher in
        let outcome = await publisher.publish(AMQPMessage(body: []), exchange: uniqueName("none"), routingKey: name)
        guard case .unknown(let reason) = outcome else { return #expect(outcome == .unknown("404")) }
        #expect(reason.contains("404"))
        let next = await publisher.publish(
          AMQPMessage(body: []), exchange: "", routingKey: name, timeout: .seconds(30))
        #expect(next == .confirmed)
        #expect(publisher.reconnects == 0)
      }
    }
  }

  @Test("looking at queues does not disturb publishing, even if one is missing")
  func queueStatus() async throws {
    try await withTestQueue { name, topology in
      try await withPublisher(topology) { publisher in
        async let publishing = publisher.publish(
          (0..<500).map { _ in AMQPPublication(AMQPMessage(body: []), exchange: "", routingKey: name) },
          timeout: .seconds(30))
        try await eventually("a connection") { publisher.isConnected }
        for _ in 0..<5 {
          let error = await #expect(throws: AMQPError.self) { try await publisher.queueStatus("missing") }
          #expect(error?.code == 404 && error?.isConnectionLost == false)
          _ = try await publisher.queueStatus(name)
        }
        #expect(await publishing.allSatisfy { $0 == .confirmed })
        try await eventually("all messages ready") { try await publisher.queueStatus(name).messagesReady == 500 }
        #expect(publisher.reconnects == 0)
      }
    }
  }

  @Test("a look at a missing queue fails no other look at the same time")
  func looksAtOnce() async throws {
    try await withTestQueue { name, topology in
      try await withAMQPConnection { connection in
        try await connection.declare(topology)
        for _ in 0..<20 {
          try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<9 {
              group.addTask {
                guard number % 3 == 0 else {
                  _ = try await connection.queueStatus(name)
                  return
                }
                let error = await #expect(throws: AMQPError.self) { try await connection.queueStatus("missing") }
                #expect(error?.code == 404 && error?.isConnectionLost == false)
              }
            }
            try await group.waitForAll()
          }
        }
      }
    }
  }

  @Test("a look into a queue puts the messages back in their order, and a purge removes them")
  func peekAndPurge() async throws {
    try await withTestQueue { name, topology in
      try await withPublisher(topology) { publisher in
        let ids = (0..<5).map { "m\($0)" }
        for id in ids {
          #expect(
            await publisher.publish(AMQPMessage(body: [1], messageID: id), exchange: "", routingKey: name) == .confirmed
          )
        }
        #expect(try await publisher.peek(name, limit: 3).map(\.messageID) == ["m0", "m1", "m2"])
        try await eventually("the messages to be back") { try await publisher.queueStatus(name).messagesReady == 5 }
        #expect(try await publisher.peek(name, limit: 100, byteMax: 3).map(\.messageID) == ["m0", "m1", "m2"])
        try await eventually("the messages to be back") { try await publisher.queueStatus(name).messagesReady == 5 }
        #expect(try await publisher.peek(name, limit: 100).map(\.messageID) == ids)
        try await eventually("the messages to be back") { try await publisher.queueStatus(name).messagesReady == 5 }
        #expect(try await publisher.purge(name) == 5)
        #expect(try await publisher.peek(name, limit: 100).isEmpty)
      }
    }
  }

  @Test("one message is removed from the midst of others, which stay in their order")
  func removal() async throws {
    try await withTestQueue { name, topology in
      try await withPublisher(topology) { publisher in
        for id in (0..<5).map({ "m\($0)" }) {
          #expect(
            await publisher.publish(AMQPMessage(body: [1], messageID: id), exchange: "", routingKey: name) == .confirmed
          )
        }
        let removed = try await withAMQPConnection { connection in
          try await connection.remove(from: name, limit: 100) { $0.messageID == "m2" }
        }
        #expect(removed.map(\.messageID) == ["m2"])
        try await eventually("the others to be back") { try await publisher.queueStatus(name).messagesReady == 4 }
        #expect(try await publisher.peek(name, limit: 100).map(\.messageID) == ["m0", "m1", "m3", "m4"])
      }
    }
  }

  @Test("more than the window is carried; what cannot be, or has no connection in time, was not sent")
  func notSent() async throws {
    try await withTestQueue { name, topology in
      try await withPublisher(topology) { publisher in
        let large = AMQPMessage(body: Array(repeating: 0, count: 2_000_000))
        #expect(await publisher.publish(large, exchange: "", routingKey: name) == .confirmed)
        let outcome = await publisher.publish(
          AMQPMessage(body: []), exchange: "", routingKey: String(repeating: "x", count: 300))
        guard case .notSent = outcome else { return #expect(outcome == .notSent("")) }
        #expect(await publisher.publish(AMQPMessage(body: []), exchange: "", routingKey: name) == .confirmed)
      }
      let idle = AMQPPublisher(configuration: try testBroker(), topology: topology, logger: .brokerTests)
      let outcome = await idle.publish(AMQPMessage(body: []), exchange: "", routingKey: name, timeout: .milliseconds(5))
      guard case .notSent = outcome else { return #expect(outcome == .notSent("")) }
    }
  }

  @Test("a stopped publisher has waited for its confirms, and sends nothing more")
  func stopped() async throws {
    try await withTestQueue { name, topology in
      let publisher = AMQPPublisher(configuration: try testBroker(), topology: topology, logger: .brokerTests)
      let running = Task { try await publisher.run() }
      try await eventually("a connection") { publisher.isConnected }
      let publishing = (0..<50).map { _ in
        Task { await publisher.publish(AMQPMessage(body: []), exchange: "", routingKey: name) }
      }
      running.cancel()
      try await running.value
      for publish in publishing {
        switch await publish.value {
        case .confirmed, .notSent: break
        case let other: Issue.record("\(other)")
        }
      }
      #expect(!publisher.isConnected)
      let late = await publisher.publish(AMQPMessage(body: []), exchange: "", routingKey: name)
      guard case .notSent = late else { return #expect(late == .notSent("")) }
    }
  }
}
