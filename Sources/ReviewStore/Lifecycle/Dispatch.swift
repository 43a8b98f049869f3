package import FoundationEssentials
internal import PostgresClient
package import Reviews

/// What the worker has taken on, to be recorded.
package struct DispatchRecord: Sendable {
  package var reviewID: UUID
  package var attempt: Int
  package var agentVersion: String?
  /// When its payload was ready. Written as a span before the statement, because this machine's clock is not the database's.
  package var prepared: ContinuousClock.Instant

  package init(reviewID: UUID, attempt: Int, agentVersion: String?, prepared: ContinuousClock.Instant = .now) {
    self.reviewID = reviewID
    self.attempt = attempt
    self.agentVersion = agentVersion
    self.prepared = prepared
  }
}

/// What a review's row says after its dispatch was recorded.
package enum RecordAnswer: Sendable, Equatable {
  /// Recorded, or already known.
  case recorded
  /// Cancelled while the worker was called: the worker has to be notified.
  case cancelled
  /// Another attempt, or gone: nothing was changed.
  case overtaken
  /// A transaction that is not Baton's has locked the row: record it again later.
  case locked
}

extension ReviewStore {
  static let dispatchStatements: [PostgresStatement] = [
    recordDispatched, postpone, dropLease, retryLater, fail, leaveQueued,
  ]

  /// Repeats the holder and not the lease: the worker already has what it took on for an earlier lease of this process, and a later lease
  /// of the same process must not make it start again.
  static let recordDispatched = PostgresStatement(
    "record",
    """
    /* baton:record */
    WITH held AS MATERIALIZED (
      SELECT h.id, t.attempt, t.agent_version, t.since_prepared, t.n
        FROM unnest($1::uuid[], $2::int[], $3::text[], $5::float8[])
             WITH ORDINALITY AS t (id, attempt, agent_version, since_prepared, n)
        JOIN code_reviews h ON h.id = t.id
       ORDER BY h.id
         FOR NO KEY UPDATE OF h SKIP LOCKED
    ),
    recorded AS (
      UPDATE code_reviews r
         SET dispatched_at = COALESCE(r.dispatched_at, now()),
             -- A callback may have recorded the dispatch, a moment ago: what was dispatched was prepared before.
             prepared_at = COALESCE(
               r.prepared_at, LEAST(r.dispatched_at, now() - make_interval(secs => h.since_prepared))),
             agent_version = COALESCE(h.agent_version, r.agent_version),
             lease_owner = NULL,
             lease_expires_at = NULL
        FROM held h
       WHERE r.id = h.id AND r.attempt = h.attempt
         -- Ours; or ended since, which frees the lease; or run out, and no other holder has taken it.
         AND (r.lease_owner = $4 OR r.lease_owner IS NULL)
         AND r.status <> 'pending'
      RETURNING h.n, r.status
    )
    SELECT d.status, CASE WHEN h.n IS NULL THEN \(Fragment.exists("t.id")) ELSE false END IS TRUE AS is_locked
      FROM unnest($1::uuid[]) WITH ORDINALITY AS t (id, n)
      LEFT JOIN held h ON h.n = t.n
      LEFT JOIN recorded d ON d.n = t.n
     ORDER BY t.n
    """)

  /// Records that the worker has said yes, without touching the status, which the worker may have moved on already.
  /// - Returns: an answer for each record, in order.
  package func recordDispatched(_ records: [DispatchRecord], by holder: Holder.ID) async throws -> [RecordAnswer] {
    try await pool.query(
      Self.recordDispatched,
      [
        records.map(\.reviewID), records.map { Int32(clamping: $0.attempt) }, records.map { $0.agentVersion?.storable },
        holder.text,
        records.map { (ContinuousClock.now - $0.prepared).inSeconds },
      ]
    ).map { row in
      if try row.decode("is_locked", as: Bool.self) { return .locked }
      guard let status = try row.optional("status", as: String.self) else { return .overtaken }
      return status == "cancelled" ? .cancelled : .recorded
    }
  }

  /// A write of a lease's holder: it repeats the review, the attempt, and that the lease is still the one it holds.
  /// - Parameter more: what follows from the row as it was `written`, as further CTEs.
  private static func holderWrite(_ name: String, _ changes: String, more: String = "") -> PostgresStatement {
    PostgresStatement(
      name,
      """
      /* baton:\(name) */
      WITH \(Fragment.heldUnlessLocked),
      written AS (
        UPDATE code_reviews r
           SET \(changes)
          FROM held h
         WHERE r.id = h.id AND r.attempt = $2 AND r.lease_owner = $3 AND r.lease_expires_at = $4
           AND \(Fragment.hasStatus("'queued'")) AND r.dispatched_at IS NULL
        RETURNING r.id, r.attempt, r.status, r.unclear_starts
      )\(more)
      SELECT (SELECT status FROM written) AS status, \(Fragment.isLocked)
      """)
  }

  /// A start of a review that has failed may still be on its way to the worker: it is not to run.
  private static let notifyOfFailure = """
    ,
      notice AS (
        INSERT INTO baton_outbox (kind, review_id, attempt)
        SELECT 'worker_cancel', id, attempt FROM written WHERE status = 'failed' AND unclear_starts > 0
        ON CONFLICT DO NOTHING
      )
    """

