internal import Resilience

/// The monotonic clock of every simulated process: it shows the scheduler's time.
struct SimulatedClock: MonotonicClock {
  typealias Instant = ContinuousClock.Instant

  private let scheduler: Scheduler
  /// What the scheduler's first instant is called.
  private let start: Instant

  init(_ scheduler: Scheduler) {
    self.scheduler = scheduler
    start = ContinuousClock.now.advanced(by: .zero - scheduler.elapsed)
  }

  var now: Instant { start.advanced(by: scheduler.elapsed) }
  var minimumResolution: Duration { .nanoseconds(1) }

  func sleep(until deadline: Instant, tolerance: Duration?) async throws {
    try await scheduler.sleep(for: now.duration(to: deadline))
  }
}
