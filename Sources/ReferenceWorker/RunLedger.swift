internal import DequeModule
internal import FoundationEssentials
internal import Reviews
internal import WorkerAPI

/// What the worker knows of every run, and what is to be done next: events go in, actions come out, nothing else happens.
///
/// - A review's attempt starts once. A newer attempt ends the older run's agent and begins when that has ended; an older one
///   is refused. An attempt that was cancelled before it came does not run.
/// - At most `concurrency` agents are live; the rest wait in the order of their starts.
/// - queued → running → completed, failed or cancelled; queued → cancelled. A run that has ended changes no more.
///
/// Known weakness: it lives in memory. A worker that was restarted knows no run, and Baton starts what was queued again.
struct RunLedger: Sendable {
  /// What the shell is to do, in order.
  enum Action: Sendable, Equatable {
    case begin(RunKey)
    case stop(RunKey)
    /// Tell Baton where the run stands now.
    case report(Outbox.Entry)
  }

  /// What became of a start.
  enum Verdict: Sendable, Equatable {
    case accepted(RunState, agentVersion: String?)
    /// A newer attempt is known already.
    case older(known: Int)
  }

  /// The most bytes of events that ended runs keep in all; those of the longest ended go first.
  static let endedEventByteCountMax = 256 * 1024 * 1024

  let concurrency: Int
  let eventCountMax: Int
  /// How many ended runs, and how many cancels of unknown reviews, are remembered.
  let rememberedMax: Int
  private var runs: [UUID: Run] = [:]
  /// The attempt whose agent is alive, by review: it may be older than the run that is known.
  private var live: [UUID: Int] = [:]
  private var waiting: Deque<RunKey> = []
  private var cancelledUpTo: [UUID: Int] = [:]
  private var cancelOrder: Deque<UUID> = []
  private var ended: Deque<RunKey> = []
  private var withEvents: Deque<RunKey> = []
  private var endedEventByteCount = 0
  private(set) var isDraining = false

  init(concurrency: Int, eventCountMax: Int, rememberedMax: Int = 100_000) {
    self.rememberedMax = max(rememberedMax, 1)
    self.concurrency = max(concurrency, 1)
    self.eventCountMax = eventCountMax
  }

  // MARK: Questions

  /// The run that is known of a review.
  func run(_ reviewID: UUID) -> Run? { runs[reviewID] }

  /// The order of a run that has begun and not ended.
  func order(_ key: RunKey) -> Run.Order? { current(key)?.order }

  /// How many agents are alive.
  var liveCount: Int { live.count }

  var liveKeys: [RunKey] { live.map { RunKey(reviewID: $0.key, attempt: $0.value) } }

  private func current(_ key: RunKey) -> Run? { runs[key.reviewID].flatMap { $0.key == key ? $0 : nil } }

  // MARK: Events

  mutating func start(_ order: Run.Order, at now: Timestamp) -> (Verdict, [Action]) {
    let key = RunKey(reviewID: order.request.reviewId, attempt: order.request.attempt)
    var actions: [Action] = []
    if let known = runs[key.reviewID] {
      guard key.attempt >= known.key.attempt else { return (.older(known: known.key.attempt), []) }
      guard key.attempt > known.key.attempt else {
        return (.accepted(known.state, agentVersion: known.agentVersion), [])
      }
      actions += stop(known.key, for: .replaced)
      forgetEnded(known.key)
    }
    var run = Run(key: key, state: .queued, order: order, events: EventLog(countMax: eventCountMax))
    run.agentVersion = order.request.agentVersion
    if let attempt = cancelledUpTo[key.reviewID], attempt >= key.attempt {
      run.errorMessage = "cancelled before it was started"
      runs[key.reviewID] = run
      _ = end(key, as: .cancelled, at: now)  // The answer to the start says so: no report.
    } else {
      runs[key.reviewID] = run
      waiting.append(key)
      actions += fill(at: now)
    }
    return (.accepted(runs[key.reviewID]?.state ?? .queued, agentVersion: run.agentVersion), actions)
  }

  /// Cancels attempts up to one; without one, the attempt that is known.
  /// - Returns: whether the attempt will not go on.
  mutating func cancel(_ reviewID: UUID, upTo attempt: Int?, reason: String?, at now: Timestamp) -> (Bool, [Action]) {
    if let attempt { remember(cancel: reviewID, upTo: attempt) }
    guard let run = runs[reviewID] else { return (attempt != nil, []) }
    guard attempt ?? .max >= run.key.attempt else { return (false, []) }
    switch run.state {
    case .completed, .failed: return (attempt.map { $0 > run.key.attempt } ?? false, [])
    case .cancelled: return (true, [])
    case .queued, .running, .buffering, .other:
      runs[reviewID]?.errorMessage = reason ?? "cancelled"
      let isLive = live[reviewID] == run.key.attempt
      return (true, isLive ? stop(run.key, for: .cancelled) : end(run.key, as: .cancelled, at: now))
    }
  }

  /// Ends a run before its agent has ended by itself; nothing happens where it is being ended already.
  mutating func stop(_ key: RunKey, for reason: StopReason) -> [Action] {
    let isLive = live[key.reviewID] == key.attempt
    guard var run = current(key), !run.state.isTerminal else { return [] }
    guard run.stopReason == nil || reason == .replaced else { return [] }
    let isStopping = run.stopReason != nil
    run.stopReason = reason
    runs[key.reviewID] = run
    return isLive && !isStopping ? [.stop(key)] : []
  }

