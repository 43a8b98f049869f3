internal import Dispatching
internal import FoundationEssentials
internal import InMemoryReviewQueue
internal import InMemoryReviewStore
internal import Primitives
internal import Resilience
internal import ReviewQueue
internal import ReviewStore
internal import Reviews
internal import Synchronization

/// One run of a scenario: processes of Baton, with a ledger, a queue and a worker that faults reach.
final class World: Sendable {
  private struct State {
    var processes: [InjectedFault.Place: SimulatedProcess] = [:]
    var lastID = 0
    var numbers: [UUID: Int] = [:]
    var ids: [Int: UUID] = [:]
    /// Attempts that an operator has cancelled, or Baton has failed.
    var ended: Set<Checker.Key> = []
    var started: Set<Checker.Key> = []
    /// Cancels that the worker has accepted.
    var notified: Set<Checker.Key> = []
    /// The most messages that were ready.
    var readyMax = 0
    /// What the rows said when they were last looked at.
    var seen: [Int: ReviewStanding] = [:]
  }

  let scenario: Scenario
  let scheduler = Scheduler.shared
  let network: Network
  let recorder: Recorder
  let ledger: InMemoryLedger
  let queue: InMemoryTicketQueue
  let worker = SimulatedWorker()
  let policy: DispatchPolicy
  let environment: DispatchEnvironment
  private let state = Mutex(State())
  private let hasEnded = Atomic(false)

  static let queueDepthMax = 8
  static let failureMax = 8

  init(_ scenario: Scenario) {
    self.scenario = scenario
    let scheduler = scheduler
    let network = Network(seed: scenario.seed)
    self.network = network
    recorder = Recorder(scheduler)
    let link = LedgerLink(network: network, scheduler: scheduler)
    let clock = SimulatedClock(scheduler)
    environment = DispatchEnvironment(clock: clock)
    ledger = InMemoryLedger(
      clock: { Timestamp(microseconds: scheduler.microseconds) }, monotonicClock: clock,
      mayCrash: scenario.faults.contains { $0.kind == .ledgerAway },
      intercept: { await link.request($0) },
      answer: { await link.answer($0) })
    queue = InMemoryTicketQueue(clock: clock)
    var policy = DispatchPolicy()
    policy.prefetch = scenario.prefetch
    policy.queueDepthMax = Self.queueDepthMax
    policy.failureMax = Self.failureMax
    // Silence is noticed sooner than by default, so that a run is short.
    policy.staleAfter = .seconds(15)
    policy.runningTimeout = .seconds(20)
    policy.retry = Backoff(base: .seconds(2), max: .seconds(20))
    self.policy = policy
  }

  // MARK: Names

  func number(of id: UUID) -> Int { state.withLock { $0.numbers[id] ?? -1 } }
  func id(of number: Int) -> UUID? { state.withLock { $0.ids[number] } }

  /// A review by its number: a smaller scenario has not all of them.
  func planned(_ number: Int) -> Scenario.PlannedReview {
    guard let planned = scenario.reviews.first(where: { $0.number == number }) else {
      preconditionFailure("no review has the number \(number)")
    }
    return planned
  }

  func add(_ id: UUID, _ number: Int) {
    state.withLock { state in
      state.numbers[id] = number
      state.ids[number] = id
    }
  }

  // MARK: Processes

  func process(at place: InjectedFault.Place) -> SimulatedProcess? { state.withLock { $0.processes[place] } }
  var processes: [SimulatedProcess] {
    state.withLock { state in state.processes.sorted { $0.key < $1.key }.map(\.value) }
  }

  func startProcess(at place: InjectedFault.Place) {
    let id = state.withLock { state in
      state.lastID += 1
      return state.lastID
    }
    network.put(id, at: place)
    scheduler.setSkew(of: id, to: scenario.skews[place])
    let process = SimulatedProcess(id: id, place: place, world: self)
    recorder.name(id, process.name)
    state.withLock { $0.processes[place] = process }
    recorder.note(.processStarted(process.name), of: 0)
    scheduler.spawn(as: id) { await process.run() }
  }

