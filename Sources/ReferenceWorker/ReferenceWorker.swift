internal import AsyncHTTPClient
internal import FoundationEssentials
internal import Hummingbird
package import Logging
internal import NIOCore
internal import Resilience
internal import Reviews
internal import ServiceLifecycle
internal import WorkerAPI

/// The other side of the worker contract: takes starts over HTTP, runs a command per review, and calls Baton back.
///
/// Starts are idempotent by review and attempt. Agents run at most so many at once, the rest wait in order. See
/// ``WorkerConfiguration`` for what the agent is given, and for the built-in agent of demonstrations and tests.
package struct ReferenceWorker: Service {
  private let configuration: WorkerConfiguration
  private let logger: Logger

  /// How long the last callbacks may take when the worker shuts down.
  private static let callbackDrain: Duration = .seconds(5)
  private static let callbackBackoff = Backoff(base: .milliseconds(200), max: .seconds(30))
  /// How many callbacks are on the wire at once.
  private static let callbackConnectionMax = 16

  package init(configuration: WorkerConfiguration, logger: Logger) {
    self.configuration = configuration
    self.logger = logger
  }

  /// Serves until shut down: then no run begins any more, those that run may end within the drain timeout, and their
  /// callbacks are sent. When the task is cancelled, agents are killed at once.
  package func run() async throws {
    let runs = RunKeeper(
      concurrency: configuration.concurrency, eventCountMax: configuration.eventCountMax,
      sendsCallbacks: configuration.callbackURL != nil, logger: logger)
    let httpClient = CallbackClient.makeHTTPClient(maxConnections: Self.callbackConnectionMax)
    let result: Result<Void, any Error>
    do {
      try await serve(runs, httpClient)
      result = .success(())
    } catch {
      result = .failure(error)
    }
    try await httpClient.shutdown()
    try result.get()
  }

  private func serve(_ runs: RunKeeper, _ httpClient: HTTPClient) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await work(runs, httpClient) }
      do {
        try await makeApplication(runs).run()
      } catch {
        group.cancelAll()
        throw error
      }
      await runs.drain(within: configuration.drainTimeout, callbacksWithin: Self.callbackDrain)
      group.cancelAll()
    }
  }

  private func makeApplication(_ runs: RunKeeper) -> some ApplicationProtocol {
    let onBound = configuration.onBound
    return Application(
      router: Routes(runs: runs, token: configuration.token).makeRouter(),
      configuration: ApplicationConfiguration(
        address: .hostname(configuration.host, port: configuration.port), serverName: "baton-worker"),
      onServerRunning: { channel in await onBound(channel.localAddress?.port ?? 0) }, logger: logger)
  }

  /// Performs the jobs, each in a task of its own, until there will be no more.
  private func work(_ runs: RunKeeper, _ httpClient: HTTPClient) async {
    let agent = Agent(configuration)
    let callbacks = configuration.callbackURL.map {
      CallbackClient(baseURL: $0, secret: configuration.callbackSecret, httpClient: httpClient)
    }
    await withDiscardingTaskGroup { group in
      for await job in runs.jobs {
        switch job {
        case .runAgent(let key): group.addTask { await runAgent(key, agent, runs) }
        case .sendCallbacks(let id):
          if let callbacks { group.addTask { await sendCallbacks(id, callbacks, runs) } }
        }
      }
      group.cancelAll()
    }
  }

  private func runAgent(_ key: RunKey, _ agent: Agent, _ runs: RunKeeper) async {
    guard let (order, stop) = await runs.order(key) else {
      await runs.agentEnded(key, .notStarted("the run has ended meanwhile"))
      return
    }
    let minutes = order.request.maxReviewTimeMinutes
    let exit = await withTaskGroup(of: AgentExit?.self) { group in
      group.addTask {
        guard (try? await Task.sleep(for: configuration.minute * minutes)) != nil else { return nil }
        await runs.timeOut(key, minutes: minutes)
        return nil
      }
      group.addTask { await agent.run(order, stop: stop) { await runs.record($0, of: key) } }
      while let result = await group.next() {
        guard let result else { continue }
        group.cancelAll()
        return result
      }
      return .notStarted("the worker was shut down")
    }
    await runs.agentEnded(key, exit)
  }

  /// Sends one callback after another, each until Baton has it or refuses it for good.
  private func sendCallbacks(_ id: UUID, _ callbacks: CallbackClient, _ runs: RunKeeper) async {
    var failures = 0
    while !Task.isCancelled, let entry = await runs.nextCallback(id) {
      let metadata: Logger.Metadata = ["review": "\(entry.key)", "status": "\(entry.callback.status.rawValue)"]
      switch await callbacks.send(entry) {
      case .accepted: break
      case .refused(let status):
        logger.error("callback refused for good", metadata: metadata.merging(["http": "\(status)"]) { $1 })
      case .failed(let reason):
        logger.warning("callback failed, it is sent again", metadata: metadata.merging(["reason": "\(reason)"]) { $1 })
        guard (try? await Task.sleep(for: Self.callbackBackoff.delay(attempt: failures))) != nil else { return }
        failures += 1
        continue
      }
      failures = 0
      await runs.settleCallback(id)
    }
  }
}
