internal import AsyncHTTPClient
internal import FoundationEssentials
internal import HTTPKit
internal import Hummingbird
package import Logging
internal import NIOCore
internal import Primitives
internal import Resilience
internal import Reviews
internal import ServiceLifecycle
internal import Spans
internal import Telemetry
internal import WorkerAPI

/// The other side of the worker contract: takes starts over HTTP, runs a command per review, and calls Baton back.
///
/// Starts are idempotent by review and attempt, also over restarts. Agents run at most so many at once, the rest wait in order. See
/// ``WorkerConfiguration`` for what the agent is given, and for the demonstration.
package struct ReferenceWorker: Service {
  private let configuration: WorkerConfiguration
  private let logger: Logger

  /// How long the last callbacks may take when the worker shuts down; what is left then is sent by the next one.
  private static let callbackDrain: Duration = .seconds(5)
  private static let callbackBackoff = Backoff(base: .milliseconds(200), max: .seconds(30))
  /// For what Baton does not want.
  private static let refusedBackoff = Backoff(base: .seconds(2), max: .seconds(60))

  package init(configuration: WorkerConfiguration, logger: Logger) {
    self.configuration = configuration
    self.logger = logger
  }

  /// Serves until shut down: then nothing new is taken on, agents that run may end within the drain timeout, their callbacks are sent,
  /// and calls are answered until then. Agents that still run go on without the worker, as they do at once when the task is cancelled:
  /// the next worker follows them.
  /// - Throws: ``WorkerStateFault`` if its state cannot be used, ``IsolationFault`` if runs cannot be kept apart as the setting demands.
  package func run() async throws {
    let store = RunStore(database: try WorkerDatabase(path: configuration.statePath), limits: limits)
    let agent = try Agent(configuration)
    try await agent.checkIsolation()
    let runs = RunKeeper(store: store, configuration: configuration, logger: logger)
    agent.takeOver(try await runs.resume())
    let httpClient = CallbackClient.makeHTTPClient(
      maxConnections: configuration.callbackConnectionMax, trust: configuration.trust)
    let result: Result<Void, any Error>
    do {
      try await serve(runs, agent, httpClient)
      result = .success(())
    } catch {
      result = .failure(error)
    }
    try await httpClient.shutdown()
    try store.database.close()
    try result.get()
  }

  private var limits: RunStore.Limits {
    var limits = RunStore.Limits()
    limits.eventCountMax = max(configuration.eventCountMax, 1)
    limits.retention = configuration.retention
    limits.callbacks =
      configuration.callbackURL == nil ? .none : configuration.callbackSecret == nil ? .withToken : .withSecret
    return limits
  }

  private func serve(_ runs: RunKeeper, _ agent: Agent, _ httpClient: HTTPClient) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await work(runs, agent, httpClient) }
      group.addTask { await runs.beginRuns() }
      group.addTask { await runs.tidy() }
      group.addTask { await OrphanReaper.shared.run() }
      defer { group.cancelAll() }
      // Stopped from the last to the first: what is being drained can still be asked about, and cancelled.
      let services: [any Service] = [
        Listening(listener: makeListener(runs)), Draining(runs: runs, timeout: configuration.drainTimeout),
      ]
      try await ServiceGroup(
        configuration: .init(
          services: services.map { .init(service: NamedService($0)) }, logger: logger)
      ).run()
    }
  }

  /// Nothing, until the worker is shut down.
  private struct Draining: Service {
    let runs: RunKeeper
    let timeout: Duration

    func run() async throws {
      try await gracefulShutdown()
      await runs.drain(within: timeout, callbacksWithin: callbackDrain)
    }
  }

  /// The port, until the worker is shut down.
  private struct Listening: Service {
    let listener: HTTPListener<RouteResponder>

    func run() async throws { try await listener.run() }
  }

  /// With the limits of every port of Baton.
  private func makeListener(_ runs: RunKeeper) -> HTTPListener<RouteResponder> {
    HTTPListener(
      host: configuration.host, port: configuration.port, serverName: "baton-worker", limits: configuration.connections,
      responder: RouteResponder(
        RouteTable(WorkerRoutes(runs: runs).routes), access: WorkerAccess(tokens: configuration.tokens),
        metrics: configuration.metrics, fault: WorkerRoutes.response),
      logger: logger, onBound: configuration.onBound)
  }

  /// Performs the jobs, each in a task of its own, until there will be no more.
  private func work(_ runs: RunKeeper, _ agent: Agent, _ httpClient: HTTPClient) async {
    let callbacks = configuration.callbackURL.map {
      CallbackClient(
        baseURL: $0, secret: configuration.callbackSecret, httpClient: httpClient, trust: configuration.trust)
    }
    await withDiscardingTaskGroup { group in
      for await job in runs.jobs {
        switch job {
        case .runAgent(let order): group.addTask { await look(after: order, agent, runs, isNew: true) }
        case .adoptAgent(let order): group.addTask { await look(after: order, agent, runs, isNew: false) }
        case .sendCallbacks(let id):
          if let callbacks { group.addTask { await sendCallbacks(id, callbacks, runs) } }
        }
      }
      group.cancelAll()
    }
  }

  /// The agent's span belongs to the run's; a run without a trace has none.
  private func look(after order: RunOrder, _ agent: Agent, _ runs: RunKeeper, isNew: Bool) async {
    guard let trace = order.trace, Spans.isEnabled else { return await follow(order, agent, runs, isNew: isNew) }
    await withSpan(.run, in: trace, order.attributes(isNew: isNew)) { span in
      var traced = order
      traced.trace = span.context
      await follow(traced, agent, runs, isNew: isNew)
    }
  }

  private func follow(_ order: RunOrder, _ agent: Agent, _ runs: RunKeeper, isNew: Bool) async {
    let stop = await runs.stop(order.key)
    let exit = await withTaskGroup(of: AgentExit?.self) { group in
      group.addTask {
        await limitTime(of: order, runs)
        return nil
      }
      group.addTask {
        await withChildSpan(.agent) { span in
          var traced = order
          if let span { traced.trace = span.context }
          let exit = await run(traced, agent, runs, stop: stop, isNew: isNew)
          span?.note(exit)
          return exit
        }
      }
      while let result = await group.next() {
        guard let result else { continue }
        group.cancelAll()
        return result
      }
      return .lost
    }
    // Cancelled, the worker ends: the next one finds the run as this one has left it.
    if !Task.isCancelled { await runs.agentEnded(order, exit, agent: agent) }
  }

  private func run(
    _ order: RunOrder, _ agent: Agent, _ runs: RunKeeper, stop: Wakeup, isNew: Bool
  ) async -> AgentExit {
    let reporting = Agent.Reporting(
      onLines: { await runs.record($0, of: order.key, upTo: $1) },
      onOverflow: {
        let limit = configuration.outputByteCountMax
        await runs.end(order.key, for: .overflow, message: "the agent printed more than \(limit) bytes")
      })
    return isNew
      ? await agent.run(order, stop: stop, reporting)
      : await agent.adopt(order, stop: stop, logger: logger, reporting)
  }

  /// The time counts from the agent's beginning, also if another worker has begun it.
  private func limitTime(of order: RunOrder, _ runs: RunKeeper) async {
    let minutes = order.request.maxReviewTimeMinutes
    let limit = configuration.minute * minutes
    let elapsed = Duration.seconds(Date().timeIntervalSince1970) - .microseconds(order.startedAt.microseconds)
    guard (try? await Task.sleep(for: limit - min(max(elapsed, .zero), limit))) != nil else { return }
    await runs.end(
      order.key, for: .timeout, message: "timeout: the agent took longer than \(minutes) minutes")
  }

  /// Sends one callback after another, each until Baton has it.
  private func sendCallbacks(_ id: UUID, _ callbacks: CallbackClient, _ runs: RunKeeper) async {
    var failures = 0
    var notice = FaultNotice()
    while !Task.isCancelled, let callback = await runs.nextCallback(id) {
      let metadata = callback.key.metadata(callback.trace).merging(["status": "\(callback.status)"]) { $1 }
      let pause: Duration
      switch await callbacks.send(callback) {
      case .accepted:
        failures = 0
        _ = notice.worked()
        await runs.settle(callback)
        continue
      case .refused(let status):
        if notice.failed("\(status)") {
          logger.error(
            "Baton has refused a callback; a final one is sent again later",
            metadata: metadata.merging(["http": "\(status)"]) { $1 })
        }
        await runs.refuse(callback)
        if callback.status == "running" { continue }
        pause = Self.refusedBackoff.delay(attempt: failures)
      case .failed(let reason):
        if notice.failed(reason) {
          logger.warning(
            "callback failed, it is sent again", metadata: metadata.merging(["reason": "\(reason)"]) { $1 })
        }
        pause = Self.callbackBackoff.delay(attempt: failures)
      }
      failures += 1
      guard (try? await Task.sleep(for: pause)) != nil else { return }
    }
  }
}
