internal import HTTPKit
package import Logging
internal import ReferenceWorker
internal import ServiceLifecycle
package import Settings
internal import SpanExport
internal import Synchronization
internal import Telemetry

/// The process of `baton worker`: the reference worker, and its metrics and probes on a port of their own. It knows neither Postgres nor the
/// broker.
package struct WorkerProcess: Sendable {
  private let services: [any Service]
  private let drainTimeout: Duration
  private let logger: Logger

  /// - Parameters:
  ///   - settings: of the process.
  ///   - host: the address to listen on.
  ///   - port: 0 takes any free port.
  ///   - concurrency: how many agents run at once.
  ///   - version: of the program, for its spans.
  ///   - hiddenPaths: files with secrets, which agents in namespaces do not see.
  ///   - logger: for what it reports.
  /// - Throws: if the settings do not fit together, or the process may not have enough files.
  package init(
    _ settings: Settings, host: String, port: Int, concurrency: Int, version: String, hiddenPaths: [String],
    logger: Logger
  ) throws {
    let files = try OpenFiles(
      "baton worker", connections: 0,
      demands: [.clients, .agents(concurrency), .callbacks] + (settings.metricsPort == nil ? [] : [.probes]),
      logger: logger)
    let registry = PrometheusRegistry()
    let metrics = BatonMetrics(factory: registry)
    metrics.observeProcess(registry, roles: ["worker"], version: version)
    registry.onCollect { metrics.logLinesDropped.set(LogWriter.standardError.droppedCount) }
    let readiness = Readiness()
    let isListening = Mutex(false)
    readiness.register("worker") { isListening.withLock { $0 } ? nil : "it does not listen yet" }
    var configuration = try WorkerConfiguration(
      settings, host: host, port: port, concurrency: concurrency, files: files, logger: logger)
    configuration.hiddenPaths = hiddenPaths
    configuration.metrics = metrics
    let onBound = configuration.onBound
    configuration.onBound = { port in
      isListening.withLock { $0 = true }
      await onBound(port)
    }
    let worker = ReferenceWorker(configuration: configuration, logger: logger)
    // Not on the worker's own port, whose every call but `/health` needs the token.
    let probes = settings.metricsPort.map { port in
      HealthServer(
        host: settings.metricsHost, port: port, connectionMax: files[.probes] ?? OpenFiles.Demand.probes.wanted,
        metrics: metrics, registry: registry, readiness: readiness, logger: logger)
    }
    let spans = SpanExporter.start(
      settings, command: "worker", version: version, trust: configuration.trust, metrics: metrics, logger: logger)
    services = (spans.map { [$0] } ?? []) + (probes.map { [$0] } ?? []) + [worker]
    drainTimeout = settings.drainTimeout
    self.logger = logger
  }

  /// What does not fit together in a worker's settings, a line each.
  package static func faults(of settings: Settings, concurrency: Int) -> [String] {
    do {
      _ = try WorkerConfiguration.isolation(settings, concurrency: concurrency)
      return []
    } catch {
      return error.faults
    }
  }

  /// Runs until a signal or a failure.
  package func run() async throws {
    try await ServiceRunner.run(
      services.map { ServiceRunner.Entry($0, waits: false) }, drainTimeout: drainTimeout, logger: logger)
  }
}
