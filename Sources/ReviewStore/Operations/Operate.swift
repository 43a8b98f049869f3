package import FoundationEssentials
internal import PostgresClient
internal import Primitives
package import Reviews

/// Where a page of a list ends: opaque to those who pass it on.
package struct ReviewCursor: Sendable, Hashable, LosslessStringConvertible {
  var createdAt: Timestamp
  var id: UUID
  /// Whether a search has shown all that have its number or id, and goes on with those that have its words.
  var isAmongWords: Bool

  init(createdAt: Timestamp, id: UUID, isAmongWords: Bool = false) {
    self.createdAt = createdAt
    self.id = id
    self.isAmongWords = isAmongWords
  }

  /// Before the newest review that has a search's words.
  static let firstOfWords = Self(
    createdAt: .infinity,
    id: UUID(uuid: (255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255)),
    isAmongWords: true)

  init(_ row: PostgresRow) throws {
    self.init(createdAt: try row.timestamp("created_at"), id: try row.decode("id", as: UUID.self))
  }

  package init?(_ text: String) {
    let parts = text.split(separator: "_")
    let isAmongWords = parts.count == 3 && parts[2] == "words"
    guard parts.count == 2 || isAmongWords, let microseconds = Int64(parts[0]),
      let id = UUID(uuidString: String(parts[1]))
    else { return nil }
    self.init(createdAt: Timestamp(microseconds: microseconds), id: id, isAmongWords: isAmongWords)
  }

  package var description: String {
    "\(createdAt.microseconds)_\(id.lowercase)\(isAmongWords ? "_words" : "")"
  }
}

/// What a person's operation did.
package enum OperationAnswer: Sendable, Equatable {
  /// Done; the status is the new one.
  case done(ReviewStatus, attempt: Int)
  /// The status does not allow it.
  case conflict(ReviewStatus)
  case unknownReview

  /// - Parameters:
  ///   - row: of the operation's statement.
  ///   - status: the review's, if the operation was done.
  init(_ row: PostgresRow, done status: ReviewStatus) throws {
    guard let attempt = try row.optional("attempt", as: Int32.self) else {
      self = .unknownReview
      return
    }
    self =
      try row.decode("is_done", as: Bool.self)
      ? .done(status, attempt: Int(attempt)) : .conflict(try row.choice("status", as: ReviewStatus.self))
  }
}

extension ReviewStore {
  static let operationStatements: [PostgresStatement] = [find, transitions, cancel, retry, release]

  static let find = PostgresStatement(
    "find", "/* baton:find */ SELECT \(Review.columns) FROM code_reviews r WHERE r.id = ANY ($1::uuid[])")

  /// One review, or nil if there is none.
  package func review(_ id: UUID) async throws -> Review? {
    try await pool.query(Self.find, [[id]]).first.map { try Review($0) }
  }

  /// Those of the reviews that exist, in no order.
  package func reviews(_ ids: [UUID]) async throws -> [Review] {
    decodeEach(try await pool.query(Self.find, [ids]), "review") { try Review($0) }
  }

  static let transitions = PostgresStatement(
    "transitions",
    """
    /* baton:transitions */
    SELECT at, from_status, to_status, reason, actor FROM review_transitions WHERE review_id = $1 ORDER BY id
    """)

  /// What happened to a review, oldest first, as the database recorded it.
  package func transitions(of id: UUID) async throws -> [ReviewTransition] {
    try await pool.query(Self.transitions, [id]).map { row in
      ReviewTransition(
        at: try row.timestamp("at"),
        fromStatus: try row.optional("from_status", as: String.self).flatMap { ReviewStatus(rawValue: $0) },
        toStatus: try row.choice("to_status", as: ReviewStatus.self),
        reason: try row.optional("reason", as: String.self), actor: try row.optional("actor", as: String.self))
    }
  }

  static let cancel = PostgresStatement(
    "cancel",
    """
    /* baton:cancel */
    WITH \(Fragment.heldUnlessLocked),
    cancelled AS (
      UPDATE code_reviews r
         SET status = 'cancelled', status_reason = $3, error_code = $2, error_message = $3
        FROM held h
       WHERE r.id = h.id AND \(Fragment.hasStatus("'pending'", "'queued'", "'running'"))
      RETURNING r.id, r.attempt, r.claimed_at
    ),
    notice AS (
      -- Also if no dispatch is recorded: its POST may be on the way. A worker remembers a cancel that came first.
      INSERT INTO baton_outbox (kind, review_id, attempt)
      SELECT 'worker_cancel', id, attempt FROM cancelled WHERE claimed_at IS NOT NULL
      ON CONFLICT DO NOTHING
    )
    SELECT r.status, r.attempt, EXISTS (SELECT 1 FROM cancelled) AS is_done, \(Fragment.isLocked), \(Fragment.actor("$4"))
      FROM (SELECT) one
      LEFT JOIN code_reviews r ON r.id = $1
    """)

