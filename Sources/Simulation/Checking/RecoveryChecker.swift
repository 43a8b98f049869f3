/// Checks the times of recovery, where nothing else goes wrong at the same time.
struct RecoveryChecker {
  private(set) var violations: [Violation] = []
  /// From the end of a process until a review that it had in its hands was on its way again.
  private(set) var recoveries: [Duration] = []
  private let scenario: Scenario
  private let entries: [Entry]

  /// After the end of a process, at worst.
  static let killMax: Duration = .seconds(15)
  /// After the queue was purged or deleted.
  static let purgeMax: Duration = .seconds(30)
  /// After deliveries have stalled: the consumer notices within 15 s.
  static let stallMax: Duration = .seconds(20)

  init(_ scenario: Scenario, _ entries: [Entry]) {
    self.scenario = scenario
    self.entries = entries
    for (index, entry) in entries.enumerated() {
      switch entry.event {
      case .processEnded(let name): checkEnd(of: name, at: index)
      case .began(let fault) where fault.kind == .queuePurged || fault.kind == .queueDeleted:
        checkDeliveries(.boundedRecovery, Self.purgeMax, at: index, fault)
      case .began(let fault) where fault.kind == .deliveriesStalled:
        checkDeliveries(.noSilentConsumer, Self.stallMax, at: index, fault)
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
      let fault = scenario.faults.last(where: { $0.isKill(of: name) && $0.time <= time }),
      isQuiet(from: fault.time, to: time + Self.killMax, except: fault.time)
    else { return }
    for key in handled(by: process, before: index) {
      recovered(key, of: name, at: time, on: timeOnItsWay(key, after: index, process))
    }
    for key in unpublished(at: time + .milliseconds(1_100)) {
      recovered(key, of: name, at: time, on: timePublished(key, after: index))
    }
  }

  private mutating func recovered(_ key: Checker.Key, of name: String, at time: Duration, on moment: Duration?) {
    if let moment { recoveries.append(moment - time) }
    guard moment.map({ $0 - time > Self.killMax }) ?? true else { return }
    violations.append(
      Violation(
        invariant: .boundedRecovery, time: time,
        text:
          "r\(key.review)/\(key.attempt) was in the hands of \(name), and is not on its way \(Self.killMax.text) later")
    )
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
        .settled(key.review, key.attempt, "acknowledged"), .cancelled(key.review, _), .asked(key.review, _):
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

  private mutating func checkDeliveries(
    _ invariant: Violation.Invariant, _ max: Duration, at index: Int, _ fault: Fault
  ) {
    let time = entries[index].time
    guard isQuiet(from: time, to: time + max, except: fault.time) else { return }
    for key in undelivered(before: index) {
      let isDelivered = entries[(index + 1)...].contains { entry in
        guard entry.time <= time + max else { return false }
        if case .delivered(key.review, key.attempt, _) = entry.event { return true }
        if case .cancelled(key.review, _) = entry.event { return true }
        return false
      }
      guard !isDelivered else { continue }
      violations.append(
        Violation(
          invariant: invariant, time: time,
          text: "the ticket of r\(key.review)/\(key.attempt) is not delivered \(max.text) after: \(fault)"))
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
}

extension Fault {
  /// Whether it ends a process of this name.
  fileprivate func isKill(of name: String) -> Bool {
    if case .kill(let place, _) = kind { return name.contains("-\(place)#") }
    return false
  }
}
