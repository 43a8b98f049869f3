package import AMQPClient
package import BatonServer
package import Dispatching
internal import Glibc
package import HTTPTrust
package import Logging
package import PostgresClient
package import Resilience
package import ReviewQueue
package import ReviewStore
internal import Reviews
package import ServiceLifecycle
package import Settings
package import Telemetry

/// What every process of the dispatcher is made of: the pool, the publisher's connection, its identity as a holder, its
/// metrics. Roles add their services to it.
package struct DispatcherProcess: Sendable {
  package let name: String
  package let version: String
  package let settings: Settings
  package let logger: Logger
  package let registry = PrometheusRegistry()
  package let metrics: BatonMetrics
  package let readiness = Readiness()
  package let policy: DispatchPolicy
  package let database: PostgresConfiguration
  package let pool: PostgresPool
  package let store: ReviewStore
  package let broker: AMQPConfiguration
  package let publisher: AMQPPublisher
  package let tickets: TicketPublisher
  package let claims: ClaimPublisher
  package let holder: Holder
  package let holderState: HolderState
  /// Which certificates the worker and the platforms may have.
  package let trust: HTTPTrust
  /// How many connections each part may have.
  package let files: OpenFiles

  /// - Parameters:
  ///   - name: of the command, as servers show the connections: `baton produce`.
  ///   - role: as other processes see it; only `consume` counts as a consumer.
  ///   - version: of the program, for the log.
  ///   - runsOnce: whether it ends with an error, and does not wait, if Postgres is unreachable.
  ///   - demands: the connections that the role's services make or take; probes are added here.
  package init(
    _ name: String, role: String, version: String, settings: Settings, runsOnce: Bool = false,
    demands: [OpenFiles.Demand] = [], logger: Logger
  ) throws {
    let probes = settings.metricsPort == nil ? [] : [OpenFiles.Demand.probes]
    files = try OpenFiles(
      "baton \(name)", connections: settings.databasePool, demands: demands + probes, logger: logger)
    self.name = name
    self.version = version
    self.settings = settings
    self.logger = logger
    metrics = BatonMetrics(factory: registry)
    policy = DispatchPolicy(settings)
    trust = HTTPTrust(authorityFile: settings.caFile)
    var database = settings.databaseConfiguration("baton \(name)")
    database.sessionSettings = ReviewStore.sessionSettings
    database.optionalSessionSettings = ReviewStore.optionalSessionSettings
    database.poolSize = settings.databasePool
    database.isPatient = !runsOnce
    self.database = database
    pool = PostgresPool(database, logger: logger)
    store = ReviewStore(pool: pool, logger: logger)
    broker = try settings.amqpConfiguration("baton \(name)")
    publisher = AMQPPublisher(
      configuration: broker, topology: ReviewTopology.topology(queue: settings.queue), logger: logger)
    tickets = TicketPublisher(publisher: publisher, queue: settings.queue, logger: logger)
    claims = ClaimPublisher(tickets: tickets, store: store, metrics: metrics, logger: logger)
    holder = Holder(role: role, host: Self.hostName, processID: getpid())
    holderState = HolderState(timeout: settings.lease)
    registerChecks()
  }

  private static var hostName: String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "unknown" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private func registerChecks() {
    readiness.register("postgres") { [pool] in await pool.fault() }
    readiness.register("broker") { [publisher] in
      guard publisher.isConnected else { return "there is no connection to the broker" }
      return publisher.isBlocked ? "the broker takes no messages: it has a memory or disk alarm" : nil
    }
    // A server takes no work: without its session it only learns of cancels later, and answers as usual.
    if holder.role != "serve" { readiness.register("holder") { [holderState] in holderState.fault } }
    let (publisher, pool, metrics) = (publisher, pool, metrics)
    let amqp = ReconnectCounter()
    let postgres = ReconnectCounter()
    registry.onCollect {
      metrics.amqpReconnects.increment(by: amqp.new(publisher.reconnects))
      metrics.postgresReconnects.increment(by: postgres.new(pool.reconnects))
      metrics.logLinesDropped.set(LogWriter.standardError.droppedCount)
    }
  }

  /// What the broker says of the queues; nil if it cannot be reached.
  package var queueFigures: @Sendable () async -> QueueFigures? {
    { [tickets, publisher] in
      guard publisher.isConnected, let status = try? await tickets.status(), let dead = try? await tickets.deadCount()
      else { return nil }
      return QueueFigures(
        name: tickets.queue, ready: status.messagesReady, consumers: status.consumers, dead: dead)
    }
  }

  /// A look at the dead letters.
  package var deadLetters: PeekDeadLetters {
    { [tickets] limit in try await tickets.deadLetters(limit: limit) }
  }

  /// The session that makes this process a holder, and hears the notifications.
  package func holderSession(report: @escaping @Sendable () -> Holder.Report = { Holder.Report() }) -> HolderSession {
    HolderSession(
      holder: holder, state: holderState, store: store, configuration: database, interval: policy.heartbeatInterval,
      report: report, logger: logger)
  }

  /// The publisher's connection as a service; a reconnect wakes those that wait for it.
  package func publisherService(waking wakeups: Wakeup...) -> some Service {
    BackgroundService {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await publisher.run() }
        group.addTask {
          for await event in publisher.events {
            if case .connected = event { for wakeup in wakeups { wakeup.wake() } }
          }
        }
        try await group.next()
        group.cancelAll()
      }
    }
  }

  /// The metrics port of roles that serve nothing else, if one is set.
  package func healthServices() -> [any Service] {
    guard settings.metricsPort != nil else { return [] }
    let figures = LoadFigures(
      store: store, holderTimeout: settings.lease, ownerLimit: settings.ownerLimit, queueStats: queueFigures)
    let metrics = metrics
    registry.onCollect { await figures.measure(into: metrics) }
    return probeServices()
  }

  /// The metrics port of a server, which has the same on its main port: there others may take all connections.
  func probeServices() -> [any Service] {
    guard let port = settings.metricsPort else { return [] }
    return [
      HealthServer(
        host: settings.metricsHost, port: port, connectionMax: files[.probes] ?? OpenFiles.Demand.probes.wanted,
        metrics: metrics, registry: registry, readiness: readiness, logger: logger)
    ]
  }

  /// Waits for Postgres, checks the schema, and runs the services until a signal or a failure.
  ///
  /// - Parameter services: stopped one after another, the last one first.
  package func run(_ services: [any Service]) async throws {
    do {
      try await ServiceRunner.run(services, drainTimeout: settings.drainTimeout, logger: logger) {
        try await waitForSchema()
        logger.info("started", metadata: ["holder": "\(holder.id)", "version": "\(version)"])
      }
    } catch {
      await claims.close()
      await pool.close()
      throw error
    }
    await claims.close()
    await pool.close()
    logger.info("stopped")
  }

  /// Waits until Postgres answers; the log names each reason for it once.
  /// - Throws: `Migrator.SchemaFault`; `PostgresError` if waiting would not help.
  private func waitForSchema() async throws {
    let backoff = Backoff(base: .milliseconds(200), max: .seconds(5))
    var attempt = 0
    var notice = FaultNotice()
    while true {
      do {
        return try await Migrator(pool: pool).check()
      } catch let error as PostgresError where error.isTransient {
        if notice.failed("\(error)") { logger.error("waiting for Postgres", metadata: ["error": "\(error)"]) }
        try await Task.sleep(for: backoff.delay(attempt: attempt) + .milliseconds(50))
        attempt += 1
      }
    }
  }
}
