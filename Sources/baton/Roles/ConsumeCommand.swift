internal import ArgumentParser
internal import Assembly
internal import Dispatching
internal import Settings

/// `baton consume`
struct ConsumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "consume", abstract: "Takes tickets, prepares the payloads and calls the worker.",
    discussion: """
      Runs until SIGTERM, then drains within BATON_DRAIN_TIMEOUT. As many processes as wanted.

      EXAMPLES:
        baton consume
        baton consume --prefetch 64 --metrics-port 9102
      """)

  @OptionGroup(title: "Settings") var common: CommonOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var broker: BrokerOptions
  @OptionGroup(title: "Settings") var flow: FlowOptions
  @OptionGroup(title: "Settings") var dispatch: DispatchOptions
  @OptionGroup(title: "Settings") var worker: WorkerOptions
  @OptionGroup(title: "Settings") var callbacks: CallbackOptions
  @OptionGroup(title: "Settings") var platforms: PlatformOptions
  @OptionGroup(title: "Settings") var metrics: MetricsOptions

  func run() async throws {
    let (settings, logger) = try common.loadForRole(
      "consume", [database, broker, flow, dispatch, worker, callbacks, platforms, metrics],
      requiring: [.databaseURL, .amqpURL, .workerURL, .workerToken, .encryptionKey])
    let process = try DispatcherProcess(
      "consume", role: "consume", version: Baton.version, settings: settings,
      demands: [.worker(settings), .platforms(settings, reviewsAtOnce: settings.prefetch)], logger: logger)
    let platforms = try PlatformAssembly(process)
    let assembly = try ConsumerAssembly(process, platforms)
    let consumer = assembly.consumer
    let session = process.holderSession { consumer.report }
    try await process.run(
      [session, process.publisherService(waking: session.pendingWakeup), platforms.connections]
        + process.healthServices() + [consumer])
  }
}