  /// Takes over what the agent has said.
  mutating func record(_ line: AgentLine, of key: RunKey, at now: Timestamp) -> [Action] {
    guard var run = current(key), !run.state.isTerminal else { return [] }
    runs[key.reviewID] = nil  // So that the log is not copied.
    if let event = line.event {
      run.events.append(
        RunEvent(timestamp: now, eventType: event.type, message: event.message, content: event.content),
        byteCount: line.byteCount + 64)
    }
    let isNews =
      (line.sessionID != nil && line.sessionID != run.sessionID)
      || (line.cliSessionID != nil && line.cliSessionID != run.cliSessionID)
    run.sessionID = line.sessionID ?? run.sessionID
    run.cliSessionID = line.cliSessionID ?? run.cliSessionID
    run.gateResult = line.gateResult ?? run.gateResult
    run.usage = line.usage ?? run.usage
    runs[key.reviewID] = run
    return isNews ? report(run) : []
  }

  /// The agent has ended, or could not be started.
  mutating func agentEnded(_ key: RunKey, _ exit: AgentExit, at now: Timestamp) -> [Action] {
    if live[key.reviewID] == key.attempt { live[key.reviewID] = nil }
    var actions: [Action] = []
    if let run = current(key) {
      switch run.stopReason {
      case .cancelled?, .replaced?: actions += end(key, as: .cancelled, at: now)
      case .timedOut(let minutes)?:
        runs[key.reviewID]?.errorMessage = "timeout: the agent took longer than \(minutes) minutes"
        actions += end(key, as: .failed, at: now)
      case .shutdown?:
        runs[key.reviewID]?.errorMessage = "the worker was shut down while the agent ran"
        actions += end(key, as: .failed, at: now)
      case nil:
        runs[key.reviewID]?.errorMessage = exit.errorMessage
        actions += end(key, as: exit.errorMessage == nil ? .completed : .failed, at: now)
      }
    }
    return actions + fill(at: now)
  }

  /// Begins no run any more; what waits is forgotten with the process, and Baton starts it elsewhere or later.
  mutating func drain() { isDraining = true }

  // MARK: Transitions

  /// Begins what waits, as far as there is room. A review whose older attempt is still being ended is passed over.
  private mutating func fill(at now: Timestamp) -> [Action] {
    guard !isDraining else { return [] }
    var actions: [Action] = []
    var passedOver: [RunKey] = []
    while live.count < concurrency, let key = waiting.popFirst() {
      guard let run = current(key), run.state == .queued else { continue }
      guard live[key.reviewID] == nil else {
        passedOver.append(key)
        continue
      }
      live[key.reviewID] = key.attempt
      var begun = run
      begun.state = .running
      begun.startedAt = now
      runs[key.reviewID] = begun
      actions += report(begun) + [.begin(key)]
    }
    for key in passedOver.reversed() { waiting.prepend(key) }
    return actions
  }

  private mutating func end(_ key: RunKey, as state: RunState, at now: Timestamp) -> [Action] {
    guard var run = current(key), !run.state.isTerminal else { return [] }
    runs[key.reviewID] = nil  // So that the order is held only here, and can be overwritten.
    run.state = state
    run.completedAt = now
    let report = report(run)
    run.order?.wipe()
    run.order = nil
    runs[key.reviewID] = run
    remember(ended: run)
    return report
  }

  private func report(_ run: Run) -> [Action] {
    guard let callback = run.callback, let order = run.order else { return [] }
    return [.report(Outbox.Entry(key: run.key, callback: callback, authToken: Secret(order.request.authToken)))]
  }

  // MARK: Bounds

  private mutating func remember(cancel reviewID: UUID, upTo attempt: Int) {
    if let known = cancelledUpTo[reviewID] {
      cancelledUpTo[reviewID] = max(known, attempt)
      return
    }
    cancelledUpTo[reviewID] = attempt
    cancelOrder.append(reviewID)
    if cancelOrder.count > rememberedMax { cancelledUpTo[cancelOrder.removeFirst()] = nil }
  }

  private mutating func remember(ended run: Run) {
    ended.append(run.key)
    withEvents.append(run.key)
    endedEventByteCount += run.events.byteCount
    while endedEventByteCount > Self.endedEventByteCountMax, let oldest = withEvents.popFirst() {
      guard let run = current(oldest) else { continue }
      endedEventByteCount -= run.events.byteCount
      runs[oldest.reviewID]?.events.removeAll()
    }
    while ended.count > rememberedMax {
      let oldest = ended.removeFirst()
      forgetEnded(oldest)
      if current(oldest) != nil { runs[oldest.reviewID] = nil }
    }
    while withEvents.count > rememberedMax { withEvents.removeFirst() }
  }

  /// Takes an ended run's events out of the count.
  private mutating func forgetEnded(_ key: RunKey) {
    guard let run = current(key), run.state.isTerminal else { return }
    endedEventByteCount -= run.events.byteCount
    runs[key.reviewID]?.events.removeAll()
  }
}

extension Run.Order {
  /// Overwrites the body, as far as nobody else holds it, before it is freed.
  fileprivate mutating func wipe() {
    body.withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
  }
}
