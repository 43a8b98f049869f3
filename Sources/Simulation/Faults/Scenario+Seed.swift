// What a seed stands for.
extension Scenario {
  /// Which faults a run has. Kinds of worlds, so that each fault is also met alone: then the strictest times are checked.
  private enum FaultPattern: CaseIterable {
    case calm, kills, zombies, cuts, ledger, broker, worker, operators, storm
  }

  package init(seed: UInt64) {
    var generator = SeededGenerator(seed: seed, stream: 2)
    let pattern = FaultPattern.allCases[Int(seed % UInt64(FaultPattern.allCases.count))]
    self.seed = seed
    producers = 1 + generator.below(2)
    consumers = 2 + generator.below(2)
    reapers = 1 + generator.below(2)
    prefetch = generator.element(of: [2, 4, 16])
    let owners = 1 + generator.below(4)
    limits = (0..<owners).map { _ in generator.element(of: [1, 2, 3, 10]) }
    worker = Self.rates(pattern, &generator)
    let span = Duration.seconds(4 + generator.below(8))
    let places = producers + consumers + reapers
    skews = (0..<places).map { _ in generator.chance(0.3) ? generator.duration(.seconds(-600) ... .seconds(600)) : .zero
    }
    reviews = (0..<10 + generator.below(20)).map { number in
      PlannedReview(
        number: number, time: generator.duration(.zero...span), owner: generator.below(owners),
        pullRequest: pattern == .operators || pattern == .storm ? generator.below(12) : number,
        priority: generator.chance(0.2) ? 5 : 0, preparation: generator.duration(.milliseconds(20) ... .seconds(3)),
        run: generator.duration(.milliseconds(200) ... .seconds(4)))
    }
    operations = []
    faults = []
    addHopeless(pattern)
    addOperations(pattern, span, &generator)
    addFaults(pattern, span, &generator)
    addCallbackFaults(pattern, span)
    if pattern == .calm, seed / 9 % 4 == 3 { addCrowd() }
    if pattern == .worker, seed / 9 % 4 == 2 { addLateStarts() }
    faults.sort { $0.time < $1.time }
  }

  private static func rates(_ pattern: FaultPattern, _ generator: inout SeededGenerator) -> WorkerRates {
    var rates = WorkerRates()
    switch pattern {
    case .calm, .kills, .zombies, .cuts, .ledger, .broker: return rates
    case .worker:
      rates.unavailable = 0.05
      rates.ambiguousBefore = 0.1
      rates.ambiguousAfter = 0.1
      rates.late = 0.05
      rates.throttled = 0.03
      rates.refused = 0.03
      rates.again = 0.03
      rates.preparationFails = 0.1
      rates.runFails = 0.1
    case .operators, .storm:
      rates.ambiguousAfter = 0.05
      rates.late = 0.03
      rates.preparationFails = 0.03
      rates.runFails = 0.05
    }
    rates.callbackLost = generator.element(of: [0, 0.1, 0.3])
    rates.callbackDoubled = 0.1
    rates.callbackLate = 0.1
    return rates
  }

  /// In a third of the worlds whose worker fails, one review can never be prepared. Drawn apart from everything else.
  private mutating func addHopeless(_ pattern: FaultPattern) {
    var generator = SeededGenerator(seed: seed, stream: 5)
    guard pattern == .worker, generator.chance(0.34) else { return }
    reviews[generator.below(reviews.count)].isHopeless = true
  }

  /// In some worlds the worker is not idempotent; in some it gets no answer to its callbacks. Drawn apart from everything else.
  private mutating func addCallbackFaults(_ pattern: FaultPattern, _ span: Duration) {
    var generator = SeededGenerator(seed: seed, stream: 6)
    isWorkerIdempotent = !generator.chance(0.25)
    guard pattern == .worker || pattern == .storm, generator.chance(0.3) else { return }
    let time = generator.duration(.seconds(1)...span)
    faults.append(
      InjectedFault(time: time, kind: .callbackAnswersLost, duration: generator.duration(.seconds(1) ... .seconds(20))))
  }

  /// Many starts arrive after their callers have given up, and the next ones are refused; each owner has room for one review (I3).
  private mutating func addLateStarts() {
    limits = limits.map { _ in 1 }
    worker.late = 0.25
    worker.throttled = 0.2
    worker.preparationFails = 0.2
  }

  /// One owner has more reviews than the queue may hold, and a high limit; each other owner has one now and then (I7).
  private mutating func addCrowd() {
    var generator = SeededGenerator(seed: seed, stream: 7)
    limits = [100] + (0..<3).map { _ in generator.element(of: [1, 2, 10]) }
    prefetch = 4
    reviews = (0..<70).map { number in
      let isCrowd = number < 60
      return PlannedReview(
        number: number, time: isCrowd ? .milliseconds(number) : generator.duration(.milliseconds(100) ... .seconds(2)),
        owner: isCrowd ? 0 : 1 + generator.below(3), pullRequest: number, priority: 0,
        preparation: generator.duration(.milliseconds(100) ... .milliseconds(400)), run: .milliseconds(200))
    }
  }

