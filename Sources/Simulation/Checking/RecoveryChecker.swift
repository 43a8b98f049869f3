/// A kind of recovery whose time is bounded.
package enum RecoveryKind: String, Sendable, CaseIterable {
  /// From the end of a process until a review that it had is on its way again.
  case kill
  /// The same, if its whole host is gone.
  case host
  /// From the loss of the queue's content until a ticket that it had is delivered.
  case queue
  /// From when a consumer gets nothing any more until a ticket is delivered.
  case silence
  /// From the return of the broker or the ledger until something is done, if something waits.
  case outage

  /// At worst.
  var max: Duration {
    switch self {
    case .kill: .seconds(15)
    case .host, .queue: .seconds(30)
    // The consumer notices within 15 s.
    case .silence: .seconds(20)
    case .outage: .seconds(10)
    }
  }
}

/// Checks the times of recovery, where nothing else goes wrong at the same time.
struct RecoveryChecker {
  private(set) var violations: [Violation] = []
  private(set) var recoveries: [RecoveryKind: [Duration]] = [:]
  private let scenario: Scenario
  private let entries: [HistoryEntry]

  init(_ scenario: Scenario, _ entries: [HistoryEntry]) {
    self.scenario = scenario
    self.entries = entries
    for (index, entry) in entries.enumerated() {
      switch entry.event {
      case .processEnded(let name): checkEnd(of: name, at: index)
      case .began(let fault) where fault.kind == .queuePurged || fault.kind == .queueDeleted:
        checkDeliveries(.queue, at: index, fault)
      case .began(let fault) where fault.kind == .deliveriesStalled: checkDeliveries(.silence, at: index, fault)
      case .healed(let fault) where fault.kind == .brokerAway || fault.kind == .ledgerAway:
        checkReturn(at: index, fault)
      default: break
      }
    }
  }

  /// Whether no fault is felt in a span of time, other than one that begins at its start.
  private func isQuiet(from start: Duration, to end: Duration, except time: Duration) -> Bool {
    scenario.worker == Scenario.WorkerRates()
      && !scenario.faults.contains { fault in
        fault.time != time && fault.time < end && fault.end + .seconds(15) > start - .seconds(1)
      }
      && !scenario.operations.contains { $0.time < end && $0.end > start }
  }

  // MARK: Kills

  private mutating func checkEnd(of name: String, at index: Int) {
    let time = entries[index].time
    guard let process = entries[..<index].last(where: { $0.name == name })?.process,
      let fault = scenario.faults.last(where: { $0.ends(name) && $0.time <= time })
    else { return }
    let recovery = fault.kind.isKill ? RecoveryKind.kill : .host
    guard isQuiet(from: fault.time, to: time + recovery.max, except: fault.time) else { return }
    for key in handled(by: process, before: index) {
      recovered(recovery, key, of: name, at: time, on: timeOnItsWay(key, after: index, process))
    }
    for key in unpublished(at: time + .milliseconds(1_100)) {
      recovered(recovery, key, of: name, at: time, on: timePublished(key, after: index))
    }
  }

  private mutating func recovered(
    _ recovery: RecoveryKind, _ key: Checker.Key, of name: String, at time: Duration, on moment: Duration?
  ) {
    judge(
      recovery, .boundedRecovery, from: time, to: moment,
      "r\(key.review)/\(key.attempt) was in the hands of \(name), and is not on its way \(recovery.max.text) later")
  }

  private mutating func judge(
    _ recovery: RecoveryKind, _ invariant: Violation.Invariant, from time: Duration, to moment: Duration?,
    _ text: @autoclosure () -> String
  ) {
    if let moment { recoveries[recovery, default: []].append(moment - time) }
    guard moment.map({ $0 - time > recovery.max }) ?? true else { return }
    violations.append(Violation(invariant: invariant, time: time, text: text()))
  }

  /// What a process was preparing or sending.
  private func handled(by process: Int, before index: Int) -> [Checker.Key] {
    var handled: [Checker.Key] = []
    for entry in entries[..<index] where entry.process == process {
      switch entry.event {
      case .preparing(let review, let attempt): handled.append(Checker.Key(review: review, attempt: attempt))
      case .settled(let review, let attempt, _):
        handled.removeAll { $0 == Checker.Key(review: review, attempt: attempt) }
      default: break
      }
    }
    return handled
  }

  /// When another process took care of a review, or it needed that no more.
  private func timeOnItsWay(_ key: Checker.Key, after index: Int, _ process: Int) -> Duration? {
    entries[(index + 1)...].first { entry in
      guard entry.process != process else { return false }
      switch entry.event {
      case .preparing(key.review, key.attempt), .posting(key.review, key.attempt),
        .settled(key.review, key.attempt, "acknowledged"), .cancelled(key.review, _), .asked(key.review, _, _):
        return true
      case .seen(key.review, _, let status, _): return status == "running" || Checker.isTerminal(status)
      default: return false
      }
    }?.time
  }

