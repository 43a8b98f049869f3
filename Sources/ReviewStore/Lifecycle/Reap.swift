package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// The times that decide what is abandoned.
package struct ReapTimes: Sendable {
  package var heartbeatTimeout: Duration
  package var publishGrace: Duration
  package var staleAfter: Duration
  package var runningTimeout: Duration

  package init(heartbeatTimeout: Duration, publishGrace: Duration, staleAfter: Duration, runningTimeout: Duration) {
    self.heartbeatTimeout = heartbeatTimeout
    self.publishGrace = publishGrace
    self.staleAfter = staleAfter
    self.runningTimeout = runningTimeout
  }
}

/// An abandoned review that the reaper has taken.
package enum Reaped: Sendable {
  /// Claimed anew: to be published.
  case republish(Claim, ReapReason)
  /// Too many holders died while they had it, and it was failed. One of them may have called the worker: a cancel is due for it.
  case failed(UUID, attempt: Int, TraceContext)

  fileprivate init(_ row: PostgresRow) throws {
    let claim = try Claim(row)
    if try row.choice("status", as: ReviewStatus.self) == .failed {
      self = .failed(claim.reviewID, attempt: claim.attempt, claim.trace)
    } else {
      self = .republish(claim, try row.choice("reason", as: ReapReason.self))
    }
  }
}

extension ReviewStore {
  static let reapStatements: [PostgresStatement] = [reapAbandoned, reapable, currentTime]

  /// Why a row counts as abandoned (``ReapReason``); NULL if it does not. For `FROM`, behind `code_reviews r`. `o` is the holder of
  /// the lease, `p` the claimer, `q` the newest finished roll call.
  ///
  /// $1 BATON_LEASE, $2 BATON_PUBLISH_GRACE, $3 BATON_STALE_AFTER, all in seconds; $4 the queue. ``reapAbandoned`` adds $5 the rows of a
  /// page, $6 this holder, $7 BATON_MAX_ATTEMPTS, $8 rows to leave out, $9 the only row to take, or NULL.
  static let abandonment = """
      LEFT JOIN baton_holders o ON o.id = r.lease_owner
      LEFT JOIN baton_holders p ON p.id = r.claimed_by
      LEFT JOIN (SELECT c.started_at, c.undecided
                   FROM baton_roll_calls c
                  WHERE c.queue = $4 AND c.seen_at IS NOT NULL AND c.waiting = '{}'
                    -- Not of a server whose clock was ahead: it would prove something of what is published now.
                    AND c.started_at <= now()
                  ORDER BY c.started_at DESC
                  LIMIT 1) q ON true
     CROSS JOIN LATERAL (
       SELECT CASE
         WHEN r.lease_owner IS NOT NULL THEN
           CASE WHEN \(Fragment.leaseHasEnded("r", holder: "o", heartbeatTimeout: "$1")) THEN 'lease_expired' END
         WHEN r.lease_expires_at IS NOT NULL THEN
           CASE WHEN r.lease_expires_at <= now() THEN 'lease_expired' END
         WHEN r.published_at IS NULL THEN
           -- Does not grow with the row's republishes: its claimer, if it lives, waits as long as the broker makes it wait.
           CASE WHEN \(Fragment.isDead("p", heartbeatTimeout: "$1")) OR r.claimed_at < now() - make_interval(secs => $2)
                THEN 'unpublished' END
         -- Of those that every consumer has accounted for.
         WHEN r.published_at < q.started_at AND r.id <> ALL (q.undecided) THEN 'lost'
         WHEN r.published_at < now() - \(Fragment.doubling("$3")) THEN 'stale'
       END AS reason,
       -- Only a death is counted against a review: a living holder may be late without its fault.
       r.lease_owner IS NOT NULL AND \(Fragment.isCharged("r", holder: "o", heartbeatTimeout: "$1")) AS is_lost) a
    """

  /// The abandoned rows.
  private static let abandoned = """
    SELECT r.id, r.claimed_at, r.published_at, r.lease_owner, r.lease_expires_at, a.reason, a.is_lost
      FROM code_reviews r
    \(abandonment)
     WHERE \(Fragment.isQueued) AND r.dispatched_at IS NULL
       AND a.reason IS NOT NULL
    """

