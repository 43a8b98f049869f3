package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// A review whose worker has been silent.
package struct SilentReview: Sendable, Equatable {
  package var reviewID: UUID
  package var attempt: Int
  package var status: ReviewStatus
  package var trace: TraceContext
  /// Recognises the taking: what is written about the answer holds only while no other reaper has taken the review since.
  package var token: Timestamp

  package init(reviewID: UUID, attempt: Int, status: ReviewStatus, trace: TraceContext, token: Timestamp) {
    self.reviewID = reviewID
    self.attempt = attempt
    self.status = status
    self.trace = trace
    self.token = token
  }
}

extension ReviewStore {
  static let silenceStatements: [PostgresStatement] = [
    takeSilent, askable, recordAsked, silentCount, forgetDispatch, failLost, workerAnswers, workerHasAnswered,
  ]

  /// The reviews of which nothing was heard for too long, as CTE `silent`. `$1` and `$2`: after how many seconds a queued one and a running one
  /// count. The running ones are found by the index `code_reviews_running`: those of which something was heard, however many they are, are not read.
  private static let silent = """
    silent AS MATERIALIZED (
      SELECT r.id FROM code_reviews r WHERE \(Fragment.isQueued) AND \(isSilent)
       UNION ALL
      SELECT r.id
        FROM code_reviews r
       WHERE \(Fragment.isRunning) AND GREATEST(r.updated_at, r.reconciled_at) < now() - make_interval(secs => $2)
    )
    """

  private static let isSilent = Fragment.isSilent(since: "r.reconciled_at", queued: "$1", running: "$2")

  /// The rows of which nothing was heard for too long, locked; those that wait longest come first. `$3`: the most rows.
  /// - Parameters:
  ///   - leftOut: the parameter of the rows to leave out.
  ///   - condition: what else has to hold.
  private static func silentRows(leavingOut leftOut: String, _ condition: String = "") -> String {
    """
    WITH \(silent)
    SELECT r.id
      FROM code_reviews r
     -- As an array: the planner takes it for a few, as they are as a rule, and reads each by its key. How many are silent it cannot know; of a join it
     -- would make one that reads every review.
     WHERE r.id = ANY (ARRAY(SELECT s.id FROM silent s))
       -- Still so when it is locked: another reaper may have taken it since.
       AND \(Fragment.hasStatus("'queued'", "'running'")) AND \(isSilent)
       AND r.id <> ALL (\(leftOut)::uuid[]) \(condition)
     ORDER BY COALESCE(r.reconciled_at, GREATEST(r.updated_at, r.dispatched_at))
     LIMIT $3
       FOR UPDATE OF r SKIP LOCKED
    """
  }

  static let takeSilent = PostgresStatement(
    "take_silent",
    """
    /* baton:take_silent */
    WITH taken AS MATERIALIZED (
    \(silentRows(leavingOut: "$5", "AND ($6::uuid IS NULL OR r.id = $6)"))
    )
    UPDATE code_reviews r
       -- As if it had been asked so long ago that it comes due again when the call must have ended.
       SET reconciled_at = now() - make_interval(secs => GREATEST(0, CASE r.status WHEN 'queued' THEN $1 ELSE $2 END - $4))
      FROM taken t
     WHERE r.id = t.id
    RETURNING r.id, r.attempt, r.status, r.traceparent, r.reconciled_at
    """)

  /// The rows that ``takeSilent(_:limit:for:)`` would take.
  static let askable = PostgresStatement(
    "askable", "/* baton:askable */ \(silentRows(leavingOut: "$4"))")

  /// Takes reviews whose worker should have said something: dispatched but still queued, or running for long. What is taken comes due
  /// again after `lease`, unless ``recordAsked(_:)`` says that the worker has answered: so a reaper that ends before it could ask, or a
  /// worker that gave no answer, delays nothing. A review that cannot be changed costs only itself.
  package func takeSilent(_ times: ReapTimes, limit: Int, for lease: Duration) async throws -> [SilentReview] {
    do {
      return try await takeSilent(times, limit, lease, leavingOut: unaskable.rows)
    } catch let error as PostgresError where error.mayBeAboutOneRow {
      return try await takeSilentEach(times, limit, lease)
    }
  }

  /// Takes row by row what would be taken as a whole.
  private func takeSilentEach(
    _ times: ReapTimes, _ limit: Int, _ lease: Duration
  ) async throws -> [SilentReview] {
    let rows = try await pool.query(
      Self.askable,
      [times.staleAfter.inSeconds, times.runningTimeout.inSeconds, Int32(clamping: limit), unaskable.rows])
    return try await eachAlone(
      rows.map { try $0.decode("id", as: UUID.self) }, leftOut: unaskable,
      "the silent review cannot be taken for now; the others are",
      check: { _ = try await takeSilent(times, 0, lease) }, take: { try await takeSilent(times, 1, lease, only: $0) })
  }

