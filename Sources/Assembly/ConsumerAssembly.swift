internal import AMQPClient
internal import AsyncHTTPClient
package import Dispatching
internal import Logging
package import Platforms
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

  /// - Parameter preparer: nil for the real one, which asks GitHub and GitLab.
  package init(_ process: DispatcherProcess, _ platforms: PlatformAssembly, preparer: (any PayloadPreparer)? = nil)
    throws
  {
    let settings = process.settings
    let source = AMQPConsumer(
      configuration: process.broker, topology: ReviewTopology.topology(queue: settings.queue), queue: settings.queue,
      prefetch: settings.prefetch, consumerTag: nil, logger: process.logger)
    let circuits = Circuits()
    let platform = PlatformPreparer(
      access: platforms.access, circuits: circuits,
      flags: Self.flags(settings, httpClient: platforms.httpClient, logger: process.logger), logger: process.logger)
    let worker = try WorkerClient(
      baseURL: settings.workerURL ?? "", token: settings.workerToken ?? Secret(""), timeout: settings.workerTimeout,
      connectionMax: process.files[.worker] ?? settings.prefetch, logger: process.logger)
    consumer = Consumer(
      Consumer.Dependencies(
        store: process.store, deliveries: source, tickets: process.tickets, preparer: preparer ?? platform,
        worker: worker, workerURL: settings.workerURL ?? "", workerCircuit: Circuit(name: "worker"),
        metrics: process.metrics),
      holder: process.holder.id, policy: process.policy, logger: process.logger)
    let (consumer, metrics) = (consumer, process.metrics)
    process.readiness.register("consumer") { consumer.fault }
    metrics.consumerSlots.set(settings.prefetch)
    let reconnects = ReconnectCounter()
    let githubTarget = platform.githubTarget
    process.registry.onCollect {
      metrics.amqpReconnects.increment(by: reconnects.new(source.reconnects))
      let open = circuits.all.filter { $0.openFor != nil }
      metrics.circuitOpen(.github).set(open.contains { $0.name == githubTarget } ? 1 : 0)
      metrics.circuitOpen(.gitlab).set(open.contains { $0.name != githubTarget } ? 1 : 0)
    }
  }

  /// PostHog's flags where it is set, else those of the settings.
  private static func flags(_ settings: Settings, httpClient: HTTPClient, logger: Logger) -> any FeatureFlags {
    let own = SettingsFlags(version: settings.agentVersion, percent: settings.agentVersionPercent)
    guard let url = settings.posthogURL, let key = settings.posthogKey else { return own }
    return PostHogFlags(url: url, key: key, fallback: own, httpClient: httpClient, logger: logger) ?? own
  }
}

extension DispatcherProcess {
  /// A client of the worker for the reaper, and for the dashboard; nil where no worker is set.
  /// - Parameter timeout: of one call; nil for BATON_WORKER_TIMEOUT.
  package func workerClient(timeout: Duration? = nil) throws -> WorkerClient? {
    guard let url = settings.workerURL, let token = settings.workerToken else { return nil }
    return try WorkerClient(
      baseURL: url, token: token, timeout: timeout ?? settings.workerTimeout,
      connectionMax: files[.workerQuestions] ?? 1, logger: logger)
  }

  /// The reaper of this process.
  package func reaper(worker: WorkerClient?, interval: Duration) -> Reaper {
    Reaper(
      store: store, publisher: claims, worker: worker, workerURL: settings.workerURL ?? "", holder: holder.id,
      policy: policy, interval: interval, metrics: metrics, logger: logger)
  }

  /// Tells the worker of cancels.
  /// - Parameters:
  ///   - worker: as ``workerClient(timeout:)`` makes it without a time-out.
  ///   - wakeup: of the outbox.
  package func cancelDelivery(to worker: WorkerClient, wakeup: Wakeup) -> CancelDelivery {
    CancelDelivery(
      store: store, worker: worker, callTimeout: settings.workerTimeout, wakeup: wakeup, interval: policy.pollInterval,
      logger: logger)
  }

  /// The producer of this process.
  package func producer(wakeup: Wakeup) -> Producer {
    Producer(
      store: store, publisher: claims, holder: holder.id, wakeup: wakeup, policy: policy, metrics: metrics,
      logger: logger)
  }
}
