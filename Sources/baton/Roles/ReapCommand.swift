internal import ArgumentParser
internal import Assembly
internal import Dispatching
internal import Logging
internal import Resilience
internal import ServiceLifecycle
internal import Settings
internal import WorkerClient

/// `baton reap`
struct ReapCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reap", abstract: "Puts abandoned reviews on their way again, and asks about silent ones.",
    discussion: """
      One pass, for cron: prints one JSON line of counts. It recovers first, then asks the worker for at most 20 seconds; \
      what is left then is counted. With --interval it keeps running, which recovers sooner. Any number may run.

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

  @Option(help: ArgumentHelp("Keep running, with so much time between passes.", valueName: "time"))
  var interval: TimeSpan?

  /// How long one pass waits for a worker's answers, so that it ends before cron starts the next.
  private static let askingMax: Duration = .seconds(20)

  func run() async throws {
    let (settings, logger) = try common.loadForRole(
      "reap", [database, broker, flow, worker, metrics], requiring: [.databaseURL, .amqpURL])
    let process = try DispatcherProcess(
      "reap", role: "reap", version: Baton.version, settings: settings, runsOnce: interval == nil,
      demands: [.workerQuestions(clients: 1)], logger: logger)
    let worker = try process.workerClient()
    if worker == nil {
      logger.warning("BATON_WORKER_URL is not set: silent reviews are left alone, cancels are not delivered")
    }
    guard let interval else {
      return try await process.runOnce { process, session in
        let cancels = worker.map { process.cancelDelivery(to: $0, wakeup: session.outboxWakeup) }
        let reaper = process.reaper(worker: worker, interval: .zero)
        try Output.json(await reaper.runOnce(cancels: cancels, askingMax: Self.askingMax))
      }
    }
    let session = process.holderSession()
    let wakeup = Wakeup()
    var services: [any Service] = [session, process.publisherService(waking: wakeup)]
    services += process.healthServices()
    if let worker { services.append(process.cancelDelivery(to: worker, wakeup: session.outboxWakeup)) }
    services.append(process.reaper(worker: worker, interval: interval.duration, wakeup: wakeup))
    try await process.run(services)
  }
}
