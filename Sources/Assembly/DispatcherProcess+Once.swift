internal import AMQPClient
package import Dispatching
internal import PostgresClient
internal import ReviewStore

extension DispatcherProcess {
  /// How long a one-shot command waits for the broker.
  private static let connectTimeout: Duration = .seconds(10)

  /// Runs a pass of a role as a one-shot command: nothing is waited for that cannot be had now.
  /// - Throws: `PostgresError`, `AMQPError` or `Migrator.SchemaFault`.
  package func runOnce(_ body: @escaping @Sendable (DispatcherProcess, HolderSession) async throws -> Void) async throws
  {
    do {
      try await Migrator(pool: pool).check()
      try await store.signOn(holder)
      // Says at once, and with the reason, where the broker cannot be reached.
      await (try AMQPConnection.connect(broker, logger: logger)).close()
      let session = holderSession()
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await session.run() }
        group.addTask { try await publisher.run() }
        try await waitForPublisher()
        try await body(self, session)
        group.cancelAll()
        try await group.waitForAll()
      }
    } catch {
      await pool.close()
      throw error
    }
    await pool.close()
  }

  private func waitForPublisher() async throws {
    let deadline = ContinuousClock.now + Self.connectTimeout
    while !publisher.isConnected {
      guard .now < deadline else {
        throw AMQPError(operation: "connect", text: "no connection within \(Self.connectTimeout)", scope: .connection)
      }
      try await Task.sleep(for: .milliseconds(10))
    }
  }
}
