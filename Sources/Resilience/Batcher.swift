public import DequeModule
public import Synchronization

/// Turns single calls into batches, naturally: while `lanes` batches are in flight, inputs collect, and the next batch
/// takes all that have come, up to `maxBatch`. No timer: a lone input starts at once and pays nothing for the batching.
///
/// Inputs go out first in, first out; with more than one lane, batches may overtake each other on their way. Results come
/// back by position. A class with a lock and not an actor: a cancelled caller's input is then withdrawn at once, before its
/// batch can leave. The continuations are unsafe ones, as checked ones would be most of a submit's cost: an entry is taken out of
/// the queue, under the lock, by the code that resumes it, so that each is resumed once.
///
/// Bound: every waiting input is a suspended caller, so the callers' own limit (the prefetch) bounds the queue.
public final class Batcher<Input: Sendable, Output: Sendable>: Sendable {
  @usableFromInline
  struct Entry: Sendable {
    @usableFromInline let input: Input
    @usableFromInline let continuation: UnsafeContinuation<Output, any Error>

    @inlinable
    init(input: Input, continuation: UnsafeContinuation<Output, any Error>) {
      self.input = input
      self.continuation = continuation
    }
  }

  /// The queue's entries are numbered without gaps, so that a cancellation finds its own by subtraction. A withdrawn entry
  /// leaves a `nil`.
  @usableFromInline
  struct State: Sendable {
    @usableFromInline var queue: Deque<Entry?> = []
    @usableFromInline var firstNumber = 1
    @usableFromInline var lanesInFlight = 0

    @inlinable
    init() {}
  }

  @usableFromInline
  enum Step: Sendable { case refuse, startLane, wait }

  /// Where a submit's entry stands: 0 while it is not queued. A class, as the cancellation handler has to see it.
  @usableFromInline
  final class Place: Sendable {
    @usableFromInline let number = Atomic(0)

    @inlinable
    init() {}
  }

  @usableFromInline let maxBatch: Int
  @usableFromInline let lanes: Int
  @usableFromInline let run: @Sendable ([Input]) async -> [Result<Output, any Error>]
  @usableFromInline let state = Mutex(State())

  /// - Parameters:
  ///   - maxBatch: the most inputs in one call of `run`, at least 1.
  ///   - lanes: how many calls of `run` may be in flight, at least 1.
  ///   - run: gives one result for each input, in the same order; runs in a task of its own that is never cancelled.
  @inlinable
  public init(
    maxBatch: Int, lanes: Int = 1, run: @escaping @Sendable ([Input]) async -> [Result<Output, any Error>]
  ) {
    precondition(maxBatch >= 1 && lanes >= 1, "a batcher needs room for one input and one lane")
    self.maxBatch = maxBatch
    self.lanes = lanes
    self.run = run
  }

  /// How many inputs wait for a lane.
  @inlinable
  public var waitingCount: Int {
    state.withLock { $0.queue.count { $0 != nil } }
  }

  /// Runs one input in the next batch.
  ///
  /// Cancelled while it waits, the input is withdrawn and has not run. Cancelled once its batch is in flight, the call still
  /// waits for the result: its outcome is never unknown.
  /// - Throws: the input's own error, `BatchResultMissing`, or `CancellationError`.
  @inlinable
  public func submit(_ input: Input) async throws -> Output {
    let place = Place()
    return try await withTaskCancellationHandler {
      try await withUnsafeThrowingContinuation { continuation in
        enqueue(Entry(input: input, continuation: continuation), place)
      }
    } onCancel: {
      withdraw(place)
    }
  }

  /// Queues an entry and starts a lane if one is free. The task's flag is read under the lock: a cancellation either
  /// finds the entry or is seen here.
  @inlinable
  func enqueue(_ entry: Entry, _ place: Place) {
    let step = state.withLock { state -> Step in
      if Task.isCancelled { return .refuse }
      place.number.store(state.firstNumber + state.queue.count, ordering: .relaxed)
      state.queue.append(entry)
      guard state.lanesInFlight < lanes else { return .wait }
      state.lanesInFlight += 1
      return .startLane
    }
    switch step {
    case .refuse: entry.continuation.resume(throwing: CancellationError())
    // The batch belongs to no single caller, so it must not carry the first caller's task-local values.
    case .startLane: Task.detachedOnSameExecutor { await self.runLane() }
    case .wait: break
    }
  }

  @inlinable
  func withdraw(_ place: Place) {
    let entry: Entry? = state.withLock { state in
      let index = place.number.load(ordering: .relaxed) - state.firstNumber
      guard state.queue.indices.contains(index) else { return nil }
      defer { state.queue[index] = nil }
      return state.queue[index]
    }
    entry?.continuation.resume(throwing: CancellationError())
  }

  @inlinable
  func runLane() async {
    while let batch = nextBatch() {
      let results = await run(batch.map { $0.input })
      guard results.count == batch.count else {
        let missing = BatchResultMissing(inputCount: batch.count, resultCount: results.count)
        for entry in batch { entry.continuation.resume(throwing: missing) }
        continue
      }
      for index in batch.indices { batch[index].continuation.resume(with: results[index]) }
    }
  }

  /// The oldest inputs, or `nil` when none wait: the lane is given back then, under the same lock.
  @inlinable
  func nextBatch() -> [Entry]? {
    state.withLock { state in
      var batch: [Entry] = []
      while batch.count < maxBatch, let first = state.queue.popFirst() {
        state.firstNumber += 1
        if let entry = first { batch.append(entry) }
      }
      if batch.isEmpty { state.lanesInFlight -= 1 }
      return batch.isEmpty ? nil : batch
    }
  }
}

/// A batch gave another number of results than it had inputs, so no result can be assigned to an input with certainty.
public struct BatchResultMissing: Error, CustomStringConvertible {
  /// How many inputs the batch had.
  public let inputCount: Int
  /// How many results came back.
  public let resultCount: Int

  @inlinable
  init(inputCount: Int, resultCount: Int) {
    self.inputCount = inputCount
    self.resultCount = resultCount
  }

  /// Says both numbers.
  public var description: String {
    "a batch of \(inputCount) inputs gave \(resultCount) results; whether they took effect is unknown"
  }
}
