internal import ArgumentParser
internal import Glibc

/// The program. Roles run until they are stopped; all other commands do one thing and end.
@main
struct Baton: AsyncParsableCommand {
  static let version = "1.0.0"

  static let configuration = CommandConfiguration(
    commandName: "baton",
    abstract: "Hands every pending code review to a worker, once, and never drops one.",
    discussion: """
      Postgres holds the truth, RabbitMQ carries a ticket for each review, workers do the reviewing.

      EXAMPLES:
        All of it on this machine, with a worker and a stand-in for GitHub:
          baton migrate && baton up --sandbox
          baton submit --sandbox 20 --owners 4 --wait

        In production, one process a role:
          baton migrate
          baton produce & baton consume & baton reap --interval 10s & baton serve &

      Settings come from flags, BATON_* variables, or the file named by --config, in this order.
      Exit status: 0 done; 1 failed; 64 wrong usage; 69 Postgres or the broker cannot be reached; 78 a setting is \
      missing or invalid.
      """,
    version: version,
    groupedSubcommands: [
      CommandGroup(
        name: "Setting up",
        subcommands: [MigrateCommand.self, OwnerCommand.self, ConfigCommand.self, IntegrationCommand.self]),
      CommandGroup(
        name: "Roles",
        subcommands: [
          ProduceCommand.self, ConsumeCommand.self, ReapCommand.self, ServeCommand.self, WorkerCommand.self,
          UpCommand.self, SandboxAgentCommand.self,
        ]),
      CommandGroup(
        name: "Reviews",
        subcommands: [
          SubmitCommand.self, ListCommand.self, ShowCommand.self, CancelCommand.self, RetryCommand.self,
          PruneCommand.self,
        ]),
      CommandGroup(name: "Watching the queues", subcommands: [QueueCommand.self, DeadCommand.self]),
    ])

  /// Parses, runs, and turns what was thrown into the exit status that operators rely on.
  static func main() async {
    // Before a setting is read: an agent, or whatever else runs as this user, must not find one in this process.
    ProcessPrivacy.begin()
    StandardStreams.prepare()
    do {
      var command = try await asyncParseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      guard let failure = Failure(error) else {
        guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
        Output.note(
          ArgumentRedaction.redact(fullMessage(for: error), arguments: Array(CommandLine.arguments.dropFirst())))
        Glibc.exit(EndStatus.usage.rawValue)
      }
      if !failure.description.isEmpty { Output.note("Error: \(failure)") }
      if failure == .outputClosed { StandardStreams.endBySIGPIPE() }
      Glibc.exit(failure.status.rawValue)
    }
  }
}