  /// Cancels a review: the row first, and the worker through the outbox, in one transaction.
  /// - Parameters:
  ///   - id: the review's.
  ///   - code: what the review ends with.
  ///   - reason: for those who look at the review later.
  ///   - actor: as the history names who did it; nil for this program.
  /// - Throws: ``RowLocked``; `PostgresError`.
  package func cancel(
    _ id: UUID, code: ErrorCode = .cancelledByUser, reason: String = "cancelled by a user", actor: String? = nil
  ) async throws -> OperationAnswer {
    try await cancel(id, code: code, reason: reason, actor: actor, waitMax: Self.waitMax)
  }

  /// - Parameter waitMax: for how long a lock is waited for.
  func cancel(
    _ id: UUID, code: ErrorCode = .cancelledByUser, reason: String, actor: String?, waitMax: Duration
  ) async throws -> OperationAnswer {
    let parameters: [any PostgresEncodable] = [id, code.rawValue, reason.storable, actor]
    return try await OperationAnswer(onceUnlocked(Self.cancel, parameters, waitMax: waitMax), done: .cancelled)
  }

  static let retry = PostgresStatement(
    "retry",
    """
    /* baton:retry */
    WITH \(Fragment.heldUnlessLocked),
    retried AS (
      -- The database clears what the old attempt left, and counts the new one.
      UPDATE code_reviews r
         SET status = 'pending', status_reason = $2, available_at = now()
        FROM held h
       WHERE r.id = h.id AND \(Fragment.hasStatus("'failed'", "'cancelled'"))
      RETURNING r.attempt
    )
    SELECT r.status, COALESCE((SELECT attempt FROM retried), r.attempt) AS attempt,
           EXISTS (SELECT 1 FROM retried) AS is_done, \(Fragment.isLocked), \(Fragment.actor("$3"))
      FROM (SELECT) one
      LEFT JOIN code_reviews r ON r.id = $1
    """)

  /// Starts a failed or cancelled review again, as a new attempt.
  /// - Parameters:
  ///   - id: the review's.
  ///   - reason: for those who look at the review later.
  ///   - actor: as the history names who did it; nil for this program.
  /// - Throws: ``RowLocked``; `PostgresError`.
  package func retry(
    _ id: UUID, reason: String = "retried by a user", actor: String? = nil
  ) async throws -> OperationAnswer {
    try await retry(id, reason: reason, actor: actor, waitMax: Self.waitMax)
  }

  /// - Parameter waitMax: for how long a lock is waited for.
  func retry(
    _ id: UUID, reason: String = "retried by a user", actor: String?, waitMax: Duration
  ) async throws -> OperationAnswer {
    try await OperationAnswer(onceUnlocked(Self.retry, [id, reason.storable, actor], waitMax: waitMax), done: .pending)
  }

  static let release = PostgresStatement(
    "release",
    """
    /* baton:release */
    WITH \(Fragment.heldUnlessLocked),
    released AS (
      UPDATE code_reviews r
         SET available_at = now(), status_reason = $2
        FROM held h
       WHERE r.id = h.id AND \(Fragment.hasStatus("'pending'")) AND r.available_at > now()
      RETURNING r.attempt
    )
    SELECT r.status, r.attempt, EXISTS (SELECT 1 FROM released) AS is_done, \(Fragment.isLocked), \(Fragment.actor("$3"))
      FROM (SELECT) one
      LEFT JOIN code_reviews r ON r.id = $1
    """)

  /// Makes a pending review due now: one that waits after a failed attempt or for a rate limit, was submitted for later, or is held.
  /// - Parameters:
  ///   - id: the review's.
  ///   - reason: for those who look at the review until it is claimed.
  ///   - actor: as the history names who did it; nil for this program.
  /// - Returns: a conflict also for one that is due.
  /// - Throws: ``RowLocked``; `PostgresError`.
  package func release(
    _ id: UUID, reason: String = "released by a user", actor: String? = nil
  ) async throws -> OperationAnswer {
    try await release(id, reason: reason, actor: actor, waitMax: Self.waitMax)
  }

  /// - Parameter waitMax: for how long a lock is waited for.
  func release(
    _ id: UUID, reason: String = "released by a user", actor: String?, waitMax: Duration
  ) async throws -> OperationAnswer {
    try await OperationAnswer(
      onceUnlocked(Self.release, [id, reason.storable, actor], waitMax: waitMax), done: .pending)
  }
}
