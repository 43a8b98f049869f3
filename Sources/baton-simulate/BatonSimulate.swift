internal import ArgumentParser
internal import FoundationEssentials
internal import Simulation

/// Runs Baton's real producers, consumers and reapers in one thread, with clocks, chance and faults from a seed, and checks what is promised.
@main
struct BatonSimulate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "baton-simulate",
    abstract: "Simulates Baton's processes with a ledger, a queue and a worker that fail, one seed after another.")

  @Option(help: "The seeds, as FIRST..LAST.")
  var seeds: String?

  @Option(help: "One seed.")
  var seed: UInt64?

  @Flag(help: "Print what happened.")
  var history = false

  @Flag(help: "Print a number that stands for everything that happened, for each seed.")
  var digest = false

  @Flag(help: "Do not look for a smaller scenario that fails in the same way.")
  var whole = false

  @Flag(help: "End at the first seed that fails.")
  var first = false

  @Option(
    help: "Break something of Baton on purpose: \(PlantedFault.allCases.map(\.rawValue).joined(separator: ", ")).")
  var plant: String?

  func run() throws {
    let range = try range()
    Simulator.install()
    var tally = Tally()
    for seed in range {
      var scenario = Scenario(seed: seed)
      scenario.plantedFault = plant.flatMap { PlantedFault(rawValue: $0) }
      let outcome = Simulator.run(scenario)
      tally.take(outcome)
      if digest { print("\(seed) \(outcome.digest)") }
      if !outcome.violations.isEmpty { report(outcome) } else if history { print(outcome.text) }
      if first, !outcome.violations.isEmpty { break }
    }
    for recovery in RecoveryKind.allCases {
      let times = tally.recoveries[recovery, default: []]
      print("recoveries \(recovery):" + times.map { " \(Int($0 / .milliseconds(1)))" }.joined())
    }
    print(tally.line)
    if !tally.failed.isEmpty { throw ExitCode(1) }
  }

  private func range() throws -> ClosedRange<UInt64> {
    if let seed { return seed...seed }
    let ends = (seeds ?? "").split(separator: ".", omittingEmptySubsequences: true).compactMap { UInt64($0) }
    guard ends.count == 2, ends[0] <= ends[1] else { throw ValidationError("give --seed N or --seeds FIRST..LAST") }
    return ends[0]...ends[1]
  }

  private func report(_ outcome: Simulator.Outcome) {
    let shown = whole ? outcome : Simulator.shrink(outcome)
    print("seed \(outcome.scenario.seed) fails:")
    for violation in outcome.violations { print("  \(violation)") }
    guard history else { return }
    if !whole {
      print("with \(shown.reviewCount) reviews and \(shown.faultCount) faults:")
      for violation in shown.violations { print("  \(violation)") }
    }
    print(shown.text)
  }
}

/// What all seeds amount to.
private struct Tally {
  var seeds = 0
  var reviews = 0
  var faults = 0
  var jobs = 0
  var duration: Duration = .zero
  var failed: [UInt64] = []
  /// In milliseconds when they are printed.
  var recoveries: [RecoveryKind: [Duration]] = [:]
  var secondStarts = 0

  mutating func take(_ outcome: Simulator.Outcome) {
    seeds += 1
    reviews += outcome.reviewCount
    faults += outcome.faultCount
    jobs += outcome.jobCount
    duration += outcome.duration
    recoveries.merge(outcome.recoveries, uniquingKeysWith: +)
    secondStarts += outcome.secondStartCount
    if !outcome.violations.isEmpty { failed.append(outcome.scenario.seed) }
  }

  var line: String {
    let figures =
      """
      \(seeds) seeds, \(reviews) reviews, \(faults) faults, \(Int(duration / .seconds(1))) s of virtual time, \(jobs) jobs, \
      \(secondStarts) second starts that only an idempotent worker prevents
      """
    return failed.isEmpty
      ? "\(figures): nothing violated"
      : "\(figures): \(failed.count) seeds fail: \(failed.map { "\($0)" }.joined(separator: " "))"
  }
}

extension Simulator.Outcome {
  fileprivate var text: String { history.joined(separator: "\n") }

  /// FNV-1a over the history.
  fileprivate var digest: String {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return "\(String(hash, radix: 16)) \(jobCount)"
  }
}
