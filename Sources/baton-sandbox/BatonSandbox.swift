internal import ArgumentParser

/// What a demonstration needs in place of the outside world. A program of its own: `baton` itself holds no recorded data.
@main
struct BatonSandbox: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "baton-sandbox",
    abstract: "Stands in for GitHub and GitLab on this machine, and for a reviewing agent.",
    discussion: """
      `baton up --sandbox` and `baton submit --sandbox` run this program, which has to be in the same folder as baton.

      EXAMPLES:
        baton-sandbox platforms --port 8081
        baton-sandbox pull-requests --owner org:acme | baton submit --file -
        BATON_AGENT_COMMAND='baton-sandbox agent --api http://127.0.0.1:8081' baton worker
      """,
    subcommands: [PlatformsCommand.self, AgentCommand.self, PullRequestsCommand.self])
}
