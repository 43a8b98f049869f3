/// Judges a run by its own record: by what the ports, the worker and the operators have seen, never by the ledger's tables.
struct Checker {
  struct Key: Hashable {
    var review: Int
    var attempt: Int
  }

  let scenario: Scenario
  private(set) var violations: [Violation] = []

  /// What the worker has, as it says itself.
  private var accepted: Set<Key> = []
  /// When a call that its caller waited for has started it.
  private var startedAt: [Key: Duration] = [:]
  private var ends: [Key: String] = [:]
  private var acknowledged: [Key: Duration] = [:]
  private var cancelled: Set<Key> = []
  private var retried: Set<Key> = []
  /// Cancels that the worker has accepted.
  private var notified: Set<Key> = []
  private var refused: Set<Key> = []
  /// Failures of an attempt's own that may be counted against it, and those that have to be.
  private var failures: [Key: Int] = [:]
  private var counted: [Key: Int] = [:]
  private var deaths = 0
  /// Runs at the worker that take up a place of their owner.
  private var live: [Int: Set<Key>] = [:]
  private var limits: [Int]
  private var rows: [Int: (attempt: Int, status: String, code: String?)] = [:]

  init(_ scenario: Scenario) {
    self.scenario = scenario
    limits = scenario.limits
  }

  /// What a whole run has violated, but for the times of recovery.
  static func violations(of scenario: Scenario, _ entries: [Entry]) -> [Violation] {
    var checker = Checker(scenario)
    for entry in entries { checker.take(entry) }
    checker.finish(at: entries.last?.time ?? .zero)
    return checker.violations
  }

  private mutating func violated(_ invariant: Violation.Invariant, _ time: Duration, _ text: String) {
    violations.append(Violation(invariant: invariant, time: time, text: text))
  }

  private mutating func take(_ entry: Entry) {
    let time = entry.time
    switch entry.event {
    case .submitted(let review): rows[review] = (1, "pending", nil)
    case .operated(.limit(let owner, let limit)): limits[owner] = max(limits[owner], limit)
    case .cancelled(let review, let attempt): release(Key(review: review, attempt: attempt))
    case .retried(let review, let attempt): retried.insert(Key(review: review, attempt: attempt))
    case .posting(let review, let attempt): posted(Key(review: review, attempt: attempt), entry)
    case .ready(let count): checkDepth(count, time)
    case .notified(let review, let attempt): notified.insert(Key(review: review, attempt: attempt))
    case .answered(let review, let attempt, let answer):
      let key = Key(review: review, attempt: attempt)
      if answer == "refused" { refused.insert(key) }
      if answer != "dispatched" { failures[key, default: 0] += 1 }
      if answer == "not prepared" { failed(key, time) }
    case .started(let review, let attempt):
      let key = Key(review: review, attempt: attempt)
      if entry.process != 0 { startedAt[key] = time }
      started(key, time)
    case .ended(let review, let attempt, let state):
      let key = Key(review: review, attempt: attempt)
      // Also one that it never ran, because the cancel came first.
      accepted.insert(key)
      ends[key] = state
      live[owner(of: review)]?.remove(key)
    case .settled(let review, let attempt, "acknowledged"): acknowledge(Key(review: review, attempt: attempt), time)
    case .processEnded: deaths += 1
    case .seen(let review, let attempt, let status, let code): saw(review, attempt, status, code, time)
    case .operated, .published, .delivered, .preparing, .asked, .calledBack, .settled, .began, .healed,
      .processStarted:
      break
    }
  }

  private func owner(of review: Int) -> Int { scenario.reviews.first { $0.number == review }?.owner ?? 0 }

  /// An operator has ended it: its place is free, although the worker may not know it yet.
  private mutating func release(_ key: Key) {
    cancelled.insert(key)
    live[owner(of: key.review)]?.remove(key)
  }

  // MARK: I2

