internal import ArgumentParser
internal import Assembly
internal import Dispatching
internal import Resilience
internal import Settings

/// `baton produce`
struct ProduceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "produce", abstract: "Claims pending reviews and publishes a ticket for each.",
    discussion: """
      Runs until SIGTERM. Any number may run: an owner's limit holds across all of them.

      EXAMPLES:
        baton produce
        baton produce --once          one pass, for cron; prints what it did as a JSON line
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
      "produce", [database, broker, flow, metrics], requiring: [.databaseURL, .amqpURL])
    let process = try DispatcherProcess(
      "produce", role: "produce", version: Baton.version, settings: settings, runsOnce: once, logger: logger)
    if once {
      return try await process.runOnce { process, _ in
        try Output.json(await process.producer(wakeup: Wakeup()).runOnce())
      }
    }
    let session = process.holderSession()
    try await process.run(
      [session, process.publisherService(waking: session.pendingWakeup)] + process.healthServices() + [
        process.producer(wakeup: session.pendingWakeup)
      ])
  }
}
