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
      Safe to run twice, and from many machines at once. Every role refuses a schema that is older than it needs.

      EXAMPLES:
        baton migrate
        baton migrate --database-url postgresql://baton@db/baton --amqp-url amqp://baton@mq/baton
      """)

  @OptionGroup var common: CommonOptions
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var broker: BrokerOptions

  func run() async throws {
    let session = try Session(
      "baton migrate", common, [database, broker], requiring: [.databaseURL, .amqpURL])
    let configuration = PostgresConfiguration(
      conninfo: session.settings.databaseURL?.reveal() ?? "", applicationName: "baton migrate")
    let pool = PostgresPool(configuration, logger: session.logger)
    do {
      let applied = try await Migrator(pool: pool).migrate()
      await pool.close()
      for migration in applied { Output.note("applied version \(migration.version): \(migration.name)") }
      if applied.isEmpty { Output.note("the schema is up to date (version \(Migrator.version))") }
    } catch let error as PostgresError {
      await pool.close()
      throw Failure(error, at: configuration.description)
    }
    let queue = session.settings.queue
    try await session.withBroker { try await $0.declare(ReviewTopology.topology(queue: queue)) }
    Output.note("the queue \(queue) and its dead letters are declared")
  }
}
