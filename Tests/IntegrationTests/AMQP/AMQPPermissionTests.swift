import AMQPClient
import Logging
import Resilience
import Support
import Testing

@Suite("AMQP permissions", .timeLimit(.minutes(5)))
struct AMQPPermissionTests {
  @Test("an account that may not declare works with what is there, and the error names what is missing")
  func mayNotDeclare() async throws {
    try await withAccount(configure: "^$", write: ".*", read: ".*") { account in
      try await withTestQueue { name, topology in
        try await withPublisher(topology, account) { publisher in
          #expect(await publisher.publish(AMQPMessage(body: []), exchange: "", routingKey: name) == .confirmed)
          #expect(!publisher.mayDeclare)
          try await publisher.declareTopology()
        }
        try await withConsumer(topology, queue: name, account) { consumer in
          let delivery = try #require(await consumer.deliveries.first { _ in true })
          #expect(consumer.acknowledge(delivery) == .sent)
        }
        let missing = uniqueName("missing")
        let more = AMQPTopology(queues: topology.queues + [.quorum(missing)])
        try await withAMQPConnection(account) { connection in
          let error = await #expect(throws: AMQPError.self) { try await connection.declare(more) }
          #expect(error?.code == 403 && error?.cause == .permission)
          #expect(error?.description.contains("declare queue '\(missing)'") == true)
          #expect(error?.text.contains("does not exist") == true && error?.text.contains("configure") == true)
          // And the connection lives on.
          try await connection.declare(topology)
        }
      }
    }
  }

  @Test("while it cannot work, every new reason is logged once")
  func reasons() async throws {
    let log = CapturedLog()
    try await withAccount(configure: ".*", write: ".*", read: ".*") { account in
      let publisher = AMQPPublisher(configuration: account, topology: AMQPTopology(), logger: log.logger)
      let running = Task { try await publisher.run() }
      try await eventually("a connection") { publisher.isConnected }
      let broker = try postgresTestVariable("BATON_TEST_BROKER_CTL")
      _ = try await runCommand(broker, ["ctl", "change_password", account.endpoints[0].user, "another"])
      _ = try await runCommand(broker, ["ctl", "close_all_user_connections", account.endpoints[0].user, "rotated"])
      try await eventually("the refused password is said") {
        log.lines(from: .warning).contains { $0.contains("ACCESS_REFUSED") }
      }
      #expect(log.lines(from: .warning).contains { $0.contains("CONNECTION_FORCED") })
      let said = log.lines(from: .warning).count
      let tries = log.lines().count
      try await eventually("further tries") { log.lines().count >= tries + 3 }
      #expect(log.lines(from: .warning).count == said)
      #expect(log.lines(from: .info).filter { $0.hasPrefix("connected") }.count == 1)
      running.cancel()
      try await running.value
    }
  }

  /// Makes an account with permissions for the body, and deletes it.
  private func withAccount(
    configure: String, write: String, read: String, _ body: (AMQPConfiguration) async throws -> Void
  ) async throws {
    let broker = try postgresTestVariable("BATON_TEST_BROKER_CTL")
    let name = uniqueName("user")
    var configuration = try testBroker()
    configuration.endpoints[0].user = name
    configuration.endpoints[0].password = "s3cret"
    configuration.reconnect = .init(base: .milliseconds(50), max: .milliseconds(200))
    _ = try await runCommand(broker, ["ctl", "add_user", name, "s3cret"])
    _ = try await runCommand(broker, ["ctl", "set_permissions", name, configure, write, read])
    do {
      try await body(configuration)
    } catch {
      _ = try? await runCommand(broker, ["ctl", "delete_user", name])
      throw error
    }
    _ = try await runCommand(broker, ["ctl", "delete_user", name])
  }
}
