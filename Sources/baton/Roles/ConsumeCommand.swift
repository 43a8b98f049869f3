internal import ArgumentParser
internal import Assembly
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

  @OptionGroup var common: CommonOptions
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var broker: BrokerOptions
  @OptionGroup var flow: FlowOptions
  @OptionGroup var dispatch: DispatchOptions
  @OptionGroup var worker: WorkerOptions
  @OptionGroup var callbacks: CallbackOptions
  @OptionGroup var platforms: PlatformOptions
  @OptionGroup var metrics: MetricsOptions

  func run() async throws {
    let (settings, logger) = try common.loadForRole(
      "consume", [database, broker, flow, dispatch, worker, callbacks, platforms, metrics],
      for: [.consume])
    try await DispatcherProcess(
      "consume", roles: [.consume], version: Baton.version, settings: settings, logger: logger
    ).run()
  }
}
