internal import ArgumentParser
internal import Assembly
internal import BatonServer
internal import Dispatching
internal import Logging
internal import Primitives
internal import Reviews
internal import ServiceLifecycle
internal import Settings
internal import WorkerAPI

/// `baton serve`
struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serves the dashboard, webhooks, the API, the worker's callbacks, health and metrics.",
    discussion: """
      The API and the dashboard ask for a token of BATON_API_TOKEN, or of BATON_READ_TOKEN to look only. Without \
      BATON_API_TOKEN the server makes a token at its start, which nobody sees, and prints a link that signs one browser in; \
      when it has been used, the next one is printed.

      EXAMPLES:
        baton serve
        BATON_API_TOKEN="$(openssl rand -hex 32)" baton serve --http-host 0.0.0.0 --http-port 8080
      """)

  @OptionGroup var common: CommonOptions
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var broker: BrokerOptions
  @OptionGroup var flow: FlowOptions
  @OptionGroup var worker: WorkerOptions
  @OptionGroup var http: HTTPOptions
  @OptionGroup var metrics: MetricsOptions
  @OptionGroup var callbacks: CallbackOptions
  @OptionGroup var platforms: PlatformOptions

  func run() async throws {
    let (settings, logger) = try common.loadForRole(
      "serve", [database, broker, flow, worker, http, metrics, callbacks, platforms],
      requiring: [.databaseURL, .amqpURL])
    let process = try DispatcherProcess(
      "serve", role: "serve", version: Baton.version, settings: settings,
      demands: [.clients, .workerQuestions(clients: 2), .platforms(settings)], logger: logger)
    let session = process.holderSession()
    var services: [any Service] = [session, process.publisherService(waking: session.pendingWakeup)]
    let platforms = settings.encryptionKey == nil ? nil : try PlatformAssembly(process)
    if let platforms { services.append(platforms.connections) }
    services += process.serverServices(platforms)
    if let worker = try process.workerClient() {
      services.append(process.cancelDelivery(to: worker, wakeup: session.outboxWakeup))
    } else {
      logger.notice("BATON_WORKER_URL is not set: this process sends no cancels to a worker; the reaper does")
    }
    services.append(try process.server())
    try await process.run(services)
  }
}

extension DispatcherProcess {
  /// How long a review's page waits for its worker's events.
  private static let eventsTimeout: Duration = .seconds(2)

  /// The HTTP server of this process.
  func server() throws -> BatonServer {
    let link = settings.apiToken == nil ? LoginLink(to: settings, logger) : nil
    let configuration = BatonServer.Configuration(
      host: settings.httpHost, port: settings.httpPort,
      connectionMax: files[.clients] ?? OpenFiles.Demand.clients.least,
      apiToken: settings.apiToken ?? SecretList(.random()), readToken: settings.readToken,
      proxies: TrustedProxies(ranges: settings.trustedProxies, actorHeader: settings.actorHeader), loginLink: link,
      callbackSecret: settings.callbackSecret,
      authKeys: settings.revealEncryptionKeys().map { AuthKey(encryptionKey: $0) }, webhooks: webhookSecrets,
      holderTimeout: settings.lease,
      watch: WatchPolicy(times: policy.reapTimes, ownerLimit: policy.ownerLimit, queue: policy.queue))
    let (logger, settings) = (logger, settings)
    return BatonServer(
      configuration: configuration, store: store,
      worker: try workerClient(timeout: min(settings.workerTimeout, Self.eventsTimeout)), queueStats: queueFigures,
      deadLetters: deadLetters,
      metrics: metrics, registry: registry,
      readiness: readiness, logger: logger,
      onBound: { port in
        logger.notice("listening", metadata: ["url": "http://\(configuration.host):\(port)"])
        for warning in settings.exposureWarnings { logger.warning("\(warning)") }
        link?.issue()
      })
  }
}
