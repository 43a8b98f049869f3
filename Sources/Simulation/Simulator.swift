/// Runs scenarios, one after another, in this process.
package enum Simulator {
  /// Takes over this process: every task, clock and random number in it belongs to the simulation from now on. To be called before any
  /// task is made.
  package static func install() { Scheduler.install() }

  /// A run, and what is to be said about it.
  package struct Outcome: Sendable {
    package var scenario: Scenario
    package var violations: [Violation]
    fileprivate var entries: [HistoryEntry]
    /// What happened, a line for each event.
    package var history: [String] { entries.map(\.description) }
    /// How much virtual time it took.
    package var duration: Duration
    /// How many jobs ran.
    package var jobCount: Int
    /// How long recoveries took, if nothing else went wrong.
    package var recoveries: [RecoveryKind: [Duration]]
    /// Second starts at a worker that is not idempotent, which Baton could not know of.
    package var secondStartCount: Int
    package var reviewCount: Int
    package var faultCount: Int
  }

  /// Runs one scenario to its end.
  package static func run(_ scenario: Scenario) -> Outcome {
    let scheduler = Scheduler.shared
    scheduler.reset(seed: scenario.seed)
    let world = World(scenario)
    world.begin()
    scheduler.run(jobMax: jobMax) { world.isDone }
    let entries = world.recorder.entries
    guard world.isDone else { return restless(scenario, entries) }
    let checker = Checker.checked(scenario, entries)
    let recovery = RecoveryChecker(scenario, entries)
    return Outcome(
      scenario: scenario, violations: checker.violations + recovery.violations, entries: entries,
      duration: scheduler.elapsed, jobCount: scheduler.jobCount, recoveries: recovery.recoveries,
      secondStartCount: checker.secondStarts, reviewCount: scenario.reviews.count, faultCount: scenario.faults.count)
  }

  /// More jobs than a run ever has.
  private static let jobMax = 1_000_000

  /// A run without an end: something is repeated without a pause, or waits for what never comes.
  private static func restless(_ scenario: Scenario, _ entries: [HistoryEntry]) -> Outcome {
    let (time, count) = (Scheduler.shared.elapsed, Scheduler.shared.jobCount)
    let violation = Violation(invariant: .rest, time: time, text: "after \(count) jobs it has not ended")
    return Outcome(
      scenario: scenario, violations: [violation], entries: entries, duration: time, jobCount: count, recoveries: [:],
      secondStartCount: 0, reviewCount: scenario.reviews.count, faultCount: scenario.faults.count)
  }

  /// The smallest scenario that still violates the same invariant: fewer faults, operations and reviews.
  package static func shrink(_ failed: Outcome) -> Outcome {
    guard let invariant = failed.violations.first?.invariant else { return failed }
    var smallest = failed
    var isSmaller = true
    while isSmaller {
      isSmaller = false
      for candidate in smallest.scenario.smaller {
        let outcome = run(candidate)
        guard outcome.violations.contains(where: { $0.invariant == invariant }) else { continue }
        smallest = outcome
        isSmaller = true
        break
      }
    }
    return smallest
  }
}

extension Scenario {
  /// Scenarios with something left out, the larger parts first.
  fileprivate var smaller: [Scenario] {
    smaller(\.faults) + smaller(\.operations) + smaller(\.reviews)
  }

  private func smaller<Element>(_ part: WritableKeyPath<Scenario, [Element]>) -> [Scenario] {
    let count = self[keyPath: part].count
    guard count > 0 else { return [] }
    var sizes: [Int] = []
    var size = max(1, count / 2)
    while size > 1 {
      sizes.append(size)
      size /= 2
    }
    sizes.append(1)
    return sizes.flatMap { size in
      stride(from: 0, to: count, by: size).map { start in
        var scenario = self
        scenario[keyPath: part].removeSubrange(start..<min(start + size, count))
        return scenario
      }
    }
  }
}
