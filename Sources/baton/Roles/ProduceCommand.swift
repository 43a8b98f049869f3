internal import ArgumentParser
internal import Assembly
internal import Dispatching
internal import Settings

/// `baton produce`
struct ProduceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "produce", abstract: "Claims pending reviews and publishes a ticket for each.",
    discussion: """
      Runs until SIGTERM. Any number may run: an owner's limit holds across all of them.

      EXAMPLES:
        baton produce
        baton produce --once          one pass, for cron; prints one JSON line: {"claimed", "published"}
      """)

  @OptionGroup(title: "Settings") var common: CommonOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var broker: BrokerOptions
  @OptionGroup(title: "Settings") var flow: FlowOptions
  @OptionGroup(title: "Settings") var metrics: MetricsOptions

  @Flag(help: "Do one pass and exit.")
  var once = false

  func run() async throws {
    let (settings, logger) = try common.loadForRole(
      "produce", [database, broker, flow, metrics], for: [.produce])
    let process = try DispatcherProcess(
      "produce", roles: [.produce], version: Baton.version, settings: settings, runsOnce: once, logger: logger)
    if once { return try Output.json(await process.produceOnce()) }
    try await process.run()
  }
}
