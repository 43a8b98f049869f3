/// Judges a run by its own record: by what the ports, the worker and the operators have seen, never by the ledger's tables.
struct Checker {
  struct Key: Hashable {
    var review: Int
    var attempt: Int
  }

  let scenario: Scenario
  private(set) var violations: [Violation] = []
  /// Second starts at a worker that is not idempotent.
  private(set) var secondStarts = 0

  /// What the worker has, as it says itself.
  var accepted: Set<Key> = []
  var ends: [Key: Set<String>] = [:]
  var cancelled: Set<Key> = []
  /// Attempts that Baton has failed by itself.
  var failed: Set<Key> = []
  /// Cancels that the worker has accepted.
  var notified: Set<Key> = []
  var refused: Set<Key> = []
  /// Failures of an attempt's own that may be counted against it.
  var failures: [Key: Int] = [:]
  var deaths = 0
  var rows: [Int: (attempt: Int, status: String, code: String?)] = [:]
  /// Runs that made their owner exceed its limit, and that Baton may have failed a moment before.
  var excesses: [(key: Key, violation: Violation)] = []

  /// Since when Baton can know that the worker has an attempt.
  private var knownSince: [Key: Duration] = [:]
  /// The processes that wait for the worker's answer to a start.
  private var callers: [Key: Set<String>] = [:]
  /// Whether the worker has ever answered a question about a review with what it has.
  private var hasWorkerAnswered = false
  /// Reviews about which the worker seemed to be one that cannot be asked, before it had ever answered: Baton may start them again, and relies
  /// on an idempotent start, as the worker contract says.
  private var unaskable: Set<Int> = []
  private var retried: Set<Key> = []
  /// Failures that have to be counted.
  private var counted: [Key: Int] = [:]
  /// Runs at the worker that take up a place of their owner.
  private var live: [Int: Set<Key>] = [:]
  private var limits: [Int]
  private let owners: [Int: Int]
  private var fairness: FairnessChecker

  init(_ scenario: Scenario) {
    self.scenario = scenario
    limits = scenario.limits
    owners = Dictionary(uniqueKeysWithValues: scenario.reviews.map { ($0.number, $0.owner) })
    fairness = FairnessChecker(scenario)
  }

  /// What a whole run has violated, but for the times of recovery.
  static func checked(_ scenario: Scenario, _ entries: [HistoryEntry]) -> Checker {
    var checker = Checker(scenario)
    for entry in entries { checker.take(entry) }
    checker.finish(at: entries.last?.time ?? .zero)
    return checker
  }

  mutating func violated(_ invariant: Violation.Invariant, _ time: Duration, _ text: String) {
    violations.append(Violation(invariant: invariant, time: time, text: text))
  }

  private mutating func take(_ entry: HistoryEntry) {
    let time = entry.time
    switch entry.event {
    case .submitted(let review):
      rows[review] = (1, "pending", nil)
      fairness.submitted(review)
    case .operated(.limit(let owner, let limit)): limits[owner] = max(limits[owner], limit)
    case .cancelled(let review, let attempt): release(Key(review: review, attempt: attempt))
    case .retried(let review, let attempt): retried.insert(Key(review: review, attempt: attempt))
    case .posting(let review, let attempt): posted(Key(review: review, attempt: attempt), entry)
    case .ready(let count): checkDepth(count, time)
    case .notified(let review, let attempt): notified.insert(Key(review: review, attempt: attempt))
    case .answered(let review, let attempt, let answer):
      let key = Key(review: review, attempt: attempt)
      callers[key]?.remove(entry.name)
      if answer == "refused" { refused.insert(key) }
      if answer != "dispatched" { failures[key, default: 0] += 1 }
      if answer == "not prepared" { notPrepared(key, time) }
    case .started(let review, let attempt):
      let key = Key(review: review, attempt: attempt)
      if entry.process != 0 { know(key, since: time) }
      started(key, time)
    // It takes no place: Baton has no part in it that ``posted(_:_:)`` does not judge.
    case .startedAgain: secondStarts += 1
    case .asked(let review, let attempt?, _):
      hasWorkerAnswered = true
      know(Key(review: review, attempt: attempt), since: time)
    case .asked(let review, nil, "unsupported"):
      if !hasWorkerAnswered { unaskable.insert(review) }
    case .calledBack(let review, let attempt, _, isApplied: true):
      know(Key(review: review, attempt: attempt), since: time)
    case .ended(let review, let attempt, let state):
      let key = Key(review: review, attempt: attempt)
      // Also one that it never ran, because the cancel came first.
      accepted.insert(key)
      ends[key, default: []].insert(state)
      live[owner(of: review)]?.remove(key)
      fairness.ended(review)
    case .settled(let review, let attempt, "acknowledged"): acknowledge(Key(review: review, attempt: attempt), time)
    case .processEnded: deaths += 1
    case .seen(let review, let attempt, let status, let code): saw(review, attempt, status, code, time)
    case .published(let review, _, _):
      if let text = fairness.published(review) { violated(.fairness, time, text) }
    case .operated, .delivered, .preparing, .asked, .calledBack, .settled, .began, .healed, .processStarted:
      break
    }
  }

