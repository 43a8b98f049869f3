internal import ArgumentParser
internal import Assembly
internal import Logging
internal import Settings

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
      "worker", [worker, agent, callbacks, metrics], requiring: demo ? [.workerToken] : [.workerToken, .agentCommand]
    ) { WorkerProcess.faults(of: $0, concurrency: concurrency) }
    warn(settings, logger)
    try await WorkerProcess(
      settings, host: host, port: port, concurrency: concurrency, version: Baton.version,
      hiddenPaths: common.configurationFile.map { [$0] } ?? [], logger: logger
    ).run()
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
