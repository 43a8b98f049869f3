internal import FoundationEssentials
internal import Logging
internal import Primitives
internal import Resilience
internal import Reviews
internal import WorkerAPI

/// Hands out the work that follows from what the store says: agents to run, and callbacks to send.
///
/// It knows which tasks are under way in this process, and nothing else: what a run is stands in the store alone. The jobs are
/// taken by ``ReferenceWorker``, one child task each, so that nothing is written once the worker has ended.
actor RunKeeper {
  /// Work for a task of its own.
  enum Job: Sendable {
    case runAgent(RunOrder)
    /// Follow an agent that a worker had begun which is gone.
    case adoptAgent(RunOrder)
    /// Send the callbacks of a review, in order, until none waits.
    case sendCallbacks(UUID)
  }

  /// At most one job for every running run, and one for every review with callbacks.
  nonisolated let jobs: AsyncStream<Job>
  nonisolated let store: RunStore
  private let newJob: AsyncStream<Job>.Continuation
  /// The runs whose agents this process looks after.
  private var running: [RunKey: Running] = [:]
  /// The reviews whose callbacks are being sent, and whether another one has come since the last look.
  private var sending: [UUID: Bool] = [:]
  private var isDraining = false

  private struct Running {
    /// Ends the agent.
    let stop = Wakeup()
    let trace: TraceContext?
  }

  private let configuration: WorkerConfiguration
  private let now: @Sendable () -> Timestamp
  private let logger: Logger
  private let changed = Wakeup()
  private let roomMade = Wakeup()
  private let wipeNeeded = Wakeup()

  /// How long a failed write of what an agent did waits before it is tried again.
  private static let writePause: Duration = .seconds(1)
  /// How often, at most, secrets are wiped from the log and old data is looked for.
  private static let wipePause: Duration = .seconds(1)
  private static let prunePause: Duration = .seconds(600)

  init(
    store: RunStore, configuration: WorkerConfiguration,
    now: @escaping @Sendable () -> Timestamp = { .processNow }, logger: Logger
  ) {
    self.store = store
    self.configuration = configuration
    self.now = now
    self.logger = logger
    (jobs, newJob) = AsyncStream.makeStream(of: Job.self)
  }

  // MARK: For the routes

  /// - Parameter trace: the span that the run gets.
  func start(_ request: StartRequest, body: [UInt8], trace: TraceContext?) async throws -> StartVerdict {
    guard !isDraining else {
      return try await store.verdict(on: RunKey(reviewID: request.reviewId, attempt: request.attempt)) ?? .draining
    }
    let (verdict, consequences) = try await store.start(request, body: body, trace: trace, at: now())
    follow(consequences, of: request.reviewId)
    return verdict
  }

  func cancel(_ reviewID: UUID, _ request: CancelRequest) async throws -> Bool {
    let (success, consequences) = try await store.cancel(
      reviewID, upTo: request.attempt, reason: request.reason, at: now())
    follow(consequences, of: reviewID)
    return success
  }

  func status(_ reviewID: UUID) async throws -> RunStatus? { try await store.status(reviewID) }

  func events(_ reviewID: UUID) async throws -> [RunEvent]? { try await store.events(reviewID) }

  // MARK: Loops

  /// Takes up what an earlier worker left: its agents, and its callbacks.
  /// - Returns: the runs that it had begun.
  func resume() async throws -> [RunOrder] {
    let orders = try await store.interrupted()
    for order in orders {
      running[order.key] = Running(trace: order.trace)
      newJob.yield(.adoptAgent(order))
    }
    for id in try await store.reviewsWithCallbacks() { sendCallbacks(id) }
    roomMade.wake()
    wipeNeeded.wake()
    return orders
  }

  /// Begins runs as there is room, until the task is cancelled.
  func beginRuns() async {
    while (try? await roomMade.wait(until: nil)) != nil {
      while !isDraining, let order = await attempt({ try await $0.beginNext(limit: $1, at: $2) }) ?? nil {
        running[order.key] = Running(trace: order.trace)
        newJob.yield(.runAgent(order))
        sendCallbacks(order.key.reviewID)
      }
    }
  }

  /// Empties the log of secrets that were deleted, and forgets what is too old, until the task is cancelled.
  func tidy() async {
    var prunedAt: ContinuousClock.Instant?
    while !Task.isCancelled {
      do {
        if prunedAt.map({ .now - $0 > Self.prunePause }) ?? true {
          try await store.prune(at: now())
          prunedAt = .now
        }
        try await store.database.truncateLog()
      } catch {
        if !Task.isCancelled { logger.error("cannot tidy the state", metadata: ["error": "\(error)"]) }
      }
      _ = try? await Task.sleep(for: Self.wipePause)
      _ = try? await wipeNeeded.wait(until: .now + Self.prunePause)
    }
  }

  // MARK: For the agents

  /// What ends a run's agent; woken already if the stop was requested before a listener existed.
  func stop(_ key: RunKey) async -> Wakeup {
    let stop = running[key]?.stop ?? Wakeup()
    if case .some(.some) = await attempt({ store, _, _ in try await store.stopReason(key) }) { stop.wake() }
    return stop
  }

  /// Keeps what an agent has said; tries until that works.
  func record(_ lines: [AgentLine], of key: RunKey, upTo offset: Int64) async {
    let consequences = await attempt { try await $0.record(lines, of: key, upTo: offset, at: $2) }
    if let consequences { follow(consequences, of: key.reviewID) }
  }

  func end(_ key: RunKey, for reason: StopReason, message: String) async {
    if await attempt({ store, _, _ in try await store.stop(key, for: reason, message: message) }) == true {
      running[key]?.stop.wake()
    }
  }

  /// - Parameter order: of the agent that has ended.
  func agentEnded(_ order: RunOrder, _ exit: AgentExit, agent: Agent) async {
    let key = order.key
    let lost = configuration.lostRuns
    guard let (state, consequences) = await attempt({ try await $0.agentEnded(key, exit, lost: lost, at: $2) }) else {
      return  // Only when the worker ends: the next one finds the run.
    }
    agent.folder(order).remove()
    running[key] = nil
    follow(consequences, of: key.reviewID)
    let metadata = key.metadata(order.trace).merging(["state": "\(state?.rawValue ?? "queued")"]) { $1 }
    if exit == .lost {
      logger.error("an agent has died with the worker", metadata: metadata)
    } else {
      logger.info("agent ended", metadata: metadata)
    }
    changed.wake()
  }

  // MARK: For the callbacks

  /// The callback to send now; nil ends the sending for this review.
  func nextCallback(_ reviewID: UUID) async -> PendingCallback? {
    repeat {
      sending[reviewID] = false
      if let callback = await attempt({ store, _, _ in try await store.nextCallback(reviewID) }) ?? nil {
        return callback
      }
    } while sending[reviewID] == true && !Task.isCancelled
    sending[reviewID] = nil
    changed.wake()
    return nil
  }

  func settle(_ callback: PendingCallback) async {
    await attempt { store, _, _ in try await store.settle(callback) }
    if callback.authToken != nil { wipeNeeded.wake() }
  }

  func refuse(_ callback: PendingCallback) async {
    await attempt { store, _, now in try await store.refuse(callback, at: now) }
  }

  // MARK: For the end

  /// Takes on nothing new and begins no agent any more; gives those that run a while to end, and their callbacks another. What still
  /// runs then goes on, and the next worker follows it, as after a crash.
  func drain(within limit: Duration, callbacksWithin callbackLimit: Duration) async {
    isDraining = true
    await wait(until: .now + limit) { running.isEmpty }
    await wait(until: .now + callbackLimit) { sending.isEmpty }
    for (key, run) in running {
      logger.notice("an agent goes on: the next start of the worker follows it", metadata: key.metadata(run.trace))
    }
    newJob.finish()
  }

  private func wait(until deadline: ContinuousClock.Instant?, _ condition: () -> Bool) async {
    while !condition() {
      guard deadline.map({ $0 > .now }) ?? true, (try? await changed.wait(until: deadline)) != nil else { return }
    }
  }

  private func follow(_ consequences: Consequences, of reviewID: UUID) {
    for key in consequences.stops { running[key]?.stop.wake() }
    if consequences.reports { sendCallbacks(reviewID) }
    if consequences.makesRoom { roomMade.wake() }
    if consequences.wipes { wipeNeeded.wake() }
  }

  private func sendCallbacks(_ reviewID: UUID) {
    guard store.limits.callbacks != .none else { return }
    if sending.updateValue(true, forKey: reviewID) == nil { newJob.yield(.sendCallbacks(reviewID)) }
  }

  /// Repeats what must not be given up because the disk is full for a while.
  /// - Parameter body: is given the store, the limit of running runs and the time.
  /// - Returns: nil if the task was cancelled.
  @discardableResult
  private func attempt<Value: Sendable>(
    _ body: @Sendable (RunStore, Int, Timestamp) async throws -> Value
  ) async -> Value? {
    var notice = FaultNotice()
    while true {
      do {
        return try await body(store, configuration.concurrency, now())
      } catch {
        if Task.isCancelled { return nil }
        if notice.failed("\(error)") {
          logger.error("cannot write the state; trying again until it works", metadata: ["error": "\(error)"])
        }
      }
      guard (try? await Task.sleep(for: Self.writePause)) != nil else { return nil }
    }
  }
}
