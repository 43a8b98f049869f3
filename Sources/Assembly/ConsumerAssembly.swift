internal import AMQPClient
internal import AsyncHTTPClient
package import Dispatching
internal import HTTPTrust
internal import Logging
package import Platforms
internal import PostgresClient
internal import Primitives
package import Resilience
internal import ReviewQueue
internal import ReviewStore
internal import Reviews
internal import Settings
internal import Telemetry
internal import WorkerAPI
package import WorkerClient

/// A consumer with what is its own: the connections to the broker and to the worker.
package struct ConsumerAssembly: Sendable {
  package let consumer: Consumer

  /// - Parameters:
  ///   - process: what the roles of this process share.
  ///   - platforms: how GitHub and GitLab are reached.
  ///   - preparer: nil for the real one, which asks GitHub and GitLab.
  package init(_ process: DispatcherProcess, _ platforms: PlatformAssembly, preparer: (any PayloadPreparer)? = nil)
    throws
  {
    let settings = process.settings
    let source = AMQPConsumer(
      configuration: process.broker, topology: ReviewTopology.topology(queue: settings.queue), queue: settings.queue,
      prefetch: settings.prefetch, consumerTag: nil, logger: process.logger)
    let circuits = Circuits()
    let platform = PlatformPreparer(
      access: platforms.access, circuits: circuits, timeMax: process.policy.preparationMax,
      flags: Self.flags(process, httpClient: platforms.httpClient), logger: process.logger)
    let worker = try WorkerClient(
      baseURL: settings.workerURL ?? "", token: settings.workerToken?.current ?? Secret(""),
      timeout: settings.workerTimeout, connectionMax: process.files[.worker] ?? settings.prefetch,
      trust: process.trust, logger: process.logger)
    consumer = Consumer(
      Consumer.Dependencies(
        ledger: process.store, subscription: AMQPTicketSubscription(source), queue: process.tickets,
        preparer: preparer ?? platform,
        worker: worker, workerURL: settings.workerURL ?? "",
        workerCircuit: Circuit(
          name: "worker", breaker: CircuitBreaker(probeTimeout: max(.seconds(60), settings.workerTimeout * 3))),
        keys: process.keyWatch ?? KeyWatch { nil }, holderState: process.holderState, metrics: process.metrics,
        environment: process.environment),
      holder: process.holder.id, policy: process.policy, logger: process.logger)
    let (consumer, metrics) = (consumer, process.metrics)
    process.readiness.register("consumer") { consumer.fault }
    // Informs only: a server that is unavailable for its callers as well would lose the callbacks of what still runs.
    process.readiness.register("worker", isRequired: false) { consumer.workerFault }
    process.health.register {
      consumer.faults
        + circuits.all.compactMap { circuit in
          circuit.outage().map {
            Holder.Fault(.circuit, target: circuit.name, for: .now - $0.since, reason: $0.reason)
          }
        }
        + platforms.access.usedUpLimits.map(Self.fault)
    }
    process.health.registerLastDispatch { consumer.lastDispatchAge }
    metrics.consumerSlots.set(settings.prefetch)
    let reconnects = ReconnectCounter()
    let githubTarget = platform.githubTarget
    process.registry.onCollect {
      metrics.amqpReconnects.increment(by: reconnects.new(source.reconnects))
      let open = circuits.all.filter { $0.outage() != nil }
      metrics.circuitOpen(.github).set(open.contains { $0.name == githubTarget } ? 1 : 0)
      metrics.circuitOpen(.gitlab).set(open.contains { $0.name != githubTarget } ? 1 : 0)
    }
  }

  private static func fault(_ limit: UsedUpLimit) -> Holder.Fault {
    let accounts = limit.accountCount == 1 ? "of an integration" : "of \(limit.accountCount) integrations"
    return Holder.Fault(
      .rateLimited, target: limit.authority, for: limit.age,
      reason: "The requests \(accounts) are used up, for at most \(Int(limit.rest / .seconds(60)) + 1) more min")
  }

  /// PostHog's flags if its URL is set, else those of the settings.
  private static func flags(_ process: DispatcherProcess, httpClient: HTTPClient) -> any FeatureFlags {
    let settings = process.settings
    let own = SettingsFlags(version: settings.agentVersion, percent: settings.agentVersionPercent)
    guard let url = settings.posthogURL, let key = settings.posthogKey else { return own }
    return PostHogFlags(
      url: url, key: key, fallback: own, httpClient: httpClient, trust: process.trust, logger: process.logger) ?? own
  }
}

extension DispatcherProcess {
  /// A client of the worker for the reaper, and for the dashboard; nil if no worker is set.
  /// - Parameter timeout: of one call; nil for BATON_WORKER_TIMEOUT.
  package func workerClient(timeout: Duration? = nil) throws -> WorkerClient? {
    guard let url = settings.workerURL, let token = settings.workerToken?.current else { return nil }
    return try WorkerClient(
      baseURL: url, token: token, timeout: timeout ?? settings.workerTimeout,
      connectionMax: files[.workerQuestions] ?? 1, trust: trust, logger: logger)
  }

  /// The reaper of this process.
  /// - Parameters:
  ///   - worker: nil asks no worker about silent reviews.
  ///   - interval: between passes.
  ///   - wakeup: woken when the broker can be reached again.
  package func reaper(worker: WorkerClient?, interval: Duration, wakeup: Wakeup = Wakeup()) -> Reaper {
    Reaper(
      Reaper.Dependencies(
        ledger: store,
        recoveryLedger: ReviewStore(pool: PostgresPool(recoveryDatabase, logger: logger), logger: logger),
        publisher: claims, worker: worker,
        workerURL: settings.workerURL ?? "", holderState: holderState, metrics: metrics,
        // A consumer's circuit is the one that holds reviews back.
        showsCircuit: holder.role == "reap"),
      holder: holder.id, policy: policy, interval: interval, wakeup: wakeup, logger: logger)
  }

  /// How recovery is connected: a single connection, soon made again, with statements and transactions that end soon.
  private var recoveryDatabase: PostgresConfiguration {
    var database = database
    database.poolSize = 1
    database.reconnect = Backoff(base: .milliseconds(100), max: .seconds(1))
    database.sessionSettings.merge(ReviewStore.recoverySessionSettings) { $1 }
    database.answerTimeout = .seconds(15)
    return database
  }

  /// Notifies the worker of cancels.
  /// - Parameters:
  ///   - worker: as ``workerClient(timeout:)`` makes it without a time-out.
  ///   - wakeup: of the outbox.
  package func cancelRelay(to worker: WorkerClient, wakeup: Wakeup) -> CancelRelay {
    CancelRelay(
      ledger: store, worker: worker, callTimeout: settings.workerTimeout, wakeup: wakeup, interval: policy.pollInterval,
      logger: logger)
  }

  /// The producer of this process.
  package func producer(wakeup: Wakeup) -> Producer {
    Producer(
      ledger: store, publisher: claims, holder: holder.id, holderState: holderState, wakeup: wakeup, policy: policy,
      environment: environment, metrics: metrics, logger: logger)
  }
}
