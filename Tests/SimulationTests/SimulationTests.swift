internal import Testing

/// The simulator: real producers, consumers and reapers in one thread, with time, chance and faults from a seed.
@Suite("Simulation") struct SimulationTests {
  @Test("the same seeds give the same history, twice, in two processes") func sameSeedSameHistory() async throws {
    let first = try await SimulatorProcess.run("--seeds", "0..26", "--digest")
    let second = try await SimulatorProcess.run("--seeds", "0..26", "--digest")
    #expect(first.output == second.output)
    let lines = first.output.split(separator: "\n").prefix(27)
    #expect(Set(lines.map { $0.split(separator: " ")[1] }).count == 27, "another seed gives another history")
  }

  @Test("nothing is violated in fifty-four worlds, six of each pattern of faults") func manySeeds() async throws {
    let result = try await SimulatorProcess.run("--seeds", "1000..1053")
    #expect(result.status == 0, "\(result.output)")
  }

  @Test(
    "worlds in which a promise was broken once keep it now",
    arguments: ["465", "987", "7395", "8414", "8838", "9546", "69632", "558494"])
  func repairedWorld(_ seed: String) async throws {
    let result = try await SimulatorProcess.run("--seeds", "\(seed)..\(seed)")
    #expect(result.status == 0, "\(result.output)")
  }

  @Test(
    "the checker catches what is broken on purpose",
    arguments: [
      ("lose-reviews", "0..44", "I1 nothing lost"), ("post-again", "0..44", "I2 nothing run twice"),
      ("exceed-limits", "0..44", "I3 capacity"), ("acknowledge-early", "0..44", "I4 settlement"),
      ("revive-ended", "0..44", "I5 final is final"), ("no-reaper", "41..41", "I6 bounded recovery"),
      ("stay-silent", "14..14", "I9 no silent consumer"),
    ])
  func plantedFault(_ plant: String, _ seeds: String, _ invariant: String) async throws {
    let result = try await SimulatorProcess.run("--seeds", seeds, "--first", "--whole", "--plant", plant)
    #expect(result.status == 1)
    #expect(result.output.contains(invariant), "\(result.output)")
  }

  @Test("a failing seed is shrunk, and its history printed") func failingSeedIsShrunk() async throws {
    let result = try await SimulatorProcess.run("--seed", "1", "--plant", "acknowledge-early", "--history")
    #expect(result.status == 1)
    #expect(result.output.contains("with 1 reviews and 0 faults:"), "\(result.output.prefix(2_000))")
    #expect(result.output.contains("acknowledged"))
  }
}
