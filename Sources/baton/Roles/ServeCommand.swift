internal import ArgumentParser
internal import Assembly
internal import Settings

/// `baton serve`
struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serves the dashboard, webhooks, the API, the worker's callbacks, health and metrics.",
    discussion: """
      The API and the dashboard ask for a token of BATON_API_TOKEN, or of BATON_READ_TOKEN to look only. Without \
      BATON_API_TOKEN the server makes a token at its start, which is not shown, and prints a link that signs one browser in; \
      when it has been used, the next one is printed.

      EXAMPLES:
        baton serve
        BATON_API_TOKEN="$(openssl rand -hex 32)" baton serve --http-host 0.0.0.0 --http-port 8080
      """)

  @OptionGroup(title: "Settings") var common: CommonOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var broker: BrokerOptions
  @OptionGroup(title: "Settings") var flow: FlowOptions
  @OptionGroup(title: "Settings") var worker: WorkerOptions
  @OptionGroup(title: "Settings") var http: HTTPOptions
  @OptionGroup(title: "Settings") var metrics: MetricsOptions
  @OptionGroup(title: "Settings") var callbacks: CallbackOptions
  @OptionGroup(title: "Settings") var platforms: PlatformOptions
  @OptionGroup(title: "Settings") var webhooks: WebhookOptions
  @OptionGroup(title: "Settings") var agentVersion: AgentVersionOptions
  @OptionGroup(title: "Settings") var catchUp: CatchUpOptions

  func run() async throws {
    let (settings, logger) = try common.loadForRole(
      "serve", [database, broker, flow, worker, http, metrics, callbacks, platforms, webhooks, agentVersion, catchUp],
      for: [.serve])
    var additions = ProcessAdditions()
    additions.showLoginLink = Output.showLoginLink
    try await DispatcherProcess(
      "serve", roles: [.serve], version: Baton.version, settings: settings, logger: logger
    ).run(additions)
  }
}