  /// Removes the process that runs at a place; nil if none does.
  func take(from place: InjectedFault.Place) -> SimulatedProcess? {
    guard let process = state.withLock({ $0.processes.removeValue(forKey: place) }) else { return nil }
    recorder.note(.processEnded(process.name), of: 0)
    return process
  }

  /// Ends a process at once, with its connections.
  /// - Returns: false if none runs there.
  func kill(at place: InjectedFault.Place) -> Bool {
    guard let process = take(from: place) else { return false }
    scheduler.kill(process.id)
    process.subscription?.inner.disconnect()
    ledger.cutSessions(of: process.holder.id)
    return true
  }

  /// Removes a process that has ended by itself.
  func remove(_ process: SimulatedProcess) {
    let isThere = state.withLock { state in
      guard state.processes[process.place] === process else { return false }
      state.processes[process.place] = nil
      return true
    }
    guard isThere else { return }
    recorder.note(.processEnded(process.name), of: 0)
    process.subscription?.inner.disconnect()
    ledger.cutSessions(of: process.holder.id)
  }

  // MARK: Rows

  /// Notes what has changed.
  func look() {
    let standings = ledger.standings
    let news = state.withLock { state in
      standings.compactMap { standing -> (number: Int, standing: ReviewStanding)? in
        // One that was inserted a moment ago may have no number yet.
        guard let number = state.numbers[standing.id], state.seen[number] != standing else { return nil }
        state.seen[number] = standing
        if standing.status == .failed, standing.errorCode != ErrorCode.agentFailed.rawValue {
          state.ended.insert(Checker.Key(review: number, attempt: standing.attempt))
        }
        return (number, standing)
      }
    }
    for (number, standing) in news.sorted(by: { $0.number < $1.number }) {
      recorder.note(
        .seen(
          review: number, attempt: standing.attempt, status: standing.status.rawValue, code: standing.errorCode))
    }
  }

  /// Whether everything has come and ended, and nothing waits in the queue.
  var isDrained: Bool {
    let (seen, ids) = state.withLock { ($0.seen, $0.ids) }
    return seen.count == ids.count && seen.values.allSatisfy { $0.status.isTerminal } && queue.isDrained
      && state.withLock { $0.ended.intersection($0.started).isSubset(of: $0.notified) }
  }

  /// Notes how many messages are ready, if there were never more.
  func lookAtQueue() async {
    guard let ready = try? await queue.status().messagesReady else { return }
    let isNews = state.withLock { state in
      defer { state.readyMax = max(state.readyMax, ready) }
      return ready > state.readyMax
    }
    if isNews { recorder.note(.ready(ready), of: 0) }
  }

  /// How many reviews have ended.
  var endedCount: Int { state.withLock { $0.seen.values.count { $0.status.isTerminal } } }

  var isDone: Bool { hasEnded.load(ordering: .relaxed) }
  func end() { hasEnded.store(true, ordering: .relaxed) }

  // MARK: Cancels

  /// The worker has an attempt.
  func started(_ key: Checker.Key) { state.withLock { _ = $0.started.insert(key) } }

  /// An operator's or a push's cancel: if the worker has the attempt, or gets it later, it has to be notified.
  func cancelled(_ key: Checker.Key) {
    recorder.note(.cancelled(review: key.review, attempt: key.attempt))
    state.withLock { _ = $0.ended.insert(key) }
  }

  /// The worker has accepted a cancel.
  func notified(_ key: Checker.Key) {
    recorder.note(.notified(review: key.review, attempt: key.attempt))
    state.withLock { _ = $0.notified.insert(key) }
  }

  /// Calls the worker when nothing asks for it. For a planted fault.
  func postAgain(_ id: UUID, _ attempt: Int, by process: Scheduler.ProcessID) {
    scheduler.spawn(as: process) { [self] in
      try? await scheduler.sleep(for: .seconds(3))
      recorder.note(.posting(review: number(of: id), attempt: attempt))
      _ = worker.start(id, attempt: attempt, in: self)
    }
  }
}