  static let reapAbandoned = PostgresStatement(
    "reap",
    """
    /* baton:reap */
    WITH candidate AS MATERIALIZED (
      \(abandoned)
       AND r.id <> ALL ($8::uuid[]) AND ($9::uuid IS NULL OR r.id = $9)
    ),
    taken AS MATERIALIZED (
      -- Unchanged since it was judged: a row that another reaper has just taken is not abandoned any more. Oldest claim first: a row
      -- that is taken gets a new claim, so a bad one never hides those behind it. One that is locked takes no place of the page.
      SELECT r.id, c.reason, c.is_lost, r.lease_losses
        FROM candidate c
        JOIN code_reviews r ON r.id = c.id
       WHERE \(Fragment.hasStatus("'queued'")) AND r.dispatched_at IS NULL AND r.claimed_at = c.claimed_at
         AND r.published_at IS NOT DISTINCT FROM c.published_at
         AND r.lease_owner IS NOT DISTINCT FROM c.lease_owner
         AND r.lease_expires_at IS NOT DISTINCT FROM c.lease_expires_at
       ORDER BY c.claimed_at
       LIMIT $5
         FOR UPDATE OF r SKIP LOCKED
    ),
    reaped AS (
      UPDATE code_reviews r
         SET status = CASE WHEN t.is_exhausted THEN 'failed' ELSE 'queued' END,
             status_reason = CASE WHEN t.is_exhausted THEN 'its consumers died' ELSE 'republished: ' || t.reason END,
             error_code = CASE WHEN t.is_exhausted THEN 'attempts_exhausted' END,
             error_message = CASE WHEN t.is_exhausted THEN
               (r.lease_losses + 1) || ' consumers died while they prepared this review' END,
             lease_losses = \(Fragment.counter("r.lease_losses + t.is_lost::int")),
             -- Its last holder may have called the worker.
             unclear_starts = GREATEST(r.unclear_starts, (r.lease_owner IS NOT NULL)::int),
             claimed_at = clock_timestamp(),
             claimed_by = $6,
             published_at = NULL,
             republish_count = \(Fragment.counter("r.republish_count + 1")),
             lease_owner = NULL,
             lease_expires_at = NULL,
             updated_at = now()
        FROM (SELECT id, reason, is_lost, is_lost AND lease_losses + 1 >= $7 AS is_exhausted FROM taken) t
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

  /// The rows that ``reapAbandoned`` would take.
  static let reapable = PostgresStatement(
    "reapable",
    """
    /* baton:reapable */
    \(abandoned)
       AND r.id <> ALL ($5::uuid[])
     ORDER BY r.claimed_at
     LIMIT $6
       FOR UPDATE OF r SKIP LOCKED
    """)

  /// Takes a page of abandoned reviews: each is claimed anew for this holder, which publishes it. A review that cannot be changed costs only
  /// itself.
  /// - Parameters:
  ///   - times: when a review counts as abandoned.
  ///   - queue: the name of the work queue.
  ///   - limit: rows of the page; a full page says that there may be more.
  ///   - holder: who takes them.
  ///   - failureMax: if this many holders have died of a review, it is failed instead.
  package func reapAbandoned(
    _ times: ReapTimes, queue: String, limit: Int, by holder: Holder.ID, failureMax: Int
  ) async throws -> [Reaped] {
    let abandonment: [any PostgresEncodable] = [
      times.heartbeatTimeout.inSeconds, times.publishGrace.inSeconds, times.staleAfter.inSeconds, queue,
    ]
    let fate: [any PostgresEncodable] = [holder.text, Int32(failureMax)]
    do {
      return try await reapPage(abandonment, limit, fate, leavingOut: unreapable.rows)
    } catch let error as PostgresError where error.mayBeAboutOneRow {
      return try await reapEach(abandonment, limit, fate)
    }
  }

  /// Takes row by row what a page would take as a whole.
  private func reapEach(
    _ abandonment: [any PostgresEncodable], _ limit: Int, _ fate: [any PostgresEncodable]
  ) async throws -> [Reaped] {
    var parameters = abandonment
    parameters.append(unreapable.rows)
    parameters.append(Int32(limit))
    let rows = try await pool.query(Self.reapable, parameters)
    return try await eachAlone(
      rows.map { try $0.decode("id", as: UUID.self) }, leftOut: unreapable,
      "the abandoned review cannot be taken for now; the others are",
      check: { _ = try await reapPage(abandonment, 0, fate) },
      take: { try await reapPage(abandonment, 1, fate, only: $0) })
  }

  private func reapPage(
    _ abandonment: [any PostgresEncodable], _ limit: Int, _ fate: [any PostgresEncodable], leavingOut: [UUID] = [],
    only id: UUID? = nil
  ) async throws -> [Reaped] {
    var parameters = abandonment
    parameters.append(Int32(limit))
    parameters += fate
    parameters.append(leavingOut)
    parameters.append(id)
    return try await pool.withTransaction { [parameters] connection in
      let rows = try await connection.query(Self.reapAbandoned, parameters)
      let reaped = decodeEach(rows, "abandoned review") { try Reaped($0) }
      // In a statement of its own: each insert sends a notification, even without a row.
      for case .failed(let id, let attempt, _) in reaped {
        _ = try await connection.query(Self.addCancel, [id, Int32(attempt)])
      }
      return reaped
    }
  }

  static let currentTime = PostgresStatement("now", "/* baton:now */ SELECT now()")

  /// The database's clock.
  package func now() async throws -> Timestamp {
    Timestamp(try await pool.query(Self.currentTime, [])[0].decode(0, as: PostgresInstant.self))
  }
}
