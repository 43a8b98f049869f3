internal import GRDB
internal import Synchronization

/// Writes to SQLite, many in one transaction: what comes while a commit is on its way to the disk goes out with the next, so that
/// the disk's latency is paid once for all of them. No timer: a lone write commits at once.
///
/// A write that fails takes back what it did and leaves the others alone. Everything runs on the database's own queue; neither an
/// event loop nor the cooperative pool waits for the disk. A write that was requested takes place even if its caller was
/// cancelled before: an agent's output must not depend on a caller that still waits.
final class GroupCommit: Sendable {
  private struct Entry: Sendable {
    /// Runs in the transaction.
    /// - Returns: what is to be called when that has been committed.
    let perform: @Sendable (Database) throws -> @Sendable () -> Void
    let fail: @Sendable (any Error) -> Void
  }

  private struct State {
    var queue: [Entry] = []
    var isRunning = false
  }

  private let database: DatabaseQueue
  private let state = Mutex(State())
  /// Writes of one transaction.
  private static let batchMax = 256

  init(_ database: DatabaseQueue) { self.database = database }

  /// Performs a write.
  /// - Returns: what the body gave, once it is on the disk.
  /// - Throws: the body's error, or `DatabaseError` if the transaction could not be committed.
  func write<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      enqueue(
        Entry(
          perform: { database in
            let value = try body(database)
            return { continuation.resume(returning: value) }
          }, fail: { continuation.resume(throwing: $0) }))
    }
  }

  private func enqueue(_ entry: Entry) {
    let begins = state.withLock { state in
      state.queue.append(entry)
      defer { state.isRunning = true }
      return !state.isRunning
    }
    if begins { scheduleBatch() }
  }

  /// One batch at a time, so that reads, which use the same queue, have their turn in between.
  private func scheduleBatch() {
    database.asyncWriteWithoutTransaction { database in
      self.commit(self.nextBatch(), in: database)
      let goesOn = self.state.withLock { state in
        state.isRunning = !state.queue.isEmpty
        return state.isRunning
      }
      if goesOn { self.scheduleBatch() }
    }
  }

  private func nextBatch() -> [Entry] {
    state.withLock { state in
      let batch = Array(state.queue.prefix(Self.batchMax))
      state.queue.removeFirst(batch.count)
      return batch
    }
  }

  private func commit(_ batch: [Entry], in database: Database) {
    var answers: [@Sendable () -> Void] = []
    do {
      try database.inTransaction(.immediate) {
        for entry in batch { answers.append(perform(entry, in: database)) }
        return .commit
      }
      for answer in answers { answer() }
    } catch {
      for entry in batch { entry.fail(error) }
    }
  }

  /// - Returns: the answer to give when the transaction has been committed.
  private func perform(_ entry: Entry, in database: Database) -> @Sendable () -> Void {
    var answer: @Sendable () -> Void = {}
    do {
      try database.inSavepoint {
        answer = try entry.perform(database)
        return .commit
      }
      return answer
    } catch {
      return { entry.fail(error) }
    }
  }
}