  private func owner(of review: Int) -> Int { owners[review] ?? 0 }

  /// An operator has ended it: its place is free, although the worker may not know it yet.
  private mutating func release(_ key: Key) {
    cancelled.insert(key)
    live[owner(of: key.review)]?.remove(key)
    fairness.ended(key.review)
  }

  // MARK: I2

  private mutating func know(_ key: Key, since time: Duration) { knownSince[key] = knownSince[key] ?? time }

  /// If Baton can know that the worker has an attempt, it is not sent there again.
  private mutating func posted(_ key: Key, _ entry: HistoryEntry) {
    if !callers[key, default: []].insert(entry.name).inserted {
      violated(.nothingTwice, entry.time, "r\(key.review)/\(key.attempt) is sent twice at once by \(entry.name)")
    }
    guard let time = knownSince[key], entry.time > time + .seconds(1), !unaskable.contains(key.review),
      !mayNotKnow(entry.name, from: time, to: entry.time)
    else { return }
    violated(
      .nothingTwice, entry.time,
      "r\(key.review)/\(key.attempt) is sent to the worker again by \(entry.name), which has had it since \(time.text)")
  }

  /// Whether a process was stopped, or the ledger was out of its reach, so that it cannot know what has happened.
  private func mayNotKnow(_ name: String, from start: Duration, to end: Duration) -> Bool {
    scenario.faults.contains { fault in
      guard fault.time < end, fault.end + .seconds(2) > start - .seconds(60) else { return false }
      switch fault.kind {
      case .pause(let place), .cut(let place, .ledger, _): return name.contains("-\(place)#")
      case .ledgerAway, .ledgerBusy, .ledgerStalled, .rowLocked: return true
      default: return false
      }
    }
  }

  // MARK: I3

  private mutating func started(_ key: Key, _ time: Duration) {
    if !accepted.insert(key).inserted {
      violated(.nothingTwice, time, "r\(key.review)/\(key.attempt) starts twice at the worker")
    }
    guard !cancelled.contains(key), !failed.contains(key) else { return }
    let owner = owner(of: key.review)
    live[owner, default: []].insert(key)
    // An older attempt that still runs was ended by the row.
    let count = Set((live[owner] ?? []).map(\.review)).count
    guard count > limits[owner] else { return }
    let text = "owner \(owner) has \(count) runs at the worker, its limit is \(limits[owner])"
    excesses.append((key, Violation(invariant: .capacity, time: time, text: text)))
  }

  // MARK: I4

  private mutating func acknowledge(_ key: Key, _ time: Duration) {
    know(key, since: time)
    guard !accepted.contains(key) else { return }
    violated(.settlement, time, "r\(key.review)/\(key.attempt) is acknowledged; the worker does not have it")
  }

  // MARK: I8, and the bound of attempts

  /// Each producer may have filled the queue to the depth at the same time. What is published again, or comes back from a consumer, counts too:
  /// so the bound is checked only where nothing goes wrong.
  private mutating func checkDepth(_ count: Int, _ time: Duration) {
    let depthMax = World.queueDepthMax * scenario.producers
    guard count > depthMax, scenario.isFree else { return }
    violated(.boundedQueue, time, "\(count) messages are ready, and the producers may fill it to \(depthMax)")
  }

  /// A failure of preparing counts against the attempt, and so many of them end it.
  private mutating func notPrepared(_ key: Key, _ time: Duration) {
    counted[key, default: 0] += 1
    guard counted[key, default: 0] > World.failureMax else { return }
    violated(.boundedAttempts, time, "r\(key.review)/\(key.attempt) has failed \(counted[key, default: 0]) times")
  }

  // MARK: I5

  private mutating func saw(_ review: Int, _ attempt: Int, _ status: String, _ code: String?, _ time: Duration) {
    let key = Key(review: review, attempt: attempt)
    if let before = rows[review], Self.isTerminal(before.status) {
      let isRetry = attempt > before.attempt && retried.contains(key)
      if !isRetry {
        violated(
          .finalIsFinal, time, "r\(review)/\(before.attempt) was \(before.status) and is \(attempt) \(status)")
      }
    }
    rows[review] = (attempt, status, code)
    if status == "failed", code != "agent_failed" { fail(key, time) }
  }

  /// Baton has failed it by itself, within the last second: its place is free, although the worker may not know it yet.
  private mutating func fail(_ key: Key, _ time: Duration) {
    failed.insert(key)
    live[owner(of: key.review)]?.remove(key)
    excesses.removeAll { $0.key == key && $0.violation.time > time - .milliseconds(1_100) }
  }

  static func isTerminal(_ status: String) -> Bool { ["completed", "failed", "cancelled"].contains(status) }
}

extension Scenario {
  /// Whether nothing goes wrong in it.
  var isFree: Bool { faults.isEmpty && worker == WorkerRates() }
}
