package import FoundationEssentials
internal import PostgresClient
package import Reviews

/// Why the reaper publishes a queued review again.
package enum ReapReason: String, Sendable, CaseIterable {
  /// Claimed, and the publish was never confirmed.
  case unpublished
  /// Leased, and the lease has ended without a dispatch.
  case leaseExpired = "lease_expired"
  /// Published, never leased, and proof that no message is left.
  case lost
  /// Published, never leased, and untouched for long: the last resort.
  case stale
}

/// The times that decide what is abandoned.
package struct ReapTimes: Sendable {
  package var holderTimeout: Duration
  package var publishGrace: Duration
  package var staleAfter: Duration
  package var runningTimeout: Duration

  package init(holderTimeout: Duration, publishGrace: Duration, staleAfter: Duration, runningTimeout: Duration) {
    self.holderTimeout = holderTimeout
    self.publishGrace = publishGrace
    self.staleAfter = staleAfter
    self.runningTimeout = runningTimeout
  }
}

/// An abandoned review that the reaper has taken.
package enum Reaped: Sendable {
  /// Claimed anew: to be published.
  case republish(Claim, ReapReason)
  /// It has cost too many holders their life, and was failed.
  case failed(UUID, attempt: Int, TraceContext)
}

/// A review whose worker has been silent.
package struct SilentReview: Sendable, Equatable {
  package var reviewID: UUID
  package var attempt: Int
  package var status: ReviewStatus
  package var trace: TraceContext
}

extension ReviewStore {
  /// Why a row counts as abandoned, each kind by its own condition; NULL where it does not. For `FROM`, behind `code_reviews r`.
  ///
  /// $1 BATON_LEASE, $2 BATON_PUBLISH_GRACE, $3 BATON_STALE_AFTER, all in seconds; $4 the queue.
  static let abandonment = """
      LEFT JOIN baton_holders o ON o.id = r.lease_owner
      LEFT JOIN baton_holders p ON p.id = r.claimed_by
      LEFT JOIN baton_queues q ON q.queue = $4
     CROSS JOIN LATERAL (
       SELECT CASE
         WHEN r.lease_owner IS NOT NULL THEN
           CASE WHEN r.lease_expires_at <= now() OR \(Fragment.isDead("o", lease: "$1")) THEN 'lease_expired' END
         WHEN r.lease_expires_at IS NOT NULL THEN
           CASE WHEN r.lease_expires_at <= now() THEN 'lease_expired' END
         WHEN r.published_at IS NULL THEN
           -- Does not grow with the row's republishes: its claimer, if it lives, waits as long as the broker makes it wait.
           CASE WHEN \(Fragment.isDead("p", lease: "$1")) OR r.claimed_at < now() - make_interval(secs => $2)
                THEN 'unpublished' END
         WHEN r.published_at < q.empty_at AND NOT EXISTS (
           -- The queue was empty after it was published; and every consumer has since said that it holds no such ticket.
           SELECT 1 FROM baton_holders h
            WHERE h.role = 'consume' AND NOT \(Fragment.isDead("h", lease: "$1"))
              AND (h.heartbeat_at <= q.empty_at OR h.unleased_tickets > 0)) THEN 'lost'
         WHEN r.published_at < (SELECT max(h.leased_up_to) FROM baton_holders h) - interval '30 seconds' THEN 'lost'
         WHEN r.published_at < now() - \(Fragment.doubling("$3")) THEN 'stale'
       END AS reason) a
    """

  /// The abandoned rows. Oldest claim first: a row that is taken gets a new claim, so a bad one never hides those behind it.
  private static let abandoned = """
    SELECT r.id, r.claimed_at, r.published_at, r.lease_owner, r.lease_expires_at, a.reason
      FROM code_reviews r
    \(abandonment)
     WHERE r.status IN ('queued', 'running') AND r.status = 'queued' AND r.dispatched_at IS NULL
       AND a.reason IS NOT NULL
     ORDER BY r.claimed_at
     LIMIT $5
    """

