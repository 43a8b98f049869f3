internal import ArgumentParser
internal import Assembly
internal import BatonServer
internal import Dispatching
internal import Logging
internal import Settings
internal import WorkerAPI

/// `baton serve`
struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Serves webhooks, the API, the worker's callbacks, health and metrics.",
    discussion: """
      Without BATON_API_TOKEN the API answers only on this machine.

      EXAMPLES:
        baton serve
        BATON_API_TOKEN=… baton serve --http-host 0.0.0.0 --http-port 8080
      """)

  @OptionGroup var common: CommonOptions
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var broker: BrokerOptions
  @OptionGroup var flow: FlowOptions
  @OptionGroup var http: HTTPOptions
  @OptionGroup var callbacks: CallbackOptions
  @OptionGroup var platforms: PlatformOptions

  func run() async throws {
    let (settings, logger) = try common.loadForRole(
      "serve", [database, broker, flow, http, callbacks, platforms], requiring: [.databaseURL, .amqpURL])
    let process = try DispatcherProcess(
      "serve", role: "serve", version: Baton.version, settings: settings, logger: logger)
    let session = process.holderSession()
    try await process.run(
      [session, process.publisherService(waking: session.pendingWakeup)] + process.serverServices() + [
        process.server()
      ])
  }
}

extension DispatcherProcess {
  /// The HTTP server of this process.
  func server() -> BatonServer {
    let configuration = BatonServer.Configuration(
      host: settings.httpHost, port: settings.httpPort, apiToken: settings.apiToken,
      callbackSecret: settings.callbackSecret,
      authKey: settings.revealEncryptionKey().map { AuthKey(encryptionKey: $0) }, webhooks: webhookSecrets,
      holderTimeout: settings.lease, ownerLimit: settings.ownerLimit)
    let logger = logger
    return BatonServer(
      configuration: configuration, store: store, queueStats: queueFigures, metrics: metrics, registry: registry,
      readiness: readiness, logger: logger,
      onBound: { port in
        logger.notice("listening", metadata: ["url": "http://\(configuration.host):\(port)"])
      })
  }
}
