internal import ArgumentParser
internal import Assembly
internal import BatonServer
internal import Settings

/// `baton catch-up`.
struct CatchUpCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "catch-up",
    abstract: "Finds missed webhooks and open pull requests without a review.",
    discussion: """
      One pass, for cron: has GitHub deliver again what it could not deliver, and looks through the open pull requests of each \
      installation and of each GitLab project whose webhooks were received. What it finds is stored, and `baton serve` judges it as \
      any webhook. It works at most 5 minutes and 2000 requests; the next pass goes on there. `baton reap --interval` and \
      `baton up` do the same every BATON_CATCH_UP_INTERVAL.

      EXAMPLES:
        */10 * * * *  baton catch-up --config /etc/baton.yaml

      Without BATON_GITHUB_APP_ID it looks at GitLab alone; if there are installations of GitHub, it ends with 78. If there is nothing \
      to look through at all, it says so, and ends with 0.

      Prints one JSON line: {"redelivered", "unreviewed", "finished", "unfinished", "failed", "requests"}.
      """)

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var platforms: PlatformOptions
  @OptionGroup(title: "Settings") var webhooks: WebhookOptions
  @OptionGroup(title: "Settings") var agentVersion: AgentVersionOptions
  @OptionGroup(title: "Settings") var catchUp: CatchUpOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  /// So that it ends before cron starts the next.
  private static let timeMax: Duration = .seconds(300)

  func run() async throws {
    let session = try CommandSession(
      "baton catch-up", common, [database, platforms, webhooks, agentVersion, catchUp],
      requiring: [.databaseURL, .encryptionKey])
    let (counts, omission) = try await session.withStore { store in
      let counts = try await CatchUpPass.run(
        session.settings, store: store, timeMax: Self.timeMax, logger: session.logger)
      return (counts, try await CatchUpPass.omission(session.settings, store: store))
    }
    try Output.json(counts)
    guard let omission else { return }
    guard omission.isFault else { return Output.note("\(omission)") }
    throw Failure(.settings, "\(omission)")
  }
}
