internal import ArgumentParser
internal import Assembly
internal import BatonServer
internal import FoundationEssentials
internal import Logging
internal import ReferenceWorker
internal import Reviews
internal import ServiceLifecycle
internal import Settings
internal import Synchronization
internal import Telemetry

/// `baton worker`
struct WorkerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker", abstract: "The reference worker: runs a command for each review.",
    discussion: """
      Starts are idempotent by review and attempt, also over restarts: the state is in BATON_WORKER_STATE. Without \
      BATON_AGENT_COMMAND each run completes at once.

      EXAMPLES:
        BATON_AGENT_COMMAND=./review.sh baton worker --port 9000 --concurrency 4
      """)

  @OptionGroup var common: CommonOptions
  @OptionGroup var worker: WorkerOptions
  @OptionGroup var agent: AgentOptions
  @OptionGroup var callbacks: CallbackOptions
  @OptionGroup var metrics: MetricsOptions

  @Option(help: "The address to listen on.")
  var host = "127.0.0.1"

  @Option(help: "The port to listen on.")
  var port = 9000

  @Option(help: "Runs at once; the rest wait in order.")
  var concurrency = 4

  func validate() throws {
    guard (0...65_535).contains(port) else { throw ValidationError("--port: expected 0 to 65535") }
    guard concurrency >= 1 else { throw ValidationError("--concurrency: expected at least 1") }
  }

  func run() async throws {
    let (settings, logger) = try common.loadForRole(
      "worker", [worker, agent, callbacks, metrics], requiring: [.workerToken])
    let files = try OpenFiles(
      "baton worker", connections: 0,
      demands: [.clients, .agents(concurrency), .callbacks] + (settings.metricsPort == nil ? [] : [.probes]),
      logger: logger)
    let readiness = Readiness()
    let isListening = Mutex(false)
    readiness.register("worker") { isListening.withLock { $0 } ? nil : "it does not listen yet" }
    var configuration = WorkerConfiguration(
      settings, host: host, port: port, concurrency: concurrency, files: files, logger: logger)
    let onBound = configuration.onBound
    configuration.onBound = { port in
      isListening.withLock { $0 = true }
      await onBound(port)
    }
    let registry = PrometheusRegistry()
    let metrics = BatonMetrics(factory: registry)
    configuration.metrics = metrics
    registry.onCollect { metrics.logLinesDropped.set(LogWriter.standardError.droppedCount) }
    var services: [any Service] = []
    // Its probes and metrics: not on its own port, whose every call but `/health` needs the token.
    if let port = settings.metricsPort {
      services.append(
        HealthServer(
          host: settings.metricsHost, port: port, connectionMax: files[.probes] ?? OpenFiles.Demand.probes.wanted,
          metrics: metrics, registry: registry, readiness: readiness, logger: logger))
    }
    services.append(ReferenceWorker(configuration: configuration, logger: logger))
    try await ServiceRunner.run(services, drainTimeout: settings.drainTimeout, logger: logger)
  }
}

extension WorkerConfiguration {
  init(_ settings: Settings, host: String, port: Int, concurrency: Int, files: OpenFiles, logger: Logger) {
    let tokens = settings.workerToken ?? SecretList(Secret(""))
    self.init(token: tokens.current, former: tokens.former, statePath: settings.workerState)
    self.host = host
    self.port = port
    self.concurrency = min(concurrency, files[.agents] ?? concurrency)
    connectionMax = files[.clients] ?? connectionMax
    callbackConnectionMax = files[.callbacks] ?? callbackConnectionMax
    agentCommand = settings.agentCommand
    lostRuns = LostRuns(rawValue: settings.workerLostRuns.rawValue) ?? .fail
    environment = ProcessInfo.processInfo.environment
    callbackURL = settings.callbackURL
    callbackSecret = settings.callbackSecret?.current
    drainTimeout = settings.drainTimeout
    onBound = { port in logger.notice("listening", metadata: ["url": "http://\(host):\(port)"]) }
  }
}
