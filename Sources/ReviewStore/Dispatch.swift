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
  /// Cancelled while the worker was called: the worker has to be told.
  case cancelled
  /// Another attempt, or gone: nothing was changed.
  case overtaken
}

extension ReviewStore {
  static let recordDispatched = Statement(
    "record",
    """
    /* baton:record */
    WITH held AS MATERIALIZED (
      SELECT h.id, t.attempt, t.agent_version, t.since_prepared, t.n
        FROM unnest($1::uuid[], $2::int[], $3::text[], $5::float8[])
             WITH ORDINALITY AS t (id, attempt, agent_version, since_prepared, n)
        JOIN code_reviews h ON h.id = t.id
       ORDER BY h.id
         FOR UPDATE OF h
    )
    UPDATE code_reviews r
       SET dispatched_at = COALESCE(r.dispatched_at, now()),
           -- A callback may have recorded the dispatch, a moment ago: what was dispatched was prepared before.
           prepared_at = COALESCE(
             r.prepared_at, LEAST(r.dispatched_at, now() - make_interval(secs => h.since_prepared))),
           agent_version = COALESCE(h.agent_version, r.agent_version),
           lease_owner = NULL,
           lease_expires_at = NULL,
           updated_at = now()
      FROM held h
     WHERE r.id = h.id AND r.attempt = h.attempt
       -- Ours; or ended meanwhile, which frees the lease; or run out, and nobody has taken it since.
       AND (r.lease_owner = $4 OR r.lease_owner IS NULL)
       AND r.status <> 'pending'
    RETURNING h.n, r.status
    """)

  /// Records that the worker has said yes, without touching the status, which the worker may have moved on already.
  /// - Returns: an answer for each record, in order.
  package func recordDispatched(_ records: [DispatchRecord], by holder: Holder.ID) async throws -> [RecordAnswer] {
    let rows = try await pool.query(
      Self.recordDispatched,
      [
        records.map(\.reviewID), records.map { Int32(clamping: $0.attempt) }, records.map { $0.agentVersion?.storable },
        holder.text,
        records.map { (ContinuousClock.now - $0.prepared).inSeconds },
      ])
    var answers = Array(repeating: RecordAnswer.overtaken, count: records.count)
    for row in rows {
      let index = Int(try row.decode("n", as: Int64.self)) - 1
      answers[index] = try row.decode("status", as: String.self) == "cancelled" ? .cancelled : .recorded
    }
    return answers
  }

  /// What every write of a lease's holder repeats: the review, the attempt, and that the lease is still its own.
  private static let isMine = """
    r.id = $1 AND r.attempt = $2 AND r.lease_owner = $3 AND \(Fragment.hasStatus("'queued'")) AND r.dispatched_at IS NULL
    """

  static let postpone = Statement(
    "postpone",
    """
    /* baton:postpone */
    UPDATE code_reviews r
       SET status = 'pending', status_reason = $4, available_at = now() + make_interval(secs => $5)
     WHERE \(isMine)
    """)

  /// Gives a leased review back to pending, uncounted: a target is down, throttles, or this process is shutting down.
  /// - Returns: false where the lease was no longer this holder's.
  package func postpone(_ ticket: Ticket, by holder: Holder.ID, reason: String, for delay: Duration) async throws
    -> Bool
  {
    try await pool.query(
      Self.postpone, [ticket.reviewID, Int32(ticket.attempt), holder.text, reason.storable, delay.inSeconds]
    ).affectedRows == 1
  }

  static let dropLease = Statement(
    "drop_lease",
    """
    /* baton:drop_lease */
    UPDATE code_reviews r
       -- Its ticket is here now: nothing older may prove that it is lost.
       SET lease_owner = NULL, lease_expires_at = NULL, published_at = now(), updated_at = now()
     WHERE \(isMine)
    """)

