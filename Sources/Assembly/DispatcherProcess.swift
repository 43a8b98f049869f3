package import AMQPClient
package import BatonServer
package import Dispatching
internal import Glibc
package import HTTPTrust
package import Logging
package import PostgresClient
internal import Resilience
package import ReviewQueue
package import ReviewStore
internal import Reviews
package import Settings
package import SpanExport
package import Telemetry

/// What every process of the dispatcher is made of: the pool, the publisher's connection, its identity as a holder, its
/// metrics. ``Composition`` adds the services of its roles.
package struct DispatcherProcess: Sendable {
  package let name: String
  package let roles: Set<Role>
  package let version: String
  package let settings: Settings
  package let logger: Logger
  package let registry = PrometheusRegistry()
  package let metrics: BatonMetrics
  package let readiness = Readiness()
  /// Until this process has found the schema that it works with, it changes nothing in Postgres, and does nothing at the broker.
  let schemaFound = Milestone()
  package let policy: DispatchPolicy
  /// For how long the process goes on as before after SIGTERM, see ``ServiceRunner``. What it then does in order to end has the rest of
  /// BATON_DRAIN_TIMEOUT.
  let drainDelay: Duration
  package let database: PostgresConfiguration
  package let pool: PostgresPool
  package let store: ReviewStore
  /// Real time and chance; claims and deliveries are worked on where the connections of the pool are.
  package var environment: DispatchEnvironment { DispatchEnvironment(executor: pool.taskExecutor) }
  package let broker: AMQPConfiguration
  package let publisher: AMQPPublisher
  package let tickets: AMQPTicketQueue
  package let claims: ClaimPublisher
  package let holder: Holder
  package let holderState: HolderState
  /// What holds this process back.
  package let health: HealthBoard
  /// Which certificates the worker and the platforms may have.
  package let trust: HTTPTrust
  /// How many connections each part may have.
  package let files: OpenFiles
  /// Sends this process's spans; nil if none are recorded.
  package let spans: SpanExporter?

  /// - Parameters:
  ///   - name: of the command, as servers show the connections: `baton produce`.
  ///   - roles: what this process runs.
  ///   - version: of the program, for the log and the heartbeat.
  ///   - settings: of the process.
  ///   - runsOnce: whether it is to end with an error, and not to wait, if Postgres cannot be reached.
  ///   - workerConcurrency: how many agents a reference worker in this process runs at once; nil if there is none.
  ///   - logger: for what it reports.
  package init(
    _ name: String, roles: Set<Role>, version: String, settings: Settings, runsOnce: Bool = false,
    workerConcurrency: Int? = nil, logger: Logger
  ) throws {
    files = try OpenFiles(
      "baton \(name)", connections: settings.databasePool,
      demands: roles.demands(settings, worker: workerConcurrency), logger: logger)
    self.name = name
    self.roles = roles
    self.version = version
    self.settings = settings
    self.logger = logger
    metrics = BatonMetrics(factory: registry)
    var policy = DispatchPolicy(settings)
    // Whatever else the process does: a load balancer sends requests to it until it has noticed that it ends.
    drainDelay = roles.contains(.serve) ? min(settings.drainDelay, settings.drainTimeout / 2) : .zero
    policy.drainTimeout -= drainDelay
    self.policy = policy
    trust = HTTPTrust(authorityFile: settings.caFile)
    spans = SpanExporter.start(
      settings, command: name, version: version, trust: trust, metrics: metrics, logger: logger)
    var database = settings.databaseAddress.configuration("baton \(name)")
    database.sessionSettings =
      roles.contains(.serve) ? ReviewStore.sessionSettings : ReviewStore.dispatchSessionSettings
    database.optionalSessionSettings = ReviewStore.optionalSessionSettings
    database.poolSize = settings.databasePool
    database.reconnect = Backoff(base: .milliseconds(100), max: .seconds(2))
    database.answerTimeout = Self.answerTimeout(of: roles)
    database.isPatient = !runsOnce
    self.database = database
    pool = PostgresPool(database, logger: logger)
    store = ReviewStore(pool: pool, logger: logger)
    broker = try settings.brokerAddress.configuration("baton \(name)")
    publisher = AMQPPublisher(
      configuration: broker, topology: ReviewTopology.topology(queue: settings.queue), logger: logger)
    tickets = AMQPTicketQueue(publisher: publisher, queue: settings.queue, logger: logger)
    claims = ClaimPublisher(queue: tickets, ledger: store, metrics: metrics, logger: logger)
    holder = Holder(role: roles.holderRole, host: HostName.current, processID: getpid())
    holderState = HolderState(timeout: settings.heartbeatTimeout)
    health = HealthBoard(version: version, roles: roles.names)
    metrics.observeProcess(registry, roles: roles.names, version: version)
    registerChecks()
    registerFaults()
  }

  /// How long a session waits for an answer. A statement of dispatching takes milliseconds; a search may take as long as it may.
  static func answerTimeout(of roles: Set<Role>) -> Duration { .seconds(roles.contains(.serve) ? 35 : 25) }

  private func registerChecks() {
    readiness.register("postgres") { [pool, schemaFound] in
      guard schemaFound.isReached else {
        return "this process waits for Postgres, to check the schema; its log says why"
      }
      return await pool.fault()
    }
    readiness.register("broker") { [publisher, schemaFound] in
      guard schemaFound.isReached else { return "not connected yet: this process waits for Postgres first" }
      guard publisher.isConnected else { return "there is no connection to the broker" }
      return publisher.isBlocked ? "the broker takes no messages: it has a memory or disk alarm" : nil
    }
    // A server takes no work: without its session it only learns of cancels later, and answers as usual.
    if roles != [.serve] { readiness.register("holder") { [holderState] in holderState.fault } }
    let (publisher, pool, metrics, holderState) = (publisher, pool, metrics, holderState)
    let amqp = ReconnectCounter()
    let postgres = ReconnectCounter()
    registry.onCollect {
      metrics.amqpReconnects.increment(by: amqp.new(publisher.reconnects))
      metrics.postgresReconnects.increment(by: postgres.new(pool.reconnects))
      metrics.logLinesDropped.set(LogWriter.standardError.droppedCount)
      metrics.brokerBlocked.set(publisher.isConnected && publisher.isBlocked ? 1 : 0)
      if let roundTrip = holderState.roundTrip { metrics.postgresRoundTripSeconds.set(seconds: roundTrip) }
    }
  }

  /// What every process may be held back by.
  private func registerFaults() {
    let (away, blocked, unsigned) = (ConditionAge(), ConditionAge(), ConditionAge())
    health.register { [publisher, claims, holderState] in
      let (isConnected, now) = (publisher.isConnected, ContinuousClock.now)
      return [
        away.duration(of: !isConnected, now: now).map { Holder.Fault(.brokerAway, for: $0) },
        blocked.duration(of: isConnected && publisher.isBlocked, now: now).map {
          Holder.Fault(.brokerBlocked, for: $0)
        },
        claims.refusal.flatMap {
          isConnected && !publisher.isBlocked ? Holder.Fault(.ticketsRefused, for: $0.age, reason: $0.reason) : nil
        },
        unsigned.duration(of: holderState.fault != nil, now: now).map {
          Holder.Fault(.notSignedOn, for: $0, reason: holderState.fault)
        },
      ].compactMap { $0 }
    }
    health.registerRoundTrip { [holderState] in holderState.roundTrip }
    if roles.contains(.produce) { health.registerAllClaimed { [store] in store.allClaimedAge } }
    LoadFigures(
      store: store, heartbeatTimeout: settings.heartbeatTimeout, ownerLimit: settings.ownerLimit, queueStats: { nil }
    ).inform(readiness)
  }

  /// What the broker says of the queues; nil where it cannot be reached.
  package var queueFigures: @Sendable () async -> QueueFigures? {
    { [tickets, publisher] in
      guard publisher.isConnected, let status = try? await tickets.status(), let dead = try? await tickets.deadCount()
      else { return nil }
      return QueueFigures(
        name: tickets.name, ready: status.messagesReady, consumers: status.consumers, dead: dead)
    }
  }

  /// How the dashboard reaches the dead letters.
  package var deadLetters: DeadLetterAccess {
    DeadLetterAccess(
      peek: { [tickets] limit in try await tickets.deadLetters(limit: limit) },
      delete: { [tickets] id, limit in try await tickets.deleteDeadLetters(id, limit: limit) })
  }
}
