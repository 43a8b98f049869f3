internal import ArgumentParser
internal import Assembly
internal import Logging
internal import ReviewQueue
internal import ReviewStore
internal import Reviews
internal import Settings

/// `baton migrate`
struct MigrateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrate", abstract: "Creates or upgrades the schema, and declares the queues.",
    discussion: """
      Safe to run twice, and from many machines at once. Every role refuses a schema that is older than it needs. A step \
      that cannot get a lock within a minute is not applied; the message says which session holds it.

      EXAMPLES:
        baton migrate
        baton migrate --database-url postgresql://baton@db/baton --amqp-url amqp://baton@mq/baton
      """)

  @OptionGroup(title: "Settings") var common: CommonOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var broker: BrokerOptions

  func run() async throws {
    let session = try CommandSession(
      "baton migrate", common, [database, broker], requiring: [.databaseURL, .amqpURL])
    let migrator = Migrator(forCommand: "baton migrate", session.settings, logger: session.logger)
    do {
      let applied = try await migrator.migrate { blockers in
        Output.note("waiting for \(Migrator.Blocker.list(blockers))")
      }
      let open = try await migrator.schemaOpenToAll()
      await migrator.close()
      if let open {
        Output.note(
          "warning: every account of this database may create objects in the schema \(open), and so change what Baton's "
            + "triggers do: REVOKE CREATE ON SCHEMA \(open) FROM PUBLIC")
      }
      for migration in applied { Output.note("applied version \(migration.version): \(migration.name)") }
      if applied.isEmpty { Output.note("the schema is up to date (version \(Migrator.version))") }
    } catch {
      await migrator.close()
      throw (error as? any StoreFault).map { Failure($0, at: migrator.server) } ?? error
    }
    try await session.withBroker { try await $0.declare() }
    Output.note("the queue \(session.settings.queue) and its dead letters are declared")
  }
}
