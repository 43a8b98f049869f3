internal import Resilience
internal import Synchronization

/// A clock that stands still until a test moves it; sleeps end when it has come to their time.
package final class TestClock: MonotonicClock {
  private struct Sleeper {
    var until: ContinuousClock.Instant
    var continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var now = ContinuousClock.now
    var sleepers: [UInt64: Sleeper] = [:]
    var nextID: UInt64 = 0
  }

  private let state = Mutex(State())

  package init() {}

  package var now: ContinuousClock.Instant { state.withLock { $0.now } }
  package var minimumResolution: Duration { .nanoseconds(1) }

  /// How many tasks sleep.
  package var sleeperCount: Int { state.withLock { $0.sleepers.count } }

  package func sleep(until deadline: ContinuousClock.Instant, tolerance: Duration?) async throws {
    let id = state.withLock { state in
      defer { state.nextID += 1 }
      return state.nextID
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let answer: Result<Void, any Error>? = state.withLock { state in
          if Task.isCancelled { return .failure(CancellationError()) }
          if deadline <= state.now { return .success(()) }
          state.sleepers[id] = Sleeper(until: deadline, continuation: continuation)
          return nil
        }
        if let answer { continuation.resume(with: answer) }
      }
    } onCancel: {
      state.withLock { $0.sleepers.removeValue(forKey: id) }?.continuation.resume(throwing: CancellationError())
    }
  }

  /// Moves the clock on, and wakes those whose time has come.
  package func advance(by duration: Duration) {
    let woken = state.withLock { state in
      state.now += duration
      let due = state.sleepers.filter { $0.value.until <= state.now }
        .sorted { ($0.value.until, $0.key) < ($1.value.until, $1.key) }
      for (id, _) in due { state.sleepers[id] = nil }
      return due.map(\.value.continuation)
    }
    for continuation in woken { continuation.resume() }
  }

  /// Moves the clock on, a little at a time, until a condition holds: tasks that wake each other get their turns.
  /// - Throws: ``NeverHappened`` if the clock was moved by the limit.
  package func advance(
    by step: Duration = .milliseconds(100), upTo limit: Duration = .seconds(600), until what: String,
    _ condition: @Sendable () async throws -> Bool
  ) async throws {
    let end = now + limit
    while try await !condition() {
      guard now < end else { throw NeverHappened(what: what) }
      advance(by: step)
      // Tasks that were woken run before the clock goes on.
      for _ in 0..<20 { await Task.yield() }
      try await Task.sleep(for: .microseconds(200))
    }
  }
}
