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
    do {
      try await ServiceRunner.run(
        services, drainTimeout: settings.drainTimeout,
        // Whatever else the process does: a load balancer sends requests to it until it has noticed.
        drainDelay: roles.contains(.serve) ? settings.drainDelay : .zero, logger: logger,
        onStopping: { [readiness] in readiness.register("shutdown") { "this process is shutting down" } },
        onOvertime: { [store] in await store.close() }
      ) {
        try await waitForSchema()
        schemaFound.reach()
        logger.info("started", metadata: ["holder": "\(holder.id)", "version": "\(version)"])
      }
    } catch {
      await claims.close()
      await store.close()
      throw error
    }
    await claims.close()
    await store.close()
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
