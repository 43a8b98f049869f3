public import Logging
internal import PollExecutor
internal import Resilience
internal import Synchronization

/// Connections to one database, at most `poolSize`, all on one thread.
///
/// Connects when first needed and opens more while callers overlap. Lost connections are replaced with jittered
/// backoff, indefinitely. Single statements share connections, pipelined; a transaction borrows one alone.
///
/// - Important: call `close()` at the end. If every connection is borrowed, single statements wait too: leave
///   room in `poolSize` for both.
public final class PostgresPool: Sendable {
  typealias Machine = PoolMachine<PostgresConnection, PostgresReply<PostgresConnection>>

  struct State {
    var machine: Machine
    var isClosed = false
    var reconnectCount = 0
    /// Why the last attempt to connect failed, or what has failed of one that goes on; nil after one that did not fail.
    var lastFailure: PostgresError?
    /// Which failures to connect are logged as warnings.
    var notice = FaultNotice()
    /// When it was last logged that a session could only read.
    var loggedReadOnly: ContinuousClock.Instant?
    var nextConnector: UInt64 = 0
    var connectors: [UInt64: Task<Void, Never>] = [:]
  }

  /// How it connects.
  public let configuration: PostgresConfiguration
  /// The thread of the pool's connections, for tasks that mostly wait for them: one that prefers it queries without a change of threads.
  /// It must never block there, and everything that it computes delays the answers to all others.
  public let taskExecutor: any TaskExecutor
  let logger: Logger
  let executor: ThreadExecutor
  let state: Mutex<State>

  /// Creates a pool; nothing connects yet.
  /// - Parameters:
  ///   - configuration: its `poolSize` is at least 1.
  ///   - logger: gets a warning for every lost connection and failed attempt.
  public init(_ configuration: PostgresConfiguration, logger: Logger) {
    self.configuration = configuration
    self.logger = logger
    executor = ThreadExecutor(name: "postgres-pool") { logger.warning("\($0)") }
    taskExecutor = ThreadTaskExecutor(executor)
    state = Mutex(State(machine: Machine(sizeMax: configuration.poolSize)))
  }

  // MARK: Queries

  /// Runs one statement as a transaction of its own, on the connection with the least in flight.
  /// - Throws: `PostgresError`; if `isConnectionLost` or `cancelled`, it may have been run.
  @discardableResult
  public func query(
    _ statement: PostgresStatement, _ parameters: [any PostgresEncodable] = []
  ) async throws(PostgresError) -> PostgresRows {
    try await run([try StatementRequest.Step(statement, parameters)])[0]
  }

  /// Runs statements in one round trip and as one transaction: an error rolls all back and is thrown.
  /// - Returns: the rows of each, in order.
  @discardableResult
  public func pipeline(
    _ steps: [(PostgresStatement, [any PostgresEncodable])]
  ) async throws(PostgresError) -> [PostgresRows] {
    var encoded: [StatementRequest.Step] = []
    encoded.reserveCapacity(steps.count)
    for (statement, parameters) in steps { encoded.append(try StatementRequest.Step(statement, parameters)) }
    return try await run(encoded)
  }

  /// Runs a request; on another connection if the first was lost before the request was sent.
  private func run(_ steps: [StatementRequest.Step]) async throws(PostgresError) -> [PostgresRows] {
    var attempt = 0
    while true {
      let connection = try await acquire(.shared)
      defer { release(connection, .shared) }
      do throws(PostgresError) {
        return try await connection.run(steps)
      } catch {
        attempt += 1
        guard error.kind == .connectionFailed, attempt <= configuration.poolSize else { throw error }
      }
    }
  }

  // MARK: Borrowing

