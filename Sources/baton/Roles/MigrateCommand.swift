internal import AMQPClient
internal import ArgumentParser
internal import Logging
internal import PostgresClient
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
    let configuration = session.settings.databaseConfiguration("baton migrate")
    let pool = PostgresPool(configuration, logger: session.logger)
    do {
      let migrator = Migrator(pool: pool)
      let applied = try await migrator.migrate { blockers in
        Output.note("waiting for \(Migrator.Blocker.list(blockers))")
      }
      let open = try await migrator.schemaOpenToAll()
      await pool.close()
      if let open {
        Output.note(
          "warning: every account of this database may create objects in the schema \(open), and so change what Baton's "
            + "triggers do: REVOKE CREATE ON SCHEMA \(open) FROM PUBLIC")
      }
      for migration in applied { Output.note("applied version \(migration.version): \(migration.name)") }
      if applied.isEmpty { Output.note("the schema is up to date (version \(Migrator.version))") }
    } catch {
      await pool.close()
      throw (error as? PostgresError).map { Failure($0, at: configuration.description) } ?? error
    }
    let queue = session.settings.queue
    try await session.withBroker { try await $0.declare(ReviewTopology.topology(queue: queue)) }
    Output.note("the queue \(queue) and its dead letters are declared")
  }
}
