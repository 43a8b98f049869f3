package import FoundationEssentials
internal import Logging
internal import PostgresClient
internal import Primitives
internal import Reviews

/// A transaction that is not Baton's (a person in psql, a migration, a backup) has locked a review: nothing was written.
///
/// Only this review waits. Its caller writes again later, and uses no connection until then.
package struct RowLocked: Error, CustomStringConvertible, Equatable {
  package var reviewID: UUID

  package init(reviewID: UUID) { self.reviewID = reviewID }

  package var description: String {
    "another transaction has locked the review \(reviewID.lowercase) (pg_stat_activity and pg_locks show which)"
  }
}

extension ReviewStore {
  /// For how long an API call or a callback waits for a locked review; then its caller has to come again.
  static let waitMax: Duration = .seconds(2)
  /// For how long an operation on many reviews waits for those that are locked, in all. Later ones are tried once.
  static let waitMaxOfMany: Duration = .seconds(4)
  /// A single try takes no time unless a table is locked as a whole. After so much more waiting, no further one is tried.
  static let tryMaxOfMany: Duration = .seconds(16)
  /// Between looks at a locked review. Most locks are those of Baton's own statements, and last for a millisecond or two.
  private static let waits: [Duration] = [.milliseconds(5), .milliseconds(20), .milliseconds(80), .milliseconds(250)]

  /// Runs a write of one review, the statement's first parameter, which says in `is_locked` that it found the row locked.
  /// - Returns: the one row of the statement.
  /// - Throws: ``RowLocked``, also if the row is free and something that its triggers write is not; `PostgresError`.
  func unlessLocked(_ statement: PostgresStatement, _ parameters: [any PostgresEncodable]) async throws -> PostgresRow {
    let locked = RowLocked(reviewID: parameters.first as? UUID ?? UUID())
    do {
      let row = try await pool.query(statement, parameters)[0]
      if try row.decode("is_locked", as: Bool.self) { throw locked }
      return row
    } catch let error as PostgresError where error.sqlState == PostgresSQLState.lockNotAvailable {
      throw locked
    }
  }

  /// As ``unlessLocked(_:_:)``, but waits a little for the lock to go: without a connection.
  func onceUnlocked(
    _ statement: PostgresStatement, _ parameters: [any PostgresEncodable], waitMax: Duration = waitMax
  ) async throws -> PostgresRow {
    let deadline = ContinuousClock.now + waitMax
    var attempt = 0
    while true {
      do {
        return try await unlessLocked(statement, parameters)
      } catch let error as RowLocked {
        guard .now < deadline else { throw error }
      }
      try await Task.sleep(for: Self.waits[min(attempt, Self.waits.count - 1)])
      attempt += 1
    }
  }

  /// Decodes each row by itself: one that this version cannot read costs only itself, and is named in the log.
  func decodeEach<Value>(
    _ rows: some Sequence<PostgresRow>, _ what: String, _ decode: (PostgresRow) throws -> Value
  ) -> [Value] {
    rows.compactMap { row in
      do {
        return try decode(row)
      } catch {
        let id =
          (try? row.decode("id", as: UUID.self).lowercase) ?? (try? "\(row.decode("id", as: Int64.self))") ?? "unknown"
        logger.error(
          "a row cannot be read and is left out: is a newer version of Baton running here?",
          metadata: ["what": "\(what)", "id": "\(id)", "error": "\(error)"])
        return nil
      }
    }
  }
}