  private mutating func addOperations(_ pattern: FaultPattern, _ span: Duration, _ generator: inout SeededGenerator) {
    guard pattern == .operators || pattern == .storm else { return }
    for _ in 0..<3 + generator.below(6) {
      let time = generator.duration(.seconds(1)...span + .seconds(10))
      let review = generator.below(reviews.count)
      let owner = generator.below(limits.count)
      let kind: Operation.Kind =
        switch generator.below(6) {
        case 0, 1: .cancel(review: review)
        case 2, 3: .retry(review: review)
        case 4: .pause(owner: owner, for: generator.duration(.seconds(1) ... .seconds(8)))
        default: .limit(owner: owner, to: 1 + generator.below(5))
        }
      operations.append(Operation(time: time, kind: kind))
    }
    operations.sort { $0.time < $1.time }
  }

  private mutating func addFaults(_ pattern: FaultPattern, _ span: Duration, _ generator: inout SeededGenerator) {
    if let kind = loneFault(pattern, &generator) {
      let time = generator.duration(.seconds(2)...span)
      return faults = [InjectedFault(time: time, kind: kind, duration: duration(ofLone: kind, &generator))]
    }
    let count: Int
    switch pattern {
    case .calm, .operators: return
    case .kills, .zombies, .cuts, .ledger, .broker, .worker: count = 1 + generator.below(3)
    case .storm: count = 3 + generator.below(6)
    }
    for _ in 0..<count {
      let time = generator.duration(.seconds(1)...span + .seconds(6))
      faults.append(fault(pattern, at: time, &generator))
    }
  }

  /// In some worlds, the only fault, met while tickets wait in the queue: then the strictest times are checked.
  private mutating func loneFault(_ pattern: FaultPattern, _ generator: inout SeededGenerator) -> InjectedFault.Kind? {
    let kind: InjectedFault.Kind
    switch (pattern, seed / 9 % 4) {
    case (.kills, 0), (.kills, 2): kind = .kill(generator.below(producers + consumers), afterJobs: generator.below(60))
    case (.broker, 0): kind = .queuePurged
    case (.broker, 1): kind = .deliveriesStalled
    case (.broker, 2): kind = .queueDeleted
    case (.broker, 3): kind = .brokerAway
    case (.ledger, 0): kind = .ledgerAway
    case (.zombies, 0): kind = .vanish(producers + generator.below(consumers))
    default: return nil
    }
    prefetch = kind.endsProcess ? 4 : 2
    limits = limits.map { _ in 10 }
    reviews = reviews.map { review in
      var review = review
      review.preparation += .seconds(1)
      return review
    }
    return kind
  }

  private func duration(ofLone kind: InjectedFault.Kind, _ generator: inout SeededGenerator) -> Duration {
    switch kind {
    case .kill, .vanish: .seconds(2)
    case .brokerAway, .ledgerAway: generator.duration(.seconds(1) ... .seconds(30))
    default: .zero
    }
  }

  private func fault(_ pattern: FaultPattern, at time: Duration, _ generator: inout SeededGenerator) -> InjectedFault {
    func lasting(_ kind: InjectedFault.Kind, _ range: ClosedRange<Duration>) -> InjectedFault {
      InjectedFault(time: time, kind: kind, duration: generator.duration(range))
    }
    let place = generator.below(producers + consumers + reapers)
    switch pattern {
    case .calm, .operators, .kills:
      if generator.chance(0.2) { return lasting(.stop(place), .seconds(1) ... .seconds(2)) }
      return lasting(.kill(place, afterJobs: generator.below(120)), .milliseconds(200) ... .seconds(8))
    case .zombies:
      return lasting(.pause(place), generator.chance(0.5) ? .seconds(1) ... .seconds(8) : .seconds(16) ... .seconds(90))
    case .cuts:
      let link = generator.element(of: InjectedFault.Link.allCases)
      let direction = generator.element(of: InjectedFault.Direction.allCases)
      return lasting(.cut(place, link, direction), .milliseconds(500) ... .seconds(40))
    case .ledger:
      let kind = generator.element(of: [
        .ledgerAway, .ledgerBusy, .ledgerStalled, InjectedFault.Kind.rowLocked(generator.below(reviews.count)),
      ])
      return lasting(kind, .milliseconds(500) ... .seconds(30))
    case .broker:
      let kind = generator.element(of: [
        InjectedFault.Kind.brokerAway, .brokerBlocked, .publishesRefused, .publishesReturned, .confirmsLost,
      ])
      let instant = generator.element(of: [InjectedFault.Kind.queuePurged, .queueDeleted, .deliveriesStalled])
      return generator.chance(0.5)
        ? lasting(kind, .milliseconds(500) ... .seconds(20)) : lasting(instant, .zero ... .zero)
    case .worker:
      let kind = generator.element(of: [
        InjectedFault.Kind.workerAway, .workerSlow, .workerHidden, .workerThrottles, .callbacksLost,
      ])
      return lasting(kind, .seconds(1) ... .seconds(20))
    case .storm:
      let other = generator.element(of: [FaultPattern.kills, .kills, .zombies, .cuts, .ledger, .broker, .worker])
      return fault(other, at: time, &generator)
    }
  }
}

extension InjectedFault.Kind {
  fileprivate var endsProcess: Bool {
    switch self {
    case .kill, .vanish: true
    default: false
    }
  }
}
