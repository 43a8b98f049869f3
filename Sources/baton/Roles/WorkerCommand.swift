internal import ArgumentParser
internal import Assembly
internal import BatonServer
internal import FoundationEssentials
internal import HTTPTrust
internal import Logging
internal import Primitives
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
      Starts are idempotent by review and attempt, also over restarts: the state is in BATON_WORKER_STATE. With --demo \
      no agent is needed: each run completes at once, nothing is reviewed, and no gate passes.

      EXAMPLES:
        BATON_AGENT_COMMAND=./review.sh baton worker --port 9000 --concurrency 4
      """)

  @OptionGroup(title: "Settings") var common: CommonOptions
  @OptionGroup(title: "Settings") var worker: WorkerOptions
  @OptionGroup(title: "Settings") var agent: AgentOptions
  @OptionGroup(title: "Settings") var callbacks: CallbackOptions
  @OptionGroup(title: "Settings") var metrics: MetricsOptions

  @Option(help: "The address to listen on.")
  var host = "127.0.0.1"

  @Option(help: "The port to listen on.")
  var port = 9000

  @Option(help: "Runs at once; the rest wait in order.")
  var concurrency = 4

  @Flag(help: "Without BATON_AGENT_COMMAND: complete each run at once, review nothing, and pass no gate.")
  var demo = false

  func validate() throws {
    guard (0...65_535).contains(port) else { throw ValidationError("--port: expected 0 to 65535") }
    guard concurrency >= 1 else { throw ValidationError("--concurrency: expected at least 1") }
  }

  func run() async throws {
    let (settings, logger) = try common.loadForRole(
      "worker", [worker, agent, callbacks, metrics], requiring: demo ? [.workerToken] : [.workerToken, .agentCommand])
    let files = try OpenFiles(
      "baton worker", connections: 0,
      demands: [.clients, .agents(concurrency), .callbacks] + (settings.metricsPort == nil ? [] : [.probes]),
      logger: logger)
    let readiness = Readiness()
    let isListening = Mutex(false)
    readiness.register("worker") { isListening.withLock { $0 } ? nil : "it does not listen yet" }
    var configuration = try WorkerConfiguration(
      settings, host: host, port: port, concurrency: concurrency, files: files, logger: logger)
    configuration.hiddenPaths = common.configurationFile.map { [$0] } ?? []
    warn(settings, logger)
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

  private func warn(_ settings: Settings, _ logger: Logger) {
    if settings.agentCommand == nil {
      logger.warning("this is a demonstration: nothing is reviewed, and no gate passes")
    } else if settings.agentIsolation == .off {
      logger.warning(
        "agents are not kept apart: each can read the tokens and files of the others' runs. Set BATON_AGENT_ISOLATION")
    }
  }
}

extension WorkerConfiguration {
  /// - Throws: if the settings of the isolation do not fit together.
  init(_ settings: Settings, host: String, port: Int, concurrency: Int, files: OpenFiles, logger: Logger)
    throws(SettingsError)
  {
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
    environmentNames = settings.agentEnvironment
    secrets = settings.secretTexts
    isolation = try Self.isolation(settings, concurrency: self.concurrency)
    callbackURL = settings.callbackURL
    callbackSecret = settings.callbackSecret?.current
    trust = HTTPTrust(authorityFile: settings.caFile)
    drainTimeout = settings.drainTimeout
    onBound = { port in logger.notice("listening", metadata: ["url": "http://\(host):\(port)"]) }
  }
  private static func isolation(_ settings: Settings, concurrency: Int) throws(SettingsError) -> AgentIsolation {
    switch settings.agentIsolation {
    case .off: return .off
    case .namespaces: return .namespaces
    case .users:
      guard let users = settings.agentUsers else {
        throw SettingsError(faults: [
          "BATON_AGENT_USERS is missing: BATON_AGENT_ISOLATION=users needs it; for example 70000-70015"
        ])
      }
      guard users.count >= concurrency else {
        throw SettingsError(faults: [
          "BATON_AGENT_USERS has \(users.count) user ids, and \(concurrency) runs at once need one each: name more, or lower --concurrency"
        ])
      }
      return .users(users)
    }
  }
}
