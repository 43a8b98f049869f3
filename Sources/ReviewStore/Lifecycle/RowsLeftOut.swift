internal import FoundationEssentials
internal import Logging
internal import PostgresClient
internal import Primitives
internal import Synchronization

/// Rows that a statement could not change a moment ago, each alone: they are tried again later.
final class RowsLeftOut: Sendable {
  /// For a row that was refused.
  private static let time: Duration = .seconds(30)
  /// For a row that was locked: a lock is mostly gone soon.
  private static let lockTime: Duration = .seconds(3)
  /// More are tried again, and fail again.
  private static let countMax = 10_000

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

  func leaveOut(_ id: UUID, isLocked: Bool) {
    ends.withLock { ends in
      if ends.count < Self.countMax { ends[id] = .now + (isLocked ? Self.lockTime : Self.time) }
    }
  }
}

/// The rows that have failed in one call which tries them one by one.
private struct RowFailures {
  /// Each may wait for as long as `lock_timeout`.
  private static let lockedMax = 3
  /// A refusal comes at once.
  private static let refusedMax = 200
  /// Further ones stand in the log at a lower level.
  static let namedMax = 3

  private var locked = 0
  private var refused = 0

  var count: Int { locked + refused }

  /// Whether the rest is left to the next call.
  var areTooMany: Bool { locked >= Self.lockedMax || refused >= Self.refusedMax }

  mutating func note(isLocked: Bool) {
    if isLocked { locked += 1 } else { refused += 1 }
  }
}

extension ReviewStore {
  /// Changes rows one by one that could not be changed as a whole: the database or a trigger of the application refuses one of them, or waits
  /// there for a lock. Rows that fail are left out for some time, so that they hold up no others.
  /// - Parameters:
  ///   - ids: of the rows.
  ///   - leftOut: takes those that fail.
  ///   - failure: what is logged about one that fails.
  ///   - check: the statement without a row: what fails then as well is no row's fault.
  ///   - take: changes one row.
  /// - Returns: what was changed, up to an error that is no row's.
  /// - Throws: such an error, if nothing was changed before it, or the connection is lost: whether the last row was changed is unknown then, and the
  ///   caller looks for all.
  func eachAlone<Taken>(
    _ ids: [UUID], leftOut: RowsLeftOut, _ failure: String, check: () async throws -> Void,
    take: (UUID) async throws -> [Taken]
  ) async throws -> [Taken] {
    var taken: [Taken] = []
    var failures = RowFailures()
    for id in ids where !failures.areTooMany {
      do {
        taken += try await take(id)
      } catch {
        let rowError = error as? PostgresError
        do {
          guard let rowError, rowError.mayBeAboutOneRow else { throw error }
          if failures.count == 0 { try await check() }
        } catch {
          if taken.isEmpty || LedgerFaultKind(of: error) == .unreachable { throw error }
          return taken
        }
        let isLocked = rowError?.sqlState == PostgresSQLState.lockNotAvailable
        failures.note(isLocked: isLocked)
        leftOut.leaveOut(id, isLocked: isLocked)
        logger.log(
          level: failures.count <= RowFailures.namedMax ? .warning : .debug, "\(failure)",
          metadata: ["review": "\(id.lowercase)", "error": "\(error)"])
      }
    }
    return taken
  }

  /// Runs a statement for a batch of claims: it is done for all but those that ``eachInHalves(_:lockWaitMax:_:)`` finds to be at fault.
  /// - Parameter failure: what is logged about these.
  /// - Throws: what is no row's fault.
  func inHalves(
    _ claims: [Claim], _ failure: String, _ run: @Sendable (ArraySlice<Claim>) async throws -> Void
  ) async throws {
    let results = await eachInHalves(claims) { claims in
      try await run(claims)
      return claims.map { _ in () }
    }
    var failed: [(claim: Claim, fault: RowFault)] = []
    for case (let claim, .failure(let error)) in zip(claims, results) {
      guard let fault = error as? RowFault else { throw error }
      failed.append((claim, fault))
    }
    guard let first = failed.first else { return }
    logger.warning(
      "\(failure)",
      metadata: [
        "count": "\(failed.count)", "review": "\(first.claim.reviewID.lowercase)", "error": "\(first.fault)",
      ])
  }
}