  /// Where an earlier start may have succeeded, the worker is asked, and not called again.
  private mutating func posted(_ key: Key, _ entry: Entry) {
    guard let time = [startedAt[key], acknowledged[key]].compactMap(\.self).min(), entry.time > time + .seconds(1),
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
    guard !cancelled.contains(key) else { return }
    let owner = owner(of: key.review)
    live[owner, default: []].insert(key)
    // An older attempt that still runs was ended by the row.
    let count = Set((live[owner] ?? []).map(\.review)).count
    guard count > limits[owner] else { return }
    violated(.capacity, time, "owner \(owner) has \(count) runs at the worker, its limit is \(limits[owner])")
  }

  // MARK: I4

  private mutating func acknowledge(_ key: Key, _ time: Duration) {
    acknowledged[key] = acknowledged[key] ?? time
    guard !accepted.contains(key) else { return }
    violated(.settlement, time, "r\(key.review)/\(key.attempt) is acknowledged; the worker does not have it")
  }

  // MARK: I8, and the bound of attempts

  /// Each producer may have filled the queue to the depth at the same time. What is published again, or comes back from a consumer, counts too:
  /// so the bound is checked only where nothing goes wrong.
  private mutating func checkDepth(_ count: Int, _ time: Duration) {
    let depthMax = World.queueDepthMax * scenario.producers
    guard count > depthMax, scenario.faults.isEmpty, scenario.worker == Scenario.WorkerRates() else { return }
    violated(.boundedQueue, time, "\(count) messages are ready, and the producers may fill it to \(depthMax)")
  }

  /// A failure of preparing counts against the attempt, and so many of them end it.
  private mutating func failed(_ key: Key, _ time: Duration) {
    counted[key, default: 0] += 1
    guard counted[key, default: 0] > World.attemptMax else { return }
    violated(.boundedAttempts, time, "r\(key.review)/\(key.attempt) has failed \(counted[key, default: 0]) times")
  }

  // MARK: I5

  private mutating func saw(_ review: Int, _ attempt: Int, _ status: String, _ code: String?, _ time: Duration) {
    if let before = rows[review], Self.isTerminal(before.status) {
      let isRetry = attempt > before.attempt && retried.contains(Key(review: review, attempt: attempt))
      if !isRetry {
        violated(
          .finalIsFinal, time, "r\(review)/\(before.attempt) was \(before.status) and is \(attempt) \(status)")
      }
    }
    rows[review] = (attempt, status, code)
  }

  static func isTerminal(_ status: String) -> Bool { ["completed", "failed", "cancelled"].contains(status) }

  // MARK: The end

  private mutating func finish(at time: Duration) {
    for key in cancelled.intersection(accepted).subtracting(notified).sorted(by: { $0.review < $1.review }) {
      violated(.cancelDelivered, time, "the worker was not notified that r\(key.review)/\(key.attempt) is cancelled")
    }
    for (review, row) in rows.sorted(by: { $0.key < $1.key }) {
      let key = Key(review: review, attempt: row.attempt)
      let name = "r\(review)/\(row.attempt)"
      switch row.status {
      case "completed":
        if ends[key] != "completed" {
          violated(.rightOutcome, time, "\(name) is completed, at the worker it is \(ends[key] ?? "not ended")")
        }
      case "cancelled":
        if !cancelled.contains(key), ends[key] != "cancelled" {
          violated(.rightOutcome, time, "\(name) is cancelled; no operator did that")
        }
      case "failed": judgeFailure(key, row.code ?? "", time)
      default: violated(.nothingLost, time, "\(name) is still \(row.status)")
      }
    }
  }

  private mutating func judgeFailure(_ key: Key, _ code: String, _ time: Duration) {
    let isRight =
      switch code {
      case "agent_failed": ends[key] == "failed"
      case "worker_rejected": refused.contains(key)
      case "attempts_exhausted": failures[key, default: 0] + deaths >= 8
      default: false
      }
    guard !isRight else { return }
    violated(
      .rightOutcome, time,
      "r\(key.review)/\(key.attempt) failed as \(code); at the worker it is \(ends[key] ?? "not ended"), "
        + "\(failures[key, default: 0]) failures of its own, \(deaths) processes ended")
  }
}
