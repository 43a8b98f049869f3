internal import AMQPClient
internal import Logging
internal import PostgresClient
internal import ReviewStore
internal import Reviews
internal import Settings
internal import Telemetry

/// What a one-shot command works with: its settings, and connections that last for one body.
struct CommandSession: Sendable {
  let settings: Settings
  /// For the connections: errors only, unless the level is set, as what they fail with ends the command.
  let logger: Logger
  private let name: String

  /// Reads the settings and sets up logging.
  /// - Parameters:
  ///   - name: of the command, as servers show the connection: `baton list`. Postgres, and with it the history of reviews, also shows the
  ///     account that runs it.
  ///   - keys: settings that it cannot do without.
  init(
    _ name: String, _ common: CommonOptions, _ groups: [any SettingFlags], requiring keys: [Settings.Key]
  ) throws(SettingsError) {
    settings = try common.load(groups, requiring: keys)
    let isLevelGiven = settings.given.contains(.logLevel)
    let level = isLevelGiven ? settings.logLevel : .warning
    bootstrapLogging(
      format: settings.logFormat,
      level: Logger.Level(rawValue: level.rawValue) ?? .warning)
    self.name = name
    var logger = Logger(label: name)
    for warning in settings.warnings { logger.warning("\(warning)") }
    if !isLevelGiven { logger.logLevel = .error }
    self.logger = logger
  }

  /// Runs the body with the store, after checking that the schema is the one that this program works with.
  /// - Parameter connections: the most that it makes.
  /// - Throws: `Failure` for everything that Postgres says, with the server's name.
  func withStore<Result>(
    connections: Int = 2, _ body: (ReviewStore) async throws -> Result
  ) async throws -> Result {
    var configuration = settings.databaseConfiguration(SystemAccount.name.map { "\(name) (\($0))" } ?? name)
    configuration.sessionSettings = ReviewStore.sessionSettings
    configuration.optionalSessionSettings = ReviewStore.optionalSessionSettings
    configuration.poolSize = min(settings.databasePool, connections)
    configuration.isPatient = false
    let pool = PostgresPool(configuration, logger: logger)
    do {
      try await Migrator(pool: pool).check()
      let result = try await body(ReviewStore(pool: pool, logger: logger))
      await pool.close()
      return result
    } catch {
      await pool.close()
      guard let error = error as? PostgresError else { throw error }
      throw Failure(error, at: configuration.description)
    }
  }

  /// A connection to the broker, for the caller to close. Nothing is declared.
  func connectToBroker() async throws(AMQPError) -> AMQPConnection {
    try await AMQPConnection.connect(settings.amqpConfiguration(name), logger: logger)
  }

  /// Asks the broker for the work queue.
  /// - Throws: `AMQPError` if it cannot be reached, or has no such queue.
  func findQueue() async throws {
    _ = try await withBroker { try await $0.queueStatus(settings.queue) }
  }

  /// Runs the body with a connection to the broker. Nothing is declared.
  func withBroker<Result>(_ body: (AMQPConnection) async throws -> Result) async throws -> Result {
    let connection = try await connectToBroker()
    do {
      let result = try await body(connection)
      await connection.close()
      return result
    } catch {
      await connection.close()
      throw error
    }
  }
}