  /// Drops a lease of this holder as if it had never been taken, while its ticket is in hand.
  package func dropLease(_ ticket: Ticket, by holder: Holder.ID) async throws {
    _ = try await pool.query(Self.dropLease, [ticket.reviewID, Int32(ticket.attempt), holder.text])
  }

  static let retryLater = Statement(
    "retry_later",
    """
    /* baton:retry_later */
    UPDATE code_reviews r
       SET status = CASE WHEN r.dispatch_failures + 1 >= $6 THEN 'failed' ELSE 'pending' END,
           status_reason = $4,
           error_code = CASE WHEN r.dispatch_failures + 1 >= $6 THEN 'attempts_exhausted' END,
           error_message = CASE WHEN r.dispatch_failures + 1 >= $6 THEN $4 END,
           dispatch_failures = r.dispatch_failures + 1,
           available_at = now() + make_interval(secs => $5)
     WHERE \(isMine)
    RETURNING r.status
    """)

  /// Gives a leased review back to pending and counts a failure against it; the last one fails it.
  /// - Parameter delay: backoff, by the failures so far.
  /// - Returns: the row's new status; nil where the lease was no longer this holder's.
  package func retryLater(
    _ ticket: Ticket, by holder: Holder.ID, message: String, after delay: Duration, attemptMax: Int
  ) async throws -> ReviewStatus? {
    let rows = try await pool.query(
      Self.retryLater,
      [ticket.reviewID, Int32(ticket.attempt), holder.text, message.storable, delay.inSeconds, Int32(attemptMax)])
    return try rows.first?.choice("status", as: ReviewStatus.self)
  }

  static let fail = Statement(
    "fail",
    """
    /* baton:fail */
    UPDATE code_reviews r
       SET status = 'failed', status_reason = $4, error_code = $4, error_message = $5
     WHERE \(isMine)
    """)

  /// Fails a leased review for good.
  /// - Returns: false where the lease was no longer this holder's.
  package func fail(
    _ ticket: Ticket, by holder: Holder.ID, code: ErrorCode, message: String
  ) async throws -> Bool {
    try await pool.query(
      Self.fail, [ticket.reviewID, Int32(ticket.attempt), holder.text, code.rawValue, message.storable]
    ).affectedRows == 1
  }

  static let leaveQueued = Statement(
    "leave_queued",
    """
    /* baton:leave_queued */
    UPDATE code_reviews r
       SET status = CASE WHEN r.dispatch_failures + $6 >= $7 THEN 'failed' ELSE 'queued' END,
           status_reason = $4,
           error_code = CASE WHEN r.dispatch_failures + $6 >= $7 THEN 'attempts_exhausted' END,
           error_message = CASE WHEN r.dispatch_failures + $6 >= $7 THEN $4 END,
           dispatch_failures = r.dispatch_failures + $6,
           lease_owner = NULL,
           lease_expires_at = now() + make_interval(secs => $5),
           updated_at = now()
     WHERE \(isMine)
    RETURNING r.status
    """)

  /// Leaves a review queued whose dispatch may or may not have succeeded: the lease is dropped with a backoff, and the
  /// reaper publishes it after that. Never back to pending: the worker may be running it.
  /// - Parameter isCounted: whether the worker has said that it does not know the review.
  /// - Returns: the row's new status; nil where the lease was no longer this holder's.
  package func leaveQueued(
    _ ticket: Ticket, by holder: Holder.ID, message: String, for delay: Duration, isCounted: Bool, attemptMax: Int
  ) async throws -> ReviewStatus? {
    let rows = try await pool.query(
      Self.leaveQueued,
      [
        ticket.reviewID, Int32(ticket.attempt), holder.text, message.storable, delay.inSeconds,
        Int32(isCounted ? 1 : 0),
        // Where nothing is counted, nothing can be exhausted.
        isCounted ? Int32(attemptMax) : Int32.max,
      ])
    return try rows.first?.choice("status", as: ReviewStatus.self)
  }
}