  static let reapAbandoned = Statement(
    "reap",
    """
    /* baton:reap */
    WITH candidate AS MATERIALIZED (
      \(abandoned)
    ),
    taken AS MATERIALIZED (
      -- Unchanged since it was judged: a row that another reaper has just taken is not abandoned any more.
      SELECT r.id, c.reason, r.lease_owner IS NOT NULL AS is_leased, r.lease_losses
        FROM candidate c
        JOIN code_reviews r ON r.id = c.id
       WHERE \(Fragment.hasStatus("'queued'")) AND r.dispatched_at IS NULL AND r.claimed_at = c.claimed_at
         AND r.published_at IS NOT DISTINCT FROM c.published_at
         AND r.lease_owner IS NOT DISTINCT FROM c.lease_owner
         AND r.lease_expires_at IS NOT DISTINCT FROM c.lease_expires_at
         FOR UPDATE OF r SKIP LOCKED
    ),
    reaped AS (
      UPDATE code_reviews r
         SET status = CASE WHEN t.is_exhausted THEN 'failed' ELSE 'queued' END,
             status_reason = CASE WHEN t.is_exhausted THEN 'its consumers died' ELSE 'republished: ' || t.reason END,
             error_code = CASE WHEN t.is_exhausted THEN 'attempts_exhausted' END,
             error_message = CASE WHEN t.is_exhausted THEN
               (r.lease_losses + 1) || ' consumers died or hung while they prepared this review' END,
             lease_losses = r.lease_losses + CASE WHEN r.lease_owner IS NULL THEN 0 ELSE 1 END,
             claimed_at = clock_timestamp(),
             claimed_by = $6,
             published_at = NULL,
             republish_count = r.republish_count + 1,
             lease_owner = NULL,
             lease_expires_at = NULL,
             updated_at = now()
        FROM (SELECT id, reason, is_leased AND lease_losses + 1 >= $7 AS is_exhausted FROM taken) t
       WHERE r.id = t.id
      RETURNING r.id, r.attempt, r.status, r.claimed_at, r.traceparent, t.reason
    ),
    counted AS (
      INSERT INTO baton_counts AS c (what, label, count)
      SELECT 'reaped', reason, count(*) FROM reaped WHERE status = 'queued' GROUP BY reason ORDER BY reason
      ON CONFLICT (what, label, shard) DO UPDATE SET count = c.count + EXCLUDED.count
    )
    SELECT * FROM reaped
    """)

  /// Takes a page of abandoned reviews: each is claimed anew for this holder, which publishes it.
  /// - Parameters:
  ///   - limit: rows of the page; a full page says that there may be more.
  ///   - attemptMax: a review that has cost so many holders their life is failed instead.
  package func reapAbandoned(
    _ times: ReapTimes, queue: String, limit: Int, by holder: Holder.ID, attemptMax: Int
  ) async throws -> [Reaped] {
    let rows = try await pool.query(
      Self.reapAbandoned,
      [
        times.holderTimeout.inSeconds, times.publishGrace.inSeconds, times.staleAfter.inSeconds, queue, Int32(limit),
        holder.text, Int32(attemptMax),
      ])
    return try rows.map { row in
      let claim = try Claim(row)
      if try row.choice("status", as: ReviewStatus.self) == .failed {
        return .failed(claim.reviewID, attempt: claim.attempt, claim.trace)
      }
      return .republish(claim, try row.choice("reason", as: ReapReason.self))
    }
  }

  static let currentTime = Statement("now", "/* baton:now */ SELECT now()")

  /// The database's clock.
  package func now() async throws -> Timestamp {
    Timestamp(try await pool.query(Self.currentTime, [])[0].decode(0, as: PostgresInstant.self))
  }

  static let queueSeenEmpty = Statement(
    "queue_seen_empty",
    """
    /* baton:queue_seen_empty */
    INSERT INTO baton_queues AS q (queue, empty_at)
    VALUES ($1, $2)
    ON CONFLICT (queue) DO UPDATE SET empty_at = EXCLUDED.empty_at
     WHERE EXISTS (SELECT 1 FROM code_reviews r
                    WHERE r.status IN ('queued', 'running') AND r.status = 'queued'
                      AND r.published_at IS NOT NULL AND r.lease_owner IS NULL AND r.dispatched_at IS NULL)
    """)

