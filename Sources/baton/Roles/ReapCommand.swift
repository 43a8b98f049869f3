internal import ArgumentParser
internal import Assembly
internal import Dispatching
internal import Settings

/// `baton reap`
struct ReapCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reap", abstract: "Puts abandoned reviews on their way again, and asks about silent ones.",
    discussion: """
      One pass, for cron: prints one JSON line of counts. It recovers first, then asks the worker for at most 20 seconds; \
      what is left then is counted. With --interval it keeps running, which recovers sooner, and does what `baton catch-up` \
      does. Any number may run.

      EXAMPLES:
        * * * * *  baton reap --config /etc/baton.yaml
        baton reap --interval 2s
      """)

  @OptionGroup(title: "Settings") var common: CommonOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var broker: BrokerOptions
  @OptionGroup(title: "Settings") var flow: FlowOptions
  @OptionGroup(title: "Settings") var worker: WorkerOptions
  @OptionGroup(title: "Settings") var metrics: MetricsOptions
  @OptionGroup(title: "Settings") var platforms: PlatformOptions
  @OptionGroup(title: "Settings") var webhooks: WebhookOptions
  @OptionGroup(title: "Settings") var agentVersion: AgentVersionOptions
  @OptionGroup(title: "Settings") var catchUp: CatchUpOptions

  @Option(help: ArgumentHelp("Keep running, with so much time between passes.", valueName: "time"))
  var interval: TimeSpan?

  /// How long one pass waits for a worker's answers, so that it ends before cron starts the next.
  private static let askingMax: Duration = .seconds(20)

  func run() async throws {
    let (settings, logger) = try common.loadForRole(
      "reap", [database, broker, flow, worker, metrics, platforms, webhooks, agentVersion, catchUp], for: [.reap])
    let process = try DispatcherProcess(
      "reap", roles: [.reap], version: Baton.version, settings: settings, runsOnce: interval == nil, logger: logger)
    guard let interval else {
      return try Output.json(await process.reapOnce(askingMax: Self.askingMax))
    }
    var additions = ProcessAdditions()
    additions.reapInterval = interval.duration
    try await process.run(additions)
  }
}
