internal import AMQPClient
internal import BatonServer
internal import Dispatching
internal import HTTPKit
internal import Logging
internal import Resilience
internal import ReviewQueue
internal import ReviewStore
internal import ServiceLifecycle
internal import Settings
internal import Telemetry

// The services that every role has.
extension DispatcherProcess {
  /// The session that makes this process a holder, and hears the notifications.
  /// - Parameters:
  ///   - events: what this process acts on.
  ///   - recovers: whether it recovers what other processes have lost.
  ///   - report: what the heartbeat says of its work.
  func holderSession(
    hearing events: Set<LedgerEvent>, recovers: Bool,
    report: @escaping @Sendable () -> Holder.Report = { Holder.Report() }
  ) -> HolderSession {
    HolderSession(
      holder: holder, state: holderState, ledger: store, hearing: events, interval: policy.heartbeatInterval,
      idleInterval: recovers ? policy.heartbeatInterval : policy.idleHeartbeatInterval,
      report: { [health] in
        var report = report()
        report.health = health.health
        return report
      }, environment: environment, logger: logger)
  }

  /// The publisher's connection as a service; a reconnect wakes those that wait for it.
  func publisherService(waking wakeups: Wakeup...) -> some Service {
    BackgroundService {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await publisher.run() }
        group.addTask {
          for await event in publisher.events {
            if case .connected = event { for wakeup in wakeups { wakeup.wake() } }
          }
        }
        try await group.next()
        group.cancelAll()
      }
    }
  }

  /// Metrics and probes on a port of their own.
  /// - Parameter measuresLoad: whether a scrape also asks for the load of the database and the broker; a server on the main port does that
  ///   itself.
  func probeServer(measuresLoad: Bool) -> some Service {
    if measuresLoad {
      let figures = LoadFigures(
        store: store, heartbeatTimeout: settings.heartbeatTimeout, ownerLimit: settings.ownerLimit,
        queueStats: queueFigures)
      let metrics = metrics
      registry.onCollect { await figures.measure(into: metrics) }
    }
    return HealthServer(
      host: settings.metricsHost, port: settings.metricsPort ?? 0,
      connectionMax: files[.probes] ?? OpenFiles.Demand.probes.wanted, metrics: metrics, registry: registry,
      readiness: readiness, logger: logger)
  }
}
