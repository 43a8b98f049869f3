internal import Synchronization

/// Runs operations that are cancelled at their deadline, or when the stage that each is meant for is over; one timer for all of them.
///
/// For many tasks that each have a deadline which hardly ever comes: a sleep of its own for each would leave as many timers behind. An
/// operation runs in one task; racing it against a second one, which sleeps, costs three times as much.
public final class TimedOperations<Stage: Comparable & Sendable>: Sendable {
  /// Why an operation was cancelled.
  public enum Cancellation: Sendable, Equatable {
    /// Its deadline has come.
    case deadline
    /// The stage has come that ends it.
    case stage
    /// The caller's task was cancelled.
    case caller
  }

  private struct Operation {
    var deadline: ContinuousClock.Instant?
    var stage: Stage?
    var cancel: @Sendable () -> Void
    var cancellation: Cancellation?
  }

  private struct State {
    var stage: Stage
    var operations: [UInt64: Operation] = [:]
    var nextID: UInt64 = 0
    /// When the timer looks next; nil while none runs.
    var timer: ContinuousClock.Instant?

    /// Notes that operations are cancelled, unless they are already.
    /// - Returns: what cancels them.
    mutating func cancel(
      _ reason: Cancellation, where isMeant: (Operation) -> Bool
    ) -> [@Sendable () -> Void] {
      let ids = operations.filter { $0.value.cancellation == nil && isMeant($0.value) }.keys.sorted()
      for id in ids { operations[id]?.cancellation = reason }
      return ids.compactMap { operations[$0]?.cancel }
    }
  }

  private let clock: any MonotonicClock
  private let state: Mutex<State>

  /// - Parameters:
  ///   - stage: the first one.
  ///   - clock: of the deadlines.
  public init(_ stage: Stage, clock: any MonotonicClock = ContinuousClock()) {
    self.clock = clock
    state = Mutex(State(stage: stage))
  }

  /// The present stage.
  public var stage: Stage { state.withLock { $0.stage } }

  /// How many run.
  var count: Int { state.withLock { $0.operations.count } }

  /// Goes on to a later stage, and cancels the operations that end with it; an earlier one changes nothing.
  public func enter(_ stage: Stage) {
    let cancels = state.withLock { state in
      state.stage = max(state.stage, stage)
      let present = state.stage
      return state.cancel(.stage) { operation in operation.stage.map { $0 <= present } ?? false }
    }
    for cancel in cancels { cancel() }
  }

  /// Runs an operation, which is cancelled at the deadline, when the stage has come, or with the caller.
  /// - Returns: its result, also if it was cancelled; and why it was, nil if it was not.
  public func run<Result: Sendable>(
    until deadline: ContinuousClock.Instant?, orStage stage: Stage?,
    _ operation: @escaping @Sendable () async -> Result
  ) async -> (result: Result, cancellation: Cancellation?) {
    let task = Task.onSameExecutor(operation)
    let id = add(Operation(deadline: deadline, stage: stage, cancel: { task.cancel() }))
    let result = await withTaskCancellationHandler {
      await task.value
    } onCancel: {
      cancel(id, .caller)
    }
    return (result, state.withLock { $0.operations.removeValue(forKey: id) }?.cancellation)
  }

  private func cancel(_ id: UInt64, _ reason: Cancellation) {
    let cancel = state.withLock { state -> (@Sendable () -> Void)? in
      guard let operation = state.operations[id], operation.cancellation == nil else { return nil }
      state.operations[id]?.cancellation = reason
      return operation.cancel
    }
    cancel?()
  }

  private func add(_ operation: Operation) -> UInt64 {
    let (id, isTooLate, timer) = state.withLock { state -> (UInt64, Bool, ContinuousClock.Instant?) in
      let id = state.nextID
      state.nextID += 1
      state.operations[id] = operation
      let isTooLate = operation.stage.map { $0 <= state.stage } ?? false
      guard let deadline = operation.deadline, state.timer.map({ deadline < $0 }) ?? true else {
        return (id, isTooLate, nil)
      }
      state.timer = deadline
      return (id, isTooLate, deadline)
    }
    if isTooLate { cancel(id, .stage) }
    // The timer belongs to no single caller.
    if let timer { Task.detachedOnSameExecutor { await self.expire(from: timer) } }
    return id
  }

  /// Sleeps until the earliest deadline, again and again while there is one. An earlier deadline that comes in the meantime has a timer of
  /// its own, and this one ends.
  private func expire(from first: ContinuousClock.Instant) async {
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