  /// Notes that the queue held no ready message at some time after `instant`.
  /// - Parameter instant: read from ``now()`` before the broker was asked.
  package func recordQueueEmpty(_ queue: String, since instant: Timestamp) async throws {
    _ = try await pool.query(Self.queueSeenEmpty, [queue, instant.instant])
  }

  static let takeSilent = Statement(
    "take_silent",
    """
    /* baton:take_silent */
    WITH taken AS MATERIALIZED (
      SELECT r.id
        FROM code_reviews r
       WHERE r.status IN ('queued', 'running')
         AND \(Fragment.isSilent(since: "r.reconciled_at", queued: "$1", running: "$2"))
       ORDER BY COALESCE(r.reconciled_at, r.updated_at)
       LIMIT $3
         FOR UPDATE OF r SKIP LOCKED
    )
    UPDATE code_reviews r
       SET reconciled_at = now()
      FROM taken t
     WHERE r.id = t.id
    RETURNING r.id, r.attempt, r.status, r.traceparent
    """)

  /// Takes a page of reviews whose worker should have said something: dispatched but still queued, or running for long.
  /// Each is taken once in its time, so that many reapers ask once.
  package func takeSilent(_ times: ReapTimes, limit: Int) async throws -> [SilentReview] {
    try await pool.query(
      Self.takeSilent, [times.staleAfter.inSeconds, times.runningTimeout.inSeconds, Int32(limit)]
    ).map { row in
      let id = try row.decode("id", as: UUID.self)
      return SilentReview(
        reviewID: id, attempt: Int(try row.decode("attempt", as: Int32.self)),
        status: try row.choice("status", as: ReviewStatus.self), trace: try row.trace(of: id))
    }
  }

  static let forgetDispatch = Statement(
    "forget_dispatch",
    """
    /* baton:forget_dispatch */
    UPDATE code_reviews r
       SET dispatched_at = NULL, lease_owner = NULL, lease_expires_at = NULL, published_at = NULL,
           claimed_at = clock_timestamp(), claimed_by = $3, republish_count = r.republish_count + 1,
           status_reason = 'the worker does not know it', updated_at = now()
     WHERE r.id = $1 AND r.attempt = $2 AND \(Fragment.hasStatus("'queued'")) AND r.dispatched_at IS NOT NULL
    RETURNING r.id, r.attempt, r.claimed_at, r.traceparent
    """)

  /// Claims a review anew that was dispatched to a worker which does not know it: to be published again. Its dispatch is
  /// forgotten, or the new ticket would be acknowledged as a duplicate, for ever.
  package func forgetDispatch(_ review: SilentReview, by holder: Holder.ID) async throws -> Claim? {
    try await pool.query(
      Self.forgetDispatch, [review.reviewID, Int32(review.attempt), holder.text]
    ).first.map { try Claim($0) }
  }

  static let failLost = Statement(
    "fail_lost",
    """
    /* baton:fail_lost */
    UPDATE code_reviews r
       SET status = 'failed', status_reason = 'worker_lost', error_code = 'worker_lost', error_message = $3
     WHERE r.id = $1 AND r.attempt = $2 AND \(Fragment.hasStatus("'running'"))
    """)

  /// Fails a running review that its worker no longer knows.
  package func failLost(_ review: SilentReview, message: String) async throws -> Bool {
    try await pool.query(Self.failLost, [review.reviewID, Int32(review.attempt), message]).affectedRows == 1
  }

  static let workerAnswers = Statement(
    "worker_answers",
    """
    /* baton:worker_answers */
    INSERT INTO baton_workers (url) VALUES ($1) ON CONFLICT (url) DO NOTHING
    """)

  static let workerHasAnswered = Statement(
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

  /// Removes holders that have been silent for an hour and have nothing left.
  package func pruneHolders() async throws {
    _ = try await pool.query(Self.pruneHolders, [])
  }
}
