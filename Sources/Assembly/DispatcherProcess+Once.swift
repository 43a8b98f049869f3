internal import AMQPClient
package import Dispatching
internal import Logging
internal import PostgresClient
internal import ReviewQueue
internal import ReviewStore
internal import Settings
internal import Telemetry

extension DispatcherProcess {
  /// How long a one-shot command waits for the broker.
  private static let connectTimeout: Duration = .seconds(10)

  /// Runs a pass of a role as a one-shot command, which does not wait for what is unavailable now.
  /// - Throws: `PostgresError`, `AMQPError` or `Migrator.SchemaFault`.
  package func runOnce(_ body: @escaping @Sendable (DispatcherProcess, HolderSession) async throws -> Void) async throws
  {
    do {
      try await Migrator(pool: pool).check()
      try await checkBroker()
      let session = holderSession()
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await session.run() }
        group.addTask { try await publisher.run() }
        try await waitForPublisher()
        try await waitForSignOn()
        try await body(self, session)
        await claims.close()
        group.cancelAll()
        try await group.waitForAll()
      }
    } catch {
      await claims.close()
      await pool.close()
      throw error
    }
    await pool.close()
  }

  /// Fails at once, with the reason, if the broker cannot be reached or has a queue that is not Baton's.
  private func checkBroker() async throws {
    // The publisher's connection is the one to report.
    let connection = try await AMQPConnection.connect(broker, logger: logger.quiet(below: .notice))
    do {
      try await connection.declare(ReviewTopology.topology(queue: settings.queue))
    } catch {
      await connection.close()
      throw error
    }
    await connection.close()
  }

  private func waitForSignOn() async throws {
    try await wait(until: { holderState.isSignedOn }) {
      PostgresError(
        .connectionFailed,
        "no session of its own for this command within \(Self.connectTimeout); the log says why; are there too many connections?"
      )
    }
  }

  private func waitForPublisher() async throws {
    try await wait(until: { publisher.isConnected }) {
      AMQPError(operation: "connect", text: "no connection within \(Self.connectTimeout)", scope: .connection)
    }
  }

  private func wait(until isReady: () -> Bool, orThrow fault: () -> any Error) async throws {
    let deadline = ContinuousClock.now + Self.connectTimeout
    while !isReady() {
      guard .now < deadline else { throw fault() }
      try await Task.sleep(for: .milliseconds(10))
    }
  }
}
