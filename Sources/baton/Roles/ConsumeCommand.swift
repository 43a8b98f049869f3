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

  @OptionGroup(title: "Settings") var common: CommonOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var broker: BrokerOptions
  @OptionGroup(title: "Settings") var flow: FlowOptions
  @OptionGroup(title: "Settings") var dispatch: DispatchOptions
  @OptionGroup(title: "Settings") var worker: WorkerOptions
  @OptionGroup(title: "Settings") var callbacks: CallbackOptions
  @OptionGroup(title: "Settings") var platforms: PlatformOptions
  @OptionGroup(title: "Settings") var webhooks: WebhookOptions
  @OptionGroup(title: "Settings") var agentVersion: AgentVersionOptions
  @OptionGroup(title: "Settings") var catchUp: CatchUpOptions
  @OptionGroup(title: "Settings") var metrics: MetricsOptions

  func run() async throws {
    let (settings, logger) = try common.loadForRole(
      "consume",
      [database, broker, flow, dispatch, worker, callbacks, platforms, webhooks, agentVersion, catchUp, metrics],
      for: [.consume])
    try await DispatcherProcess(
      "consume", roles: [.consume], version: Baton.version, settings: settings, logger: logger
    ).run()
  }
}
