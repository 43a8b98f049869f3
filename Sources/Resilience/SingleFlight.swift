internal import Synchronization

/// One call for many callers: a caller that asks for a key while a call for it is in flight gets that call's answer.
///
/// Nothing is cached: an answer or an error goes to all who wait, and the next caller starts a new call. A caller that is
/// cancelled leaves the others their call; when the last one has left, the call is cancelled as well.
public final class SingleFlight<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private struct Flight {
    let number: UInt64
    let task: Task<Void, Never>
    var waiters: [UInt64: CheckedContinuation<Value, any Error>] = [:]
  }

  private struct State {
    var nextNumber: UInt64 = 0
    var flights: [Key: Flight] = [:]

    mutating func makeNumber() -> UInt64 {
      defer { nextNumber += 1 }
      return nextNumber
    }
  }

  private let state = Mutex(State())

  /// Creates one with no call in flight.
  public init() {}

  /// How many keys have a call in flight.
  public var flightCount: Int { state.withLock { $0.flights.count } }

  /// How many callers wait for a key.
  public func waiterCount(for key: Key) -> Int {
    state.withLock { $0.flights[key]?.waiters.count ?? 0 }
  }

  /// Joins the key's call in flight, or starts one.
  /// - Parameters:
  ///   - key: what is called for.
  ///   - call: runs in a task of its own, without the caller's task-local values; unused when one is in flight.
  /// - Throws: what the call throws, or `CancellationError` for this caller alone.
  public func run(_ key: Key, _ call: @escaping @Sendable () async throws -> Value) async throws -> Value {
    let id = state.withLock { $0.makeNumber() }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        join(key, id, continuation, call)
      }
    } onCancel: {
      leave(key, id)
    }
  }

  /// The task's flag is read under the lock: a cancellation either finds the waiter or is seen here.
  private func join(
    _ key: Key, _ id: UInt64, _ continuation: CheckedContinuation<Value, any Error>,
    _ call: @escaping @Sendable () async throws -> Value
  ) {
    let isCancelled = state.withLock { state in
      if Task.isCancelled { return true }
      if state.flights[key] == nil { state.flights[key] = start(key, state.makeNumber(), call) }
      state.flights[key]?.waiters[id] = continuation
      return false
    }
    if isCancelled { continuation.resume(throwing: CancellationError()) }
  }

  /// Called under the lock, so the task's `finish` cannot come before the flight is in the table.
  private func start(_ key: Key, _ number: UInt64, _ call: @escaping @Sendable () async throws -> Value) -> Flight {
    let task = Task.detachedOnSameExecutor {
      do {
        self.finish(key, number, .success(try await call()))
      } catch {
        self.finish(key, number, .failure(error))
      }
    }
    return Flight(number: number, task: task)
  }

  private func finish(_ key: Key, _ number: UInt64, _ result: Result<Value, any Error>) {
    let waiters = state.withLock { state -> [CheckedContinuation<Value, any Error>] in
      // A call that all have left is no longer in the table, and another may have taken its place.
      guard let flight = state.flights[key], flight.number == number else { return [] }
      state.flights[key] = nil
      return flight.waiters.sorted { $0.key < $1.key }.map(\.value)
    }
    for waiter in waiters { waiter.resume(with: result) }
  }

  private func leave(_ key: Key, _ id: UInt64) {
    let (waiter, abandoned) = state.withLock {
      state -> (CheckedContinuation<Value, any Error>?, Task<Void, Never>?) in
      guard let waiter = state.flights[key]?.waiters.removeValue(forKey: id) else { return (nil, nil) }
      guard let flight = state.flights[key], flight.waiters.isEmpty else { return (waiter, nil) }
      state.flights[key] = nil
      return (waiter, flight.task)
    }
    waiter?.resume(throwing: CancellationError())
    abandoned?.cancel()
  }
}
