internal import Assembly
internal import Logging
internal import ReviewQueue
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
    let store = ReviewStore(
      forCommand: SystemAccount.name.map { "\(name) (\($0))" } ?? name, settings, connections: connections,
      logger: logger)
    do {
      try await Migrator(store).check()
      let result = try await body(store)
      await store.close()
      return result
    } catch {
      await store.close()
      guard let fault = error as? any StoreFault else { throw error }
      throw Failure(fault, at: store.server)
    }
  }

  /// A connection to the broker, for the caller to close. Nothing is declared.
  func connectToBroker() async throws -> QueueConnection {
    try await QueueConnection(forCommand: name, settings, logger: logger)
  }

  /// Runs the body with a connection to the broker. Nothing is declared.
  func withBroker<Result>(_ body: (QueueConnection) async throws -> Result) async throws -> Result {
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
