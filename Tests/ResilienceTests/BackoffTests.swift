import Resilience
import Support
import Testing

@Suite("Backoff")
struct BackoffTests {
  @Test("the ceiling doubles from the base and stops at the maximum")
  func ceilings() {
    let backoff = Backoff(base: .seconds(2), max: .seconds(300))
    let seconds = [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    #expect((0...9).map { backoff.ceiling(attempt: $0) } == seconds.map { .seconds($0) })
  }

  @Test("no attempt overflows", arguments: [Int.min, -1, 0, 62, 63, 64, 200, .max])
  func saturates(attempt: Int) {
    let backoff = Backoff(base: .nanoseconds(1), max: .seconds(Int64.max))
    #expect((.zero ... .seconds(Int64.max)).contains(backoff.delay(attempt: attempt)))
    #expect(Backoff(base: .seconds(1), max: .seconds(10)).delay(attempt: attempt) <= .seconds(10))
  }

  @Test("a wait may be anything from zero to its ceiling, both ends included")
  func jitterSpan() {
    let backoff = Backoff(base: .seconds(1), max: .seconds(60))
    var generator = SeededGenerator(seed: 1)
    let delays = (0..<2000).map { _ in backoff.delay(attempt: 3, using: &generator) }
    #expect(delays.allSatisfy { (.zero ... .seconds(8)).contains($0) })
    #expect(delays.contains { $0 < .seconds(1) } && delays.contains { $0 > .seconds(7) })
    var low = Constant(value: 0)
    #expect(backoff.delay(attempt: 3, using: &low) == .zero)
    var high = Constant(value: .max)
    #expect(backoff.delay(attempt: 3, using: &high) == .seconds(8))
  }

  @Test("a base above the maximum, a zero base and negative bounds give what is left")
  func oddBounds() {
    #expect(Backoff(base: .seconds(9), max: .seconds(3)).ceiling(attempt: 0) == .seconds(3))
    #expect(Backoff(base: .zero, max: .seconds(3)).ceiling(attempt: 1000) == .zero)
    #expect(Backoff(base: .seconds(-1), max: .seconds(-1)).delay(attempt: 4) == .zero)
  }

  @Test("half is certain, half is chance")
  func atLeastHalf() {
    let backoff = Backoff(base: .seconds(1), max: .seconds(60))
    var (low, high) = (Constant(value: 0), Constant(value: .max))
    #expect(backoff.atLeastHalf(attempt: 3, using: &low) == .seconds(4))
    #expect(backoff.atLeastHalf(attempt: 3, using: &high) == .seconds(8))
    #expect(backoff.atLeastHalf(attempt: 9, using: &high) == .seconds(60))
    var generator = SeededGenerator(seed: 1)
    let delays = (0..<2000).map { _ in backoff.atLeastHalf(attempt: 3, using: &generator) }
    #expect(delays.allSatisfy { (.seconds(4) ... .seconds(8)).contains($0) })
    #expect(delays.contains { $0 < .milliseconds(4_500) } && delays.contains { $0 > .milliseconds(7_500) })
    let source = RandomSource(SeededGenerator(seed: 2))
    #expect((.seconds(4) ... .seconds(8)).contains(backoff.atLeastHalf(attempt: 3, from: source)))
  }
}