  private func takeSilent(
    _ times: ReapTimes, _ limit: Int, _ lease: Duration, leavingOut: [UUID] = [], only id: UUID? = nil
  ) async throws -> [SilentReview] {
    let rows = try await pool.query(
      Self.takeSilent,
      [
        times.staleAfter.inSeconds, times.runningTimeout.inSeconds, Int32(clamping: limit), lease.inSeconds, leavingOut,
        id,
      ])
    return decodeEach(rows, "silent review") { row in
      let id = try row.decode("id", as: UUID.self)
      return SilentReview(
        reviewID: id, attempt: Int(try row.decode("attempt", as: Int32.self)),
        status: try row.choice("status", as: ReviewStatus.self), trace: try row.trace(of: id),
        token: try row.timestamp("reconciled_at"))
    }
  }

  static let recordAsked = PostgresStatement(
    "record_asked",
    """
    /* baton:record_asked */
    UPDATE code_reviews r SET reconciled_at = now() WHERE r.id = $1 AND r.attempt = $2 AND r.reconciled_at = $3
    """)

  /// Notes that the worker has answered about a review: it is asked again after the whole time.
  package func recordAsked(_ review: SilentReview) async throws {
    _ = try await pool.query(Self.recordAsked, [review.reviewID, Int32(review.attempt), review.token.instant])
  }

  static let silentCount = PostgresStatement(
    "silent_count",
    """
    /* baton:silent_count */
    WITH \(silent)
    SELECT count(*) FROM silent
    """)

  /// How many reviews the worker should be asked about now, or within a time.
  package func silentCount(_ times: ReapTimes, comingDueWithin time: Duration) async throws -> Int {
    let row = try await pool.query(
      Self.silentCount,
      [max(.zero, times.staleAfter - time).inSeconds, max(.zero, times.runningTimeout - time).inSeconds])[0]
    return Int(try row.decode(0, as: Int64.self))
  }

  static let forgetDispatch = PostgresStatement(
    "forget_dispatch",
    """
    /* baton:forget_dispatch */
    UPDATE code_reviews r
       SET dispatched_at = NULL, lease_owner = NULL, lease_expires_at = NULL, published_at = NULL,
           claimed_at = clock_timestamp(), claimed_by = $3, republish_count = \(Fragment.counter("r.republish_count + 1")),
           -- A worker that could not be asked may be running it.
           unclear_starts = GREATEST(r.unclear_starts, 1),
           status_reason = 'the worker does not know it', updated_at = now()
     WHERE r.id = $1 AND r.attempt = $2 AND \(Fragment.hasStatus("'queued'")) AND r.dispatched_at IS NOT NULL
       AND r.reconciled_at = $4
    RETURNING r.id, r.attempt, r.claimed_at, r.traceparent
    """)

  /// Claims a review anew that was dispatched to a worker which does not know it: to be published again. `dispatched_at` is
  /// cleared; otherwise each new ticket would be acknowledged as a duplicate.
  package func forgetDispatch(_ review: SilentReview, by holder: Holder.ID) async throws -> Claim? {
    try await pool.query(
      Self.forgetDispatch, [review.reviewID, Int32(review.attempt), holder.text, review.token.instant]
    ).first.map { try Claim($0) }
  }

  static let failLost = PostgresStatement(
    "fail_lost",
    """
    /* baton:fail_lost */
    UPDATE code_reviews r
       SET status = 'failed', status_reason = 'worker_lost', error_code = 'worker_lost', error_message = $3
     WHERE r.id = $1 AND r.attempt = $2 AND \(Fragment.hasStatus("'running'")) AND r.reconciled_at = $4
    """)

  /// Fails a running review that its worker no longer knows.
  package func failLost(_ review: SilentReview, message: String) async throws -> Bool {
    try await pool.query(
      Self.failLost, [review.reviewID, Int32(review.attempt), message, review.token.instant]
    ).affectedRows == 1
  }

  static let workerAnswers = PostgresStatement(
    "worker_answers",
    """
    /* baton:worker_answers */
    INSERT INTO baton_workers (url) VALUES ($1) ON CONFLICT (url) DO NOTHING
    """)

  static let workerHasAnswered = PostgresStatement(
    "worker_has_answered",
    "/* baton:worker_has_answered */ SELECT EXISTS (SELECT 1 FROM baton_workers WHERE url = $1)")

  /// Remembers that this worker answers `GET /reviews/{id}`: from now on its 404 is evidence.
  package func rememberWorkerAnswers(_ url: String) async throws {
    _ = try await pool.query(Self.workerAnswers, [url])
  }

  /// Whether this worker has ever answered `GET /reviews/{id}` with 200.
  package func workerHasAnswered(_ url: String) async throws -> Bool {
    try await pool.query(Self.workerHasAnswered, [url])[0].decode(0, as: Bool.self)
  }
}