  /// Reviews that are queued although no ticket of theirs was published, as far as anyone knows.
  private func unpublished(at time: Duration) -> [Checker.Key] {
    var queued: [Checker.Key] = []
    for entry in entries.prefix(while: { $0.time <= time }) {
      switch entry.event {
      case .seen(let review, let attempt, "queued", _): queued.append(Checker.Key(review: review, attempt: attempt))
      default: break
      }
    }
    for entry in entries.prefix(while: { $0.time <= time }) {
      switch entry.event {
      case .published(let review, let attempt, _), .delivered(let review, let attempt, _),
        .cancelled(let review, let attempt):
        queued.removeAll { $0 == Checker.Key(review: review, attempt: attempt) }
      default: break
      }
    }
    return queued
  }

  private func timePublished(_ key: Checker.Key, after index: Int) -> Duration? {
    entries[(index + 1)...].first { entry in
      switch entry.event {
      case .published(key.review, key.attempt, "confirmed"), .delivered(key.review, key.attempt, _),
        .cancelled(key.review, _):
        return true
      default: return false
      }
    }?.time
  }

  // MARK: Tickets

  private mutating func checkDeliveries(_ recovery: RecoveryKind, at index: Int, _ fault: InjectedFault) {
    let time = entries[index].time
    guard isQuiet(from: time, to: time + recovery.max, except: fault.time) else { return }
    for key in undelivered(before: index) {
      let delivered = entries[(index + 1)...].first { entry in
        if case .delivered(key.review, key.attempt, _) = entry.event { return true }
        if case .cancelled(key.review, _) = entry.event { return true }
        return false
      }
      judge(
        recovery, recovery == .silence ? .noSilentConsumer : .boundedRecovery, from: time, to: delivered?.time,
        "the ticket of r\(key.review)/\(key.attempt) is not delivered \(recovery.max.text) after: \(fault)")
    }
  }

  /// Reviews whose tickets are in the queue, as far as the publishers and the consumers know.
  private func undelivered(before index: Int) -> [Checker.Key] {
    var waiting: [Checker.Key: Int] = [:]
    for entry in entries[..<index] {
      switch entry.event {
      case .published(let review, let attempt, "confirmed"):
        waiting[Checker.Key(review: review, attempt: attempt), default: 0] += 1
      // A delivery may come before its publisher hears of the confirm.
      case .delivered(let review, let attempt, isRedelivered: false):
        waiting[Checker.Key(review: review, attempt: attempt), default: 0] -= 1
      case .cancelled(let review, let attempt): waiting[Checker.Key(review: review, attempt: attempt)] = 0
      default: break
      }
    }
    return waiting.filter { $0.value > 0 }.keys.sorted { ($0.review, $0.attempt) < ($1.review, $1.attempt) }
  }

  // MARK: Outages

  /// Whether something is done soon after the broker or the ledger is back, if a review has come that the worker does not have.
  private mutating func checkReturn(at index: Int, _ fault: InjectedFault) {
    let time = entries[index].time
    guard isQuiet(from: fault.time, to: time + RecoveryKind.outage.max, except: fault.time) else { return }
    var waiting: Set<Int> = []
    var open: Set<Int> = []
    for entry in entries[..<index] {
      switch entry.event {
      case .submitted(let review):
        waiting.insert(review)
        open.insert(review)
      case .started(let review, _): waiting.remove(review)
      case .seen(let review, _, let status, _) where Checker.isTerminal(status): open.remove(review)
      default: break
      }
    }
    // Others may wait for a place of their owner, and for a callback that was lost.
    let openByOwner = Dictionary(grouping: scenario.reviews.filter { open.contains($0.number) }, by: \.owner)
    let count = openByOwner.filter { $0.value.count <= scenario.limits[$0.key] }.values.joined()
      .count { waiting.contains($0.number) }
    guard count > 0 else { return }
    let done = entries[(index + 1)...].first { entry in
      switch entry.event {
      case .preparing, .posting, .delivered, .started: true
      default: false
      }
    }
    judge(
      .outage, .boundedRecovery, from: time, to: done?.time,
      "\(count) reviews wait, and nothing is done \(RecoveryKind.outage.max.text) after: \(fault)")
  }
}

extension InjectedFault {
  /// Whether it ends a process of this name.
  fileprivate func ends(_ name: String) -> Bool {
    switch kind {
    case .kill(let place, _), .vanish(let place): name.contains("-\(place)#")
    default: false
    }
  }
}

extension InjectedFault.Kind {
  fileprivate var isKill: Bool {
    if case .kill = self { return true }
    return false
  }
}
