import Resilience
import Support
import Testing

@Suite("Slow start")
struct SlowStartTests {
  private func target() -> SlowStart { SlowStart(Backoff(base: .seconds(1), max: .seconds(8))) }

  @Test("nothing is limited until something is refused, then one is tried")
  func opening() {
    var pace = target()
    #expect(pace.limit == .max)
    #expect(pace.tried(1_000, accepted: 1_000) == .zero)
    #expect(pace.limit == .max)
    _ = pace.tried(1_000, accepted: 0)
    #expect(pace.limit == 1)
  }

  @Test("what is taken whole doubles, up to no limit")
  func doubling() {
    var pace = target()
    _ = pace.tried(50, accepted: 0)
    var limits: [Int] = []
    while pace.limit != .max {
      #expect(pace.tried(pace.limit, accepted: pace.limit) == .zero)
      limits.append(pace.limit)
    }
    #expect(limits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, .max])
  }

  @Test("waits grow with refusals in a row up to their bound, and are never short of half their ceiling")
  func waits() {
    var pace = target()
    var generator = SeededGenerator(seed: 7)
    for ceiling in [1, 2, 4, 8, 8, 8] {
      let wait = pace.tried(1, accepted: 0, using: &generator)
      #expect(wait >= .seconds(ceiling) / 2 && wait <= .seconds(ceiling))
    }
    _ = pace.tried(1, accepted: 1)
    #expect(pace.tried(2, accepted: 0, using: &generator) <= .seconds(1))
  }

  @Test("of what is taken in part as much is tried next, after the first wait")
  func partly() {
    var pace = target()
    for _ in 1...5 { _ = pace.tried(1, accepted: 0) }
    #expect(pace.tried(100, accepted: 30) <= .seconds(1))
    #expect(pace.limit == 30 && pace.refusals == 0)
  }
}
