package import Resilience

/// Time and chance, as dispatching uses them: the real ones, or those of a test or a simulation.
package struct DispatchEnvironment: Sendable {
  package var clock: any MonotonicClock
  package var random: RandomSource

  package init(clock: any MonotonicClock = ContinuousClock(), random: RandomSource = RandomSource()) {
    self.clock = clock
    self.random = random
  }

  var now: ContinuousClock.Instant { clock.now }

  func sleep(for duration: Duration) async throws {
    try await clock.sleep(until: clock.now + duration, tolerance: nil)
  }

  func sleep(until instant: ContinuousClock.Instant) async throws {
    try await clock.sleep(until: instant, tolerance: nil)
  }
}
