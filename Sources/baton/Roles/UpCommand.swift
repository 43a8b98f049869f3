internal import ArgumentParser
internal import Assembly
internal import Settings

/// `baton up`
struct UpCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up", abstract: "Runs produce, consume, reap and serve in one process.",
    discussion: """
      With --sandbox also the reference worker and a stand-in for GitHub and GitLab, which plays recorded pull requests: \
      then Postgres and the broker are all that is needed.

      EXAMPLES:
        baton up
        baton up --sandbox, and then: baton submit --sandbox 20 --owners 3 --wait
      """)

  @OptionGroup(title: "Settings") var common: CommonOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var broker: BrokerOptions
  @OptionGroup(title: "Settings") var flow: FlowOptions
  @OptionGroup(title: "Settings") var dispatch: DispatchOptions
  @OptionGroup(title: "Settings") var worker: WorkerOptions
  @OptionGroup(title: "Settings") var agent: AgentOptions
  @OptionGroup(title: "Settings") var http: HTTPOptions
  @OptionGroup(title: "Settings") var metrics: MetricsOptions
  @OptionGroup(title: "Settings") var callbacks: CallbackOptions
  @OptionGroup(title: "Settings") var platforms: PlatformOptions
  @OptionGroup(title: "Settings") var webhooks: WebhookOptions
  @OptionGroup(title: "Settings") var agentVersion: AgentVersionOptions
  @OptionGroup(title: "Settings") var catchUp: CatchUpOptions

  @Flag(help: "Also run a worker, and a stand-in for GitHub and GitLab.")
  var sandbox = false

  func run() async throws {
    let local = sandbox ? try LocalSandbox() : nil
    let (settings, logger) = try common.loadForRole(
      "up",
      [
        database, broker, flow, dispatch, worker, agent, http, metrics, callbacks, platforms, webhooks, agentVersion,
        catchUp,
      ], for: .all
    ) { local?.complete(&$0) }
    let process = try DispatcherProcess(
      "up", roles: .all, version: Baton.version, settings: settings,
      workerConcurrency: local.map { _ in LocalSandbox.concurrency }, logger: logger)
    var additions = ProcessAdditions()
    additions.showLoginLink = Output.showLoginLink
    additions.called = try local?.services(of: process) ?? []
    try await process.run(additions)
  }
}
