internal import Dispatching
internal import Logging
internal import Resilience
internal import ReviewStore
internal import ServiceLifecycle
internal import Settings
internal import Telemetry

extension DispatcherProcess {
  /// Runs the services until a signal or a failure. Those that need the schema begin when Postgres has answered and the schema has been checked;
  /// probes and the server answer from the start on.
  ///
  /// - Parameter additions: what the command adds to the services of the roles.
  package func run(_ additions: ProcessAdditions = ProcessAdditions()) async throws {
    let services = try Composition(self, additions).services.map { part, service in
      ServiceRunner.Entry(service, waits: part.waitsForSchema)
    }
    try await ServiceRunner.run(
      services, drainTimeout: settings.drainTimeout, drainDelay: drainDelay, logger: logger,
      onStopping: { [readiness] in readiness.register("shutdown") { "this process is shutting down" } },
      onOvertime: { [store] in await store.close() },
      finally: { [claims, store] in
        await claims.close()
        await store.close()
      }
    ) {
      try await waitForSchema()
      schemaFound.reach()
      logger.info("started", metadata: ["holder": "\(holder.id)", "version": "\(version)"])
    }
    logger.info("stopped")
  }

  /// Waits until Postgres answers; the log names each reason for it once.
  /// - Throws: `Migrator.SchemaFault`; `StoreFault` where waiting would not help.
  private func waitForSchema() async throws {
    let backoff = Backoff(base: .milliseconds(200), max: .seconds(5))
    var attempt = 0
    var notice = FaultNotice()
    while true {
      do {
        return try await Migrator(store).check()
      } catch let fault as any StoreFault where fault.isTransient {
        if notice.failed("\(fault)") { logger.error("waiting for Postgres", metadata: ["error": "\(fault)"]) }
        try await Task.sleep(for: backoff.delay(attempt: attempt) + .milliseconds(50))
        attempt += 1
      }
    }
  }
}
