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
          baton produce & baton consume & baton reap --interval 2s & baton serve &

      Settings come from flags, BATON_* variables, or the file named by --config, in this order.
      Exit status: 0 done; 1 failed; 64 wrong usage; 69 Postgres or the broker cannot be reached; 78 a setting is \
      missing or invalid.
      """,
    version: version,
    groupedSubcommands: [
      CommandGroup(
        name: "Setting up",
        subcommands: [
          MigrateCommand.self, OwnerCommand.self, ConfigCommand.self, IntegrationCommand.self, EndpointCommand.self,
        ]),
      CommandGroup(
        name: "Roles",
        subcommands: [
          ProduceCommand.self, ConsumeCommand.self, ReapCommand.self, ServeCommand.self, WorkerCommand.self,
          UpCommand.self,
        ]),
      CommandGroup(
        name: "Reviews",
        subcommands: [
          SubmitCommand.self, ListCommand.self, ShowCommand.self, CancelCommand.self, RetryCommand.self,
          ReleaseCommand.self, DeliveriesCommand.self, CatchUpCommand.self, PruneCommand.self,
        ]),
      CommandGroup(
        name: "Watching the queues", subcommands: [HealthCommand.self, QueueCommand.self, DeadCommand.self]),
    ])

  /// Prints what ArgumentParser has to say: a page of help, the version, an error of usage.
  /// - Returns: why the process ends, if not with success.
  private static func printed(_ error: any Error) -> Failure {
    let text = fullMessage(for: error)
    let arguments = Array(CommandLine.arguments.dropFirst())
    let status = exitCode(for: error)
    if [.success, .validationFailure].contains(status), let unknown = UsageText.unknownCommand(arguments) {
      Output.note(ArgumentRedaction.redact(unknown, arguments: arguments))
      return Failure(.usage, "")
    }
    switch status {
    case .success:
      do throws(OutputFault) {
        try Output.line(UsageText.help(text))
        Glibc.exit(EndStatus.done.rawValue)
      } catch {
        return Failure(error) ?? .reported
      }
    case .validationFailure:
      Output.note(ArgumentRedaction.redact(UsageText.error(text), arguments: arguments))
      return Failure(.usage, "")
    default: exit(withError: error)
    }
  }

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
      let failure = Failure(error) ?? printed(error)
      if !failure.description.isEmpty { Output.note("Error: \(failure)") }
      if failure == .outputClosed { StandardStreams.endBySIGPIPE() }
      Glibc.exit(failure.status.rawValue)
    }
  }
}
