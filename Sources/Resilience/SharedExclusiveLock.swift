internal import DequeModule
internal import Synchronization

/// A shared and exclusive lock for tasks: many work side by side, or one alone, or a small group of their own.
///
/// All waiters are in one line, first come, first served: an exclusive one at its head holds back the shared ones
/// behind it, and the shared ones behind it go in together once it has left. So neither starves.
///
/// Not reentrant: asking again inside a body is a deadlock. Bound: the line is as long as there are callers.
public final class SharedExclusiveLock: Sendable {
  private enum Kind: Equatable {
    case shared
    /// - Parameter sharedBy: how many of the kind there may be inside, this one included.
    case exclusive(sharedBy: Int)

    var isExclusive: Bool { self != .shared }
  }

  private struct Waiter {
    let id: UInt64
    let kind: Kind
    let continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var sharedCount = 0
    var exclusiveCount = 0
    /// The smallest group that an exclusive body inside has asked for.
    var exclusiveMax = Int.max
    var nextID: UInt64 = 0
    var line: Deque<Waiter> = []

    /// Takes a place inside if there is one now.
    mutating func enter(_ kind: Kind) -> Bool {
      switch kind {
      case .shared where exclusiveCount == 0: sharedCount += 1
      case .exclusive(let max) where sharedCount == 0 && exclusiveCount < min(max, exclusiveMax):
        exclusiveCount += 1
        exclusiveMax = min(max, exclusiveMax)
      default: return false
      }
      return true
    }

    mutating func leave(_ kind: Kind) {
      guard kind.isExclusive else { return sharedCount -= 1 }
      exclusiveCount -= 1
      if exclusiveCount == 0 { exclusiveMax = .max }
    }

    /// Lets in from the head of the line all who fit.
    mutating func admit() -> [Waiter] {
      var admitted: [Waiter] = []
      while let first = line.first, enter(first.kind) { admitted.append(line.removeFirst()) }
      return admitted
    }
  }

  private let state = Mutex(State())

  /// Creates a lock that is free.
  public init() {}

  /// Those who are inside exclusively, or wait for that.
  public struct Group: Sendable, Equatable {
    /// How many there may be at once: the smallest number that one of them has asked for.
    public var max: Int
    /// How many there are, waiting ones included.
    public var count: Int

    /// Creates a group.
    public init(max: Int, count: Int) {
      self.max = max
      self.count = count
    }
  }

  /// The bodies that run exclusively, or wait for that; nil if there are none.
  public var exclusiveGroup: Group? {
    state.withLock { state in
      var group = Group(max: state.exclusiveMax, count: state.exclusiveCount)
      for case .exclusive(let max) in state.line.lazy.map(\.kind) {
        group.max = min(group.max, max)
        group.count += 1
      }
      return group.count > 0 ? group : nil
    }
  }

  /// How many wait in line, of both kinds.
  public var waitingCount: Int { state.withLock { $0.line.count } }

  /// Runs a body side by side with other shared ones, never with an exclusive one.
  /// - Throws: what the body throws, or `CancellationError` while waiting; the body has not run then.
  public func withShared<Output>(
    isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Output
  ) async throws -> Output {
    try await enter(.shared)
    defer { leave(.shared) }
    return try await body()
  }

  /// Runs a body alone, or in a group: all others have left, and later callers wait until it has ended.
  /// - Parameters:
  ///   - max: the size of the group: bodies that ask for one may join it, as long as it is not larger than any of them has asked for.
  ///   - isolation: where the body runs: the caller's.
  ///   - body: runs once.
  /// - Throws: what the body throws, or `CancellationError` while waiting; the body has not run then.
  public func withExclusive<Output>(
    sharedBy max: Int = 1, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Output
  ) async throws -> Output {
    try await enter(.exclusive(sharedBy: max))
    defer { leave(.exclusive(sharedBy: max)) }
    return try await body()
  }

  private func enter(_ kind: Kind) async throws {
    let id: UInt64? = state.withLock { state in
      if !Task.isCancelled, state.line.isEmpty, state.enter(kind) { return nil }
      defer { state.nextID += 1 }
      return state.nextID
    }
    // Inside already: nearly always so, and without a suspension.
    guard let id else { return }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        stand(Waiter(id: id, kind: kind, continuation: continuation))
      }
    } onCancel: {
      giveUp(id)
    }
  }

  /// The task's flag is read under the lock: a cancellation either finds the waiter or is seen here.
  private func stand(_ waiter: Waiter) {
    let answer: Result<Void, any Error>? = state.withLock { state in
      if Task.isCancelled { return .failure(CancellationError()) }
      if state.line.isEmpty, state.enter(waiter.kind) { return .success(()) }
      state.line.append(waiter)
      return nil
    }
    if let answer { waiter.continuation.resume(with: answer) }
  }

  /// Leaves the line; an exclusive one that leaves may have held back shared ones.
  private func giveUp(_ id: UInt64) {
    let (waiter, admitted) = state.withLock { state -> (Waiter?, [Waiter]) in
      guard let index = state.line.firstIndex(where: { $0.id == id }) else { return (nil, []) }
      return (state.line.remove(at: index), state.admit())
    }
    waiter?.continuation.resume(throwing: CancellationError())
    for waiter in admitted { waiter.continuation.resume() }
  }

  private func leave(_ kind: Kind) {
    let admitted = state.withLock { state in
      state.leave(kind)
      return state.admit()
    }
    for waiter in admitted { waiter.continuation.resume() }
  }
}
