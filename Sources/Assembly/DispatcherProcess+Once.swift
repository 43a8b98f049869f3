internal import AMQPClient
package import Dispatching
internal import Logging
internal import PostgresClient
internal import Resilience
internal import ReviewQueue
internal import ReviewStore
internal import ServiceLifecycle
internal import Settings
internal import SpanExport
internal import Telemetry

extension DispatcherProcess {
  /// How long a one-shot command waits for the broker.
  private static let connectTimeout: Duration = .seconds(10)

  /// One pass of a reaper, as a one-shot command.
  /// - Parameter askingMax: how long it waits for the worker's answers.
  package func reapOnce(askingMax: Duration) async throws -> ReapCounts {
    let worker = try workerClient()
    if worker == nil {
      logger.warning("BATON_WORKER_URL is not set: silent reviews are left alone, cancels are not delivered")
    }
    return try await runOnce { process, session in
      let cancels = worker.map { process.cancelRelay(to: $0, wakeup: session.outboxWakeup) }
      return try await process.reaper(worker: worker, interval: .zero).runOnce(cancels: cancels, askingMax: askingMax)
    }
  }

  /// One pass of a producer, as a one-shot command.
  package func produceOnce() async throws -> Producer.Pass {
    try await runOnce { process, _ in try await process.producer(wakeup: Wakeup()).runOnce() }
  }

  /// Runs a pass of a role as a one-shot command, which does not wait for what is unavailable now.
  /// - Throws: `StoreFault`, `QueueFault` or `Migrator.SchemaFault`.
  private func runOnce<Counts: Sendable>(
    _ pass: @escaping @Sendable (DispatcherProcess, HolderSession) async throws -> Counts
  ) async throws -> Counts {
    do {
      try await Migrator(store).check()
      try await checkBroker()
      let (session, connected) = (holderSession(hearing: [], recovers: true), Wakeup())
      let counts = try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await session.run() }
        group.addTask { try await publisherService(waking: connected).run() }
        try await waitForPublisher(connected)
        try await waitForSignOn(session.pendingWakeup)
        let counts = try await pass(self, session)
        await claims.close()
        group.cancelAll()
        try await group.waitForAll()
        return counts
      }
      await store.close()
      await spans?.close()
      return counts
    } catch {
      await claims.close()
      await store.close()
      await spans?.close()
      throw error
    }
  }

  /// Fails at once, with the reason, if the broker cannot be reached or has a queue that is not Baton's.
  private func checkBroker() async throws {
    // The publisher's connection is the one to report.
    let connection = try await QueueConnection(
      broker, queue: settings.queue, logger: logger.quiet(below: .notice))
    do {
      try await connection.declare()
    } catch {
      await connection.close()
      throw error
    }
    await connection.close()
  }

  private func waitForSignOn(_ wakeup: Wakeup) async throws {
    try await wait(for: wakeup, until: { holderState.isSignedOn }) {
      PostgresError(
        .connectionFailed,
        "no session of its own for this command within \(Self.connectTimeout); the log says why; are there too many connections?"
      )
    }
  }

  private func waitForPublisher(_ wakeup: Wakeup) async throws {
    try await wait(for: wakeup, until: { publisher.isConnected }) {
      AMQPError(operation: "connect", text: "no connection within \(Self.connectTimeout)", scope: .connection)
    }
  }

  private func wait(for wakeup: Wakeup, until isReady: () -> Bool, orThrow fault: () -> any Error) async throws {
    let deadline = ContinuousClock.now + Self.connectTimeout
    while !isReady() {
      guard try await wakeup.wait(until: deadline) || isReady() else { throw fault() }
    }
  }
}
