package import AMQPClient
package import Logging

/// How to reach the broker of this test run.
package func testBroker(_ name: String = "test") throws -> AMQPConfiguration {
  var configuration = try AMQPConfiguration(
    urls: postgresTestVariable("BATON_TEST_AMQP_URL"), connectionName: "\(name)-\(uniqueNumber())")
  configuration.rpcTimeout = .seconds(30)
  configuration.connectTimeout = .seconds(15)
  return configuration
}

/// A name that no other test uses, on this broker or in an earlier run.
package func uniqueName(_ prefix: String) -> String { "\(prefix)-\(uniqueNumber())" }

private func uniqueNumber() -> String { String(UInt64.random(in: 0...UInt64.max), radix: 36) }

/// Runs a service during the body, and stops it. What the body throws comes before what the service throws.
package func withRunning<Result>(
  _ run: @escaping @Sendable () async throws -> Void, isolation: isolated (any Actor)? = #isolation,
  _ body: () async throws -> Result
) async throws -> Result {
  let running = Task { try await run() }
  do {
    let result = try await body()
    running.cancel()
    try await running.value
    return result
  } catch {
    running.cancel()
    _ = await running.result
    throw error
  }
}

/// Runs a publisher during the body, and stops it.
package func withPublisher<Result>(
  _ topology: AMQPTopology, _ configuration: AMQPConfiguration? = nil, isolation: isolated (any Actor)? = #isolation,
  _ body: (AMQPPublisher) async throws -> Result
) async throws -> Result {
  let publisher = AMQPPublisher(
    configuration: try configuration ?? testBroker("publisher"), topology: topology, logger: .brokerTests)
  return try await withRunning({ try await publisher.run() }) { try await body(publisher) }
}

/// Runs a consumer during the body, and stops it.
package func withConsumer<Result>(
  _ topology: AMQPTopology, queue: String, prefetch: Int = 10, _ configuration: AMQPConfiguration? = nil,
  isolation: isolated (any Actor)? = #isolation, _ body: (AMQPConsumer) async throws -> Result
) async throws -> Result {
  let consumer = AMQPConsumer(
    configuration: try configuration ?? testBroker("consumer"), topology: topology, queue: queue, prefetch: prefetch,
    logger: .brokerTests)
  return try await withRunning({ try await consumer.run() }) { try await body(consumer) }
}

/// Opens a connection for the body, and closes it.
package func withAMQPConnection<Result>(
  _ configuration: AMQPConfiguration? = nil, isolation: isolated (any Actor)? = #isolation,
  _ body: (AMQPConnection) async throws -> Result
) async throws -> Result {
  let connection = try await AMQPConnection.connect(
    try configuration ?? testBroker("connection"), logger: .brokerTests)
  do {
    let result = try await body(connection)
    await connection.close()
    return result
  } catch {
    await connection.close()
    throw error
  }
}

/// Makes a quorum queue of a unique name for the body, and deletes it.
package func withTestQueue<Result>(
  arguments: AMQPTable = [:], isolation: isolated (any Actor)? = #isolation,
  _ body: (_ name: String, _ topology: AMQPTopology) async throws -> Result
) async throws -> Result {
  let name = uniqueName("queue")
  let topology = AMQPTopology(queues: [.quorum(name, arguments: arguments)])
  try await withAMQPConnection { try await $0.declare(topology) }
  do {
    let result = try await body(name, topology)
    _ = try await withAMQPConnection { try await $0.deleteQueue(name) }
    return result
  } catch {
    _ = try? await withAMQPConnection { try await $0.deleteQueue(name) }
    throw error
  }
}

extension Logger {
  /// Logs nothing: a test's promise is in its expectations.
  package static var brokerTests: Logger { Logger(label: "broker-tests") { _ in SwiftLogNoOpLogHandler() } }
}