  /// Runs a ``holderWrite(_:_:more:)``.
  /// - Returns: the row's new status; nil if the lease is no longer this one.
  /// - Throws: ``RowLocked``; `PostgresError`.
  private func write(
    _ statement: PostgresStatement, _ lease: Lease, _ more: [any PostgresEncodable] = []
  ) async throws -> ReviewStatus? {
    let row = try await unlessLocked(
      statement,
      [lease.reviewID, Int32(clamping: lease.attempt), lease.holder.text, lease.until.instant] + more)
    return try row.optional("status", as: String.self).map { _ in try row.choice("status", as: ReviewStatus.self) }
  }

  static let postpone = holderWrite(
    "postpone",
    """
    status = 'pending', status_reason = $5, place_at = CASE WHEN $7::bool THEN \(Fragment.place) END,
               available_at = now() + make_interval(secs => $6)
    """)

  /// Gives a leased review back to pending, uncounted: a target is unavailable or throttles, or this process is shutting down.
  /// - Parameters:
  ///   - lease: what the caller holds; without it nothing changes.
  ///   - reason: why, for the row.
  ///   - delay: until it is due again.
  ///   - keepingPlace: whether it then goes before what its owner has submitted since.
  package func postpone(
    _ lease: Lease, reason: String, for delay: Duration, keepingPlace: Bool = true
  ) async throws -> ReviewStatus? {
    try await write(Self.postpone, lease, [reason.storable, delay.inSeconds, keepingPlace])
  }

  static let dropLease = holderWrite(
    "drop_lease",
    // Its ticket is here now: nothing older may prove that it is lost. What the lease was used for is not known any more.
    """
    lease_owner = NULL, lease_expires_at = NULL, published_at = now(), updated_at = now(),
               unclear_starts = GREATEST(r.unclear_starts, 1)
    """)

  /// Drops a lease whose use is not known any more, while its ticket is in flight.
  package func drop(_ lease: Lease) async throws {
    _ = try await write(Self.dropLease, lease)
  }

  static let retryLater = holderWrite(
    "retry_later",
    """
    status = CASE WHEN r.dispatch_failures + 1 >= $7 THEN 'failed' ELSE 'pending' END,
               status_reason = $5,
               error_code = CASE WHEN r.dispatch_failures + 1 >= $7 THEN 'attempts_exhausted' END,
               error_message = CASE WHEN r.dispatch_failures + 1 >= $7 THEN $5 END,
               dispatch_failures = \(Fragment.counter("r.dispatch_failures + 1")),
               place_at = NULL,
               available_at = now() + make_interval(secs => $6)
    """)

  /// Gives a leased review back to pending and counts a failure against it; the last one fails it.
  /// - Parameters:
  ///   - lease: what the caller holds; without it nothing changes.
  ///   - message: why, for the row.
  ///   - delay: backoff, by the failures so far.
  ///   - failureMax: the number of failures that fails it.
  package func retryLater(
    _ lease: Lease, message: String, after delay: Duration, failureMax: Int
  ) async throws -> ReviewStatus? {
    try await write(Self.retryLater, lease, [message.storable, delay.inSeconds, Int32(failureMax)])
  }

  static let fail = holderWrite(
    "fail", "status = 'failed', status_reason = $5, error_code = $5, error_message = $6", more: notifyOfFailure)

  /// Fails a leased review for good. If an earlier start may have reached the worker, the worker is notified through the outbox.
  package func fail(_ lease: Lease, code: ErrorCode, message: String) async throws -> ReviewStatus? {
    try await write(Self.fail, lease, [code.rawValue, message.storable])
  }

  static let leaveQueued = holderWrite(
    "leave_queued",
    """
    status = CASE WHEN r.dispatch_failures + $7 >= $8 THEN 'failed' ELSE 'queued' END,
               status_reason = $5,
               error_code = CASE WHEN r.dispatch_failures + $7 >= $8 THEN 'attempts_exhausted' END,
               error_message = CASE WHEN r.dispatch_failures + $7 >= $8 THEN $5 END,
               dispatch_failures = \(Fragment.counter("r.dispatch_failures + $7")),
               unclear_starts = \(Fragment.counter("r.unclear_starts + 1")),
               lease_owner = NULL,
               lease_expires_at = now() + make_interval(secs => $6),
               updated_at = now()
    """, more: notifyOfFailure)

  /// Leaves a review queued whose dispatch may or may not have succeeded: the lease is dropped with a backoff, and the
  /// reaper publishes it after that. Never back to pending: the worker may be running it. If the failures are too many, the
  /// review fails, and the worker is notified through the outbox.
  /// - Parameters:
  ///   - lease: what the caller holds; without it nothing changes.
  ///   - message: why, for the row.
  ///   - delay: until it is due again.
  ///   - isCounted: whether a failure is counted against it; the last one fails it.
  ///   - failureMax: the number of failures that fails it.
  package func leaveQueued(
    _ lease: Lease, message: String, for delay: Duration, isCounted: Bool, failureMax: Int
  ) async throws -> ReviewStatus? {
    try await write(
      Self.leaveQueued, lease,
      [
        message.storable, delay.inSeconds, Int32(isCounted ? 1 : 0),
        // If nothing is counted, nothing can be exhausted.
        isCounted ? Int32(failureMax) : Int32.max,
      ])
  }
}
