package import Resilience

/// Time, chance and threads, as dispatching uses them: the real ones, or those of a test or a simulation.
package struct DispatchEnvironment: Sendable {
  package var clock: any MonotonicClock
  package var random: RandomSource

  /// Where claims and deliveries are worked on; nil for where their service runs. A preparation computes: it uses the cooperative pool unless it
  /// is the only one.
  package var executor: (any TaskExecutor)?

  package init(
    clock: any MonotonicClock = ContinuousClock(), random: RandomSource = RandomSource(),
    executor: (any TaskExecutor)? = nil
  ) {
    self.clock = clock
    self.random = random
    self.executor = executor
  }

  var now: ContinuousClock.Instant { clock.now }

  func sleep(for duration: Duration) async throws {
    try await clock.sleep(until: clock.now + duration, tolerance: nil)
  }

  func sleep(until instant: ContinuousClock.Instant) async throws {
    try await clock.sleep(until: instant, tolerance: nil)
  }
}
