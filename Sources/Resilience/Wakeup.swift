internal import Synchronization

/// A wake-up that coalesces: however often it is called while no task waits, the next wait returns once, immediately.
///
/// Made for a loop that looks at everything there is whenever it is woken, or when its deadline has come:
///
///     while true {
///       try await wakeup.wait(until: .now + pollInterval)
///       try await doAllThereIs()
///     }
///
/// A wake that arrives while the loop works is remembered, so nothing that happened since is missed. Several tasks may
/// wait; one wake resumes all of them.
public final class Wakeup: Sendable {
  private struct State {
    var isPending = false
    var nextID: UInt64 = 0
    var waiters: [UInt64: CheckedContinuation<Bool, any Error>] = [:]
  }

  /// Of the deadlines.
  public let clock: any MonotonicClock
  private let state = Mutex(State())

  /// Creates one that was not woken yet.
  /// - Parameter clock: of the deadlines.
  public init(clock: any MonotonicClock = ContinuousClock()) { self.clock = clock }

  /// Resumes all waiting tasks; if there are none, the next wait returns at once.
  public func wake() {
    let woken = state.withLock { state in
      guard !state.waiters.isEmpty else {
        state.isPending = true
        return [CheckedContinuation<Bool, any Error>]()
      }
      defer { state.waiters.removeAll() }
      // In the order in which they began to wait.
      return state.waiters.sorted { $0.key < $1.key }.map(\.value)
    }
    for waiter in woken { waiter.resume(returning: true) }
  }

  /// Waits for a wake, or for a deadline.
  /// - Parameter deadline: when to give up; `nil` waits indefinitely. A wake remembered from before wins over a deadline that
  ///   has passed.
  /// - Returns: whether it was woken; false when the deadline came first.
  /// - Throws: `CancellationError`; a wake remembered from before stays remembered.
  @discardableResult
  public func wait(until deadline: ContinuousClock.Instant?) async throws -> Bool {
    let id = state.withLock { state in
      defer { state.nextID += 1 }
      return state.nextID
    }
    let timer = deadline.flatMap { deadline in
      deadline <= clock.now ? nil : Task.detachedOnSameExecutor { await self.expire(id, at: deadline) }
    }
    defer { timer?.cancel() }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        register(id, continuation, deadline: deadline)
      }
    } onCancel: {
      take(id)?.resume(throwing: CancellationError())
    }
  }

  /// Adds a waiter, or answers it at once. The task's flag is read under the lock: a cancellation either sees the waiter
  /// or is seen here. The deadline is looked at here as well, as the timer may have fired before the waiter was there.
  private func register(
    _ id: UInt64, _ continuation: CheckedContinuation<Bool, any Error>, deadline: ContinuousClock.Instant?
  ) {
    let answer: Result<Bool, any Error>? = state.withLock { state in
      if Task.isCancelled { return .failure(CancellationError()) }
      if state.isPending {
        state.isPending = false
        return .success(true)
      }
      if let deadline, deadline <= clock.now { return .success(false) }
      state.waiters[id] = continuation
      return nil
    }
    if let answer { continuation.resume(with: answer) }
  }

  private func expire(_ id: UInt64, at deadline: ContinuousClock.Instant) async {
    guard (try? await clock.sleep(until: deadline, tolerance: nil)) != nil else { return }
    take(id)?.resume(returning: false)
  }

  private func take(_ id: UInt64) -> CheckedContinuation<Bool, any Error>? {
    state.withLock { $0.waiters.removeValue(forKey: id) }
  }
}
