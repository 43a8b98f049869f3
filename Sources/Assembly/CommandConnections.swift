package import Logging
internal import PostgresClient
package import ReviewQueue
package import ReviewStore
package import Settings

// The connections of commands that run once.

extension ReviewStore {
  /// The store of a command, which closes it; nothing is connected yet. It does not wait for a Postgres that is unavailable now.
  /// - Parameters:
  ///   - name: of the session, as Postgres shows it.
  ///   - settings: of the command.
  ///   - connections: the most that it makes.
  ///   - logger: for what the pool reports.
  package init(forCommand name: String, _ settings: Settings, connections: Int, logger: Logger) {
    var configuration = settings.databaseAddress.configuration(name)
    configuration.sessionSettings = ReviewStore.sessionSettings
    configuration.optionalSessionSettings = ReviewStore.optionalSessionSettings
    configuration.poolSize = min(settings.databasePool, connections)
    configuration.isPatient = false
    self.init(pool: PostgresPool(configuration, logger: logger), logger: logger)
  }
}

extension Migrator {
  /// The migrator of a command, which closes it; nothing is connected yet. Its sessions have the account's own settings.
  /// - Parameters:
  ///   - name: of the session, as Postgres shows it.
  ///   - settings: of the command.
  ///   - logger: for what the pool reports.
  package init(forCommand name: String, _ settings: Settings, logger: Logger) {
    self.init(pool: PostgresPool(settings.databaseAddress.configuration(name), logger: logger))
  }
}

extension QueueConnection {
  /// Connects a command to the broker. The command closes the connection.
  /// - Parameters:
  ///   - name: of the connection, as the broker shows it.
  ///   - settings: of the command.
  ///   - logger: for what the connection reports.
  package init(forCommand name: String, _ settings: Settings, logger: Logger) async throws {
    try await self.init(settings.brokerAddress.configuration(name), queue: settings.queue, logger: logger)
  }
}
