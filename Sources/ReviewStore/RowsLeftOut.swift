internal import FoundationEssentials
internal import Logging
internal import PostgresClient
internal import Primitives
internal import Synchronization

/// Rows that a statement could not change a moment ago, each alone: they are tried again later.
final class RowsLeftOut: Sendable {
  private static let time: Duration = .seconds(30)
  /// More are tried again, and fail again.
  private static let countMax = 1_000

  private let ends = Mutex<[UUID: ContinuousClock.Instant]>([:])

  /// Those that are not to be tried now.
  var rows: [UUID] {
    ends.withLock { ends in
      guard !ends.isEmpty else { return [] }
      let now = ContinuousClock.now
      ends = ends.filter { $0.value > now }
      return Array(ends.keys)
    }
  }

  func leaveOut(_ id: UUID) {
    ends.withLock { ends in
      if ends.count < Self.countMax { ends[id] = .now + Self.time }
    }
  }
}

/// The rows that have failed in one call which tries them one by one.
struct RowFailures {
  /// Each may wait for as long as `lock_timeout`.
  private static let lockedMax = 3
  /// A refusal comes at once.
  private static let refusedMax = 200
  /// Further ones stand in the log at a lower level.
  private static let namedMax = 3

  private var locked = 0
  private var refused = 0

  var isEmpty: Bool { locked + refused == 0 }

  /// Whether the rest is left to the next call.
  var areTooMany: Bool { locked >= Self.lockedMax || refused >= Self.refusedMax }

  /// Takes note of a failure, and leaves the row out for some time.
  mutating func note(_ id: UUID, _ error: PostgresError, in rows: RowsLeftOut, _ message: String, _ logger: Logger) {
    if error.sqlState == PostgresSQLState.lockNotAvailable { locked += 1 } else { refused += 1 }
    rows.leaveOut(id)
    logger.log(
      level: locked + refused <= Self.namedMax ? .warning : .debug, "\(message)",
      metadata: ["review": "\(id.lowercase)", "error": "\(error)"])
  }
}

extension ReviewStore {
  /// How often ``inHalves(_:_:_:)`` waits for a lock, each time for as long as `lock_timeout`.
  private static let waitsMaxInHalves = 4

  /// Runs a statement for a batch of claims. If it fails because of a row, it is run again in halves: it is then done for all but that row, and
  /// the few that are left next to it when locks have been waited for often enough.
  /// - Parameter failure: what is logged about such rows.
  func inHalves(
    _ claims: [Claim], _ failure: String, _ run: (ArraySlice<Claim>) async throws(PostgresError) -> Void
  ) async throws {
    var failed: [(claim: Claim, error: PostgresError)] = []
    var waits = 0
    var batches = [claims[...]]
    while !batches.isEmpty {
      let batch = batches.removeFirst()
      do throws(PostgresError) {
        try await run(batch)
      } catch {
        guard error.mayBeAboutOneRow else { throw error }
        // What fails without a row as well is no row's fault.
        if batch.count == claims.count { try await run([]) }
        if error.sqlState == PostgresSQLState.lockNotAvailable { waits += 1 }
        guard batch.count > 1, waits <= Self.waitsMaxInHalves else {
          failed += batch.map { ($0, error) }
          continue
        }
        let middle = batch.startIndex + batch.count / 2
        batches += [batch[..<middle], batch[middle...]]
      }
    }
    guard let first = failed.first else { return }
    logger.warning(
      "\(failure)",
      metadata: [
        "count": "\(failed.count)", "review": "\(first.claim.reviewID.lowercase)", "error": "\(first.error)",
      ])
  }
}