  /// Lends a connection to the body alone, and takes it back when the body ends.
  ///
  /// What the body left open is rolled back; settings (`SET`) and `LISTEN` it has to undo itself.
  /// - Throws: what the body throws; `PostgresError` if there is no connection within `acquireTimeout`.
  @discardableResult
  public func withConnection<Result>(
    isolation: isolated (any Actor)? = #isolation, _ body: (PostgresConnection) async throws -> Result
  ) async throws -> Result {
    let connection = try await borrow()
    do {
      let result = try await body(connection)
      await giveBack(connection)
      return result
    } catch {
      await giveBack(connection)
      throw error
    }
  }

  /// Runs the body in a transaction on a borrowed connection; see `PostgresConnection.withTransaction`.
  @discardableResult
  public func withTransaction<Result>(
    _ level: PostgresIsolation = .readCommitted, isolation: isolated (any Actor)? = #isolation,
    _ body: (PostgresConnection) async throws -> Result
  ) async throws -> Result {
    try await withConnection { connection in try await connection.withTransaction(level, body) }
  }

  private func borrow() async throws(PostgresError) -> PostgresConnection {
    while true {
      let connection = try await acquire(.exclusive)
      if !connection.isClosed { return connection }
      release(connection, .exclusive)
    }
  }

  private func giveBack(_ connection: PostgresConnection) async {
    _ = await connection.settle()
    release(connection, .exclusive)
  }

  // MARK: State

  /// Whether the database answers a trivial query, waiting for a connection as any query does.
  public func ping() async -> Bool {
    (try? await query(PostgresStatement(unprepared: "SELECT 1"))) != nil
  }

  /// Why the pool is unusable at this moment; nil if a session that can write answers. Waits for a connection as any query does.
  ///
  /// The sentence names no host and no account: it may be shown to anyone.
  public func fault() async -> String? {
    do {
      let isReadOnly = try await query(Self.readOnly)[0].decode(0, as: Bool.self)
      return isReadOnly ? "Postgres answers, but this session can only read (a standby?)" : nil
    } catch {
      return error.isReadOnly
        ? "every Postgres server that answers can only read (a standby?)" : "Postgres cannot be reached"
    }
  }

  private static let readOnly = PostgresStatement(
    unprepared: "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean")

  /// How many lost connections have been replaced.
  public var reconnects: Int { state.withLock(\.reconnectCount) }

  /// A look at the pool, for gauges.
  public struct Status: Sendable, Hashable {
    /// Connections that are usable now.
    public var open: Int
    /// Of these, how many are lent out.
    public var borrowed: Int
    /// Attempts to connect that are under way.
    public var connecting: Int
    /// Single statements and pipelines that wait for their answer.
    public var inFlight: Int
    /// Callers who wait for a connection.
    public var waiting: Int
  }

  /// The state of the moment.
  public var status: Status {
    state.withLock { state in
      Status(
        open: state.machine.openCount, borrowed: state.machine.borrowedCount,
        connecting: state.machine.connectingCount, inFlight: state.machine.inFlightCount,
        waiting: state.machine.waitingCount)
    }
  }

  /// The server's processes of the open connections, as in `pg_stat_activity`.
  public var backendPIDs: [Int32] {
    get async {
      var processes: [Int32] = []
      for connection in state.withLock(\.machine.connections) {
        let process = await connection.backendPID
        if process != 0 { processes.append(process) }
      }
      return processes
    }
  }

  /// Refuses new calls, lets the running ones end within `PostgresConnection.closeTimeout`, and closes all connections.
  public func close() async {
    let (connections, waiters, connectors) = state.withLock { state in
      state.isClosed = true
      return (state.machine.connections, state.machine.removeAllWaiters(), Array(state.connectors.values))
    }
    for waiter in waiters { waiter.complete(.failure(.poolClosed)) }
    for connector in connectors { connector.cancel() }
    await withDiscardingTaskGroup { group in
      for connection in connections { group.addTask { await connection.close() } }
    }
    for connector in connectors { await connector.value }
  }
}

extension PostgresError {
  static let poolClosed = PostgresError(.closed, "the pool was closed by this process")
}
