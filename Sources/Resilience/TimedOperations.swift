public import Synchronization

/// Runs operations that are cancelled at their deadline, or when the phase that each is meant for is over; one timer for all of them.
///
/// For many tasks that each have a deadline which hardly ever comes: a sleep of its own for each would leave as many timers behind. An
/// operation runs in one task; racing it against a second one, which sleeps, costs three times as much.
///
/// Inlinable, as is ``Batcher``: each review passes through both, and code that is not specialised for its types looks them up each time.
public final class TimedOperations<Phase: Comparable & Sendable>: Sendable {
  /// Why an operation was cancelled.
  public enum Cancellation: Sendable, Equatable {
    /// Its deadline has come.
    case deadline
    /// The phase has come that ends it.
    case phase
    /// The caller's task was cancelled.
    case caller
  }

  @usableFromInline
  struct Operation: Sendable {
    @usableFromInline var deadline: ContinuousClock.Instant?
    @usableFromInline var phase: Phase?
    @usableFromInline var cancel: @Sendable () -> Void
    @usableFromInline var cancellation: Cancellation?

    @inlinable
    init(deadline: ContinuousClock.Instant?, phase: Phase?, cancel: @escaping @Sendable () -> Void) {
      self.deadline = deadline
      self.phase = phase
      self.cancel = cancel
    }
  }

  @usableFromInline
  struct State: Sendable {
    @usableFromInline var phase: Phase
    @usableFromInline var operations: [UInt64: Operation] = [:]
    @usableFromInline var nextID: UInt64 = 0
    /// When the timer looks next; nil while none runs.
    @usableFromInline var timer: ContinuousClock.Instant?

    @inlinable
    init(phase: Phase) { self.phase = phase }

    /// Notes that operations are cancelled, unless they are already.
    /// - Returns: what cancels them.
    @inlinable
    mutating func cancel(
      _ reason: Cancellation, where isMeant: (Operation) -> Bool
    ) -> [@Sendable () -> Void] {
      let ids = operations.filter { $0.value.cancellation == nil && isMeant($0.value) }.keys.sorted()
      for id in ids { operations[id]?.cancellation = reason }
      return ids.compactMap { operations[$0]?.cancel }
    }
  }

  @usableFromInline let clock: any MonotonicClock
  @usableFromInline let state: Mutex<State>

  /// - Parameters:
  ///   - phase: the first one.
  ///   - clock: of the deadlines.
  @inlinable
  public init(_ phase: Phase, clock: any MonotonicClock = ContinuousClock()) {
    self.clock = clock
    state = Mutex(State(phase: phase))
  }

  /// The present phase.
  @inlinable
  public var phase: Phase { state.withLock { $0.phase } }

  /// How many run.
  var count: Int { state.withLock { $0.operations.count } }

  /// Goes on to a later phase, and cancels the operations that end with it; an earlier one changes nothing.
  @inlinable
  public func enter(_ phase: Phase) {
    let cancels = state.withLock { state in
      state.phase = max(state.phase, phase)
      let present = state.phase
      return state.cancel(.phase) { operation in operation.phase.map { $0 <= present } ?? false }
    }
    for cancel in cancels { cancel() }
  }

  /// Runs an operation, which is cancelled at the deadline, when the phase has come, or with the caller.
  /// - Parameters:
  ///   - deadline: when it is cancelled; nil for none.
  ///   - phase: at which it is cancelled; nil for none.
  ///   - isComputing: whether it runs on the cooperative pool, whatever executor the caller's task prefers.
  ///   - operation: ends soon after it is cancelled.
  /// - Returns: its result, also if it was cancelled; and why it was, nil if it was not.
  @inlinable
  public func run<Result: Sendable>(
    until deadline: ContinuousClock.Instant?, orPhase phase: Phase?, isComputing: Bool = false,
    _ operation: @escaping @Sendable () async -> Result
  ) async -> (result: Result, cancellation: Cancellation?) {
    let task = isComputing ? Task.onCooperativePool(operation) : Task.onSameExecutor(operation)
    let id = add(Operation(deadline: deadline, phase: phase, cancel: { task.cancel() }))
    let result = await withTaskCancellationHandler {
      await task.value
    } onCancel: {
      cancel(id, .caller)
    }
    return (result, state.withLock { $0.operations.removeValue(forKey: id) }?.cancellation)
  }

  @inlinable
  func cancel(_ id: UInt64, _ reason: Cancellation) {
    let cancel = state.withLock { state -> (@Sendable () -> Void)? in
      guard let operation = state.operations[id], operation.cancellation == nil else { return nil }
      state.operations[id]?.cancellation = reason
      return operation.cancel
    }
    cancel?()
  }

  @inlinable
  func add(_ operation: Operation) -> UInt64 {
    let (id, isTooLate, timer) = state.withLock { state -> (UInt64, Bool, ContinuousClock.Instant?) in
      let id = state.nextID
      state.nextID += 1
      state.operations[id] = operation
      let isTooLate = operation.phase.map { $0 <= state.phase } ?? false
      guard let deadline = operation.deadline, state.timer.map({ deadline < $0 }) ?? true else {
        return (id, isTooLate, nil)
      }
      state.timer = deadline
      return (id, isTooLate, deadline)
    }
    if isTooLate { cancel(id, .phase) }
    // The timer belongs to no single caller.
    if let timer { Task.detachedOnSameExecutor { await self.expire(from: timer) } }
    return id
  }

  /// Sleeps until the earliest deadline, again and again while there is one. An earlier deadline that comes in the meantime has a timer of
  /// its own, and this one ends.
  @inlinable
  func expire(from first: ContinuousClock.Instant) async {
    var next = first
    while true {
      try? await clock.sleep(until: next, tolerance: nil)
      let now = clock.now
      let (cancels, following) = state.withLock { state -> ([@Sendable () -> Void], ContinuousClock.Instant?) in
        let cancels = state.cancel(.deadline) { operation in operation.deadline.map { $0 <= now } ?? false }
        guard state.timer == next else { return (cancels, nil) }
        state.timer = state.operations.values.compactMap { $0.cancellation == nil ? $0.deadline : nil }.min()
        return (cancels, state.timer)
      }
      for cancel in cancels { cancel() }
      guard let following else { return }
      next = following
    }
  }
}
