import AMQPClient
import Support
import Testing

@Suite("AMQP connecting", .timeLimit(.minutes(5)))
struct AMQPConnectTests {
  @Test("wrong credentials are a permanent error that does not show them")
  func credentials() async throws {
    var configuration = try testBroker()
    configuration.endpoints[0].password = "s3cret"
    let error = await #expect(throws: AMQPError.self) {
      try await AMQPConnection.connect(configuration, logger: .brokerTests).close()
    }
    #expect(error?.code == 403 && error?.isPermanent == true)
    #expect(error?.description.contains("ACCESS_REFUSED") == true && error?.description.contains("s3cret") == false)
  }

  @Test("a publisher whose credentials are refused waits until the broker knows them")
  func refusedForNow() async throws {
    var configuration = try testBroker()
    let name = uniqueName("user")
    configuration.endpoints[0].user = name
    configuration.endpoints[0].password = "s3cret"
    try await withPublisher(AMQPTopology(), configuration) { publisher in
      var events = publisher.events.makeAsyncIterator()
      let first = await events.next()
      guard case .lost? = first else { throw NeverHappened(what: "a refusal: \(String(describing: first))") }
      let broker = try postgresTestVariable("BATON_TEST_BROKER_CTL")
      _ = try await runCommand(broker, ["ctl", "add_user", name, "s3cret"])
      _ = try await runCommand(broker, ["ctl", "set_permissions", name, ".*", ".*", ".*"])
      try await eventually("it is let in") { publisher.isConnected }
      _ = try await runCommand(broker, ["ctl", "delete_user", name])
    }
  }

  @Test("a virtual host that does not exist is a permanent error")
  func virtualHost() async throws {
    var configuration = try testBroker()
    configuration.endpoints[0].virtualHost = "missing"
    let error = await #expect(throws: AMQPError.self) { try await withAMQPConnection(configuration) { _ in } }
    #expect(error?.code == 530 && error?.isPermanent == true && error?.isConnectionLost == true)
  }

  @Test("a queue that is there with another argument ends run() with the broker's text, which names the argument")
  func otherArguments() async throws {
    try await withTestQueue(arguments: ["x-max-length": 5]) { name, _ in
      let other = AMQPTopology(queues: [.quorum(name, arguments: ["x-max-length": 6])])
      let publisher = AMQPPublisher(configuration: try testBroker(), topology: other, logger: .brokerTests)
      let consumer = AMQPConsumer(
        configuration: try testBroker(), topology: other, queue: name, prefetch: 1, logger: .brokerTests)
      for run in [{ try await publisher.run() }, { try await consumer.run() }] as [@Sendable () async throws -> Void] {
        let error = await #expect(throws: AMQPError.self) { try await run() }
        #expect(error?.code == 406 && error?.isPermanent == true && error?.scope == .channel)
        #expect(error?.text.contains("x-max-length") == true)
        #expect(error?.description.contains("declare queue '\(name)'") == true)
      }
    }
  }

  @Test("an exchange that is there with another type is a permanent error that names it")
  func otherKind() async throws {
    let name = uniqueName("exchange")
    try await withAMQPConnection { connection in
      try await connection.declare(AMQPTopology(exchanges: [AMQPExchange(name, isDurable: false)]))
      let error = await #expect(throws: AMQPError.self) {
        try await connection.declare(AMQPTopology(exchanges: [AMQPExchange(name, kind: .fanout, isDurable: false)]))
      }
      #expect(error?.isPermanent == true && error?.text.contains("type") == true)
      // The refusal closed its own channel only.
      try await connection.declare(AMQPTopology(exchanges: [AMQPExchange(name, isDurable: false)]))
    }
  }

  @Test("exchanges route by their bindings: direct, topic, fanout and headers")
  func bindings() async throws {
    try await withTestQueue { name, _ in
      let exchanges = [AMQPExchange.Kind.direct, .topic, .fanout, .headers].map {
        AMQPExchange(uniqueName($0.rawValue), kind: $0, isDurable: false)
      }
      let bindings = [
        AMQPBinding(queue: name, exchange: exchanges[0].name, routingKey: "a"),
        AMQPBinding(queue: name, exchange: exchanges[1].name, routingKey: "a.*"),
        AMQPBinding(queue: name, exchange: exchanges[2].name),
        AMQPBinding(queue: name, exchange: exchanges[3].name, arguments: ["x-match": "all", "size": 3]),
      ]
      let topology = AMQPTopology(exchanges: exchanges, queues: [.quorum(name)], bindings: bindings)
      try await withPublisher(topology) { publisher in
        let message = AMQPMessage(body: [], headers: ["size": 3])
        for (exchange, key) in zip(exchanges, ["a", "a.b", "anything", ""]) {
          #expect(await publisher.publish(message, exchange: exchange.name, routingKey: key) == .confirmed)
        }
        let other = AMQPMessage(body: [], headers: ["size": 4])
        for (exchange, key) in [(exchanges[0], "b"), (exchanges[1], "b.a"), (exchanges[3], "")] {
          let outcome = await publisher.publish(other, exchange: exchange.name, routingKey: key)
          #expect(outcome == .returned(code: 312, text: "NO_ROUTE"))
        }
      }
      #expect(try await withAMQPConnection { try await $0.queueStatus(name).messagesReady } == 4)
    }
  }

  @Test("of several hosts the first that accepts is taken")
  func severalHosts() async throws {
    try await withTestQueue { name, topology in
      var configuration = try testBroker()
      configuration.endpoints.insert(AMQPEndpoint(host: "127.0.0.1", port: 1), at: 0)
      try await withPublisher(topology, configuration) { publisher in
        #expect(await publisher.publish(AMQPMessage(body: []), exchange: "", routingKey: name) == .confirmed)
      }
    }
  }

  @Test("a port without a listener is not a permanent error, and the error says where")
  func refused() async throws {
    var configuration = try testBroker()
    configuration.endpoints = [AMQPEndpoint(host: "127.0.0.1", port: 1)]
    let error = await #expect(throws: AMQPError.self) { try await withAMQPConnection(configuration) { _ in } }
    #expect(error?.isPermanent == false && error?.isConnectionLost == true)
    #expect(error?.description.contains("127.0.0.1:1") == true)
  }

  @Test("a closed connection refuses calls as lost, and closing twice is harmless")
  func closed() async throws {
    let connection = try await AMQPConnection.connect(testBroker(), logger: .brokerTests)
    await connection.close()
    await connection.close()
    let error = await #expect(throws: AMQPError.self) { try await connection.queueStatus("x") }
    #expect(error?.isConnectionLost == true && error?.isPermanent == false)
  }

  @Test("many calls at once on one connection each get their own answer")
  func manyCalls() async throws {
    try await withAMQPConnection { connection in
      let names = (0..<20).map { _ in uniqueName("call") }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for name in names {
          group.addTask {
            try await connection.declare(AMQPTopology(queues: [AMQPQueue(name, isDurable: false)]))
            #expect(try await connection.queueStatus(name).messagesReady == 0)
            let error = await #expect(throws: AMQPError.self) { try await connection.queueStatus("no-\(name)") }
            #expect(error?.code == 404)
            try await connection.deleteQueue(name)
          }
        }
        try await group.waitForAll()
      }
    }
  }
}
