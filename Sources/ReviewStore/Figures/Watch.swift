package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// Why a review is not on its way, as the statements that would move it on judge it.
package enum BlockReason: String, Sendable, CaseIterable {
  /// Pending, and its time has not come: a retry's wait, or a rate limit's.
  case dueLater = "due_later"
  /// Pending, and available at `infinity`: never due by itself.
  case held
  /// Due, and its owner is paused.
  case paused
  /// Due, and its owner has as many queued or running as its limit allows.
  case limit
  /// Due, and a producer may claim it.
  case unclaimed
  /// Published, and no living consumer is there to take it.
  case unconsumed
  /// As the reaper calls it: `ReapReason` in Reviews.
  case unpublished, lost, stale
  case leaseExpired = "lease_expired"
  /// Accepted by a worker that has reported nothing for too long.
  case silent
}

/// An owner with its limit and what it has waiting and under way.
package struct OwnerLoad: Sendable, Equatable {
  package var owner: Owner
  /// Its own, or BATON_OWNER_LIMIT.
  package var limit: Int
  /// nil if it has no limit of its own.
  package var ownLimit: Int?
  package var isPaused: Bool
  /// Pending reviews whose time has come, and since when the oldest waits.
  package var due: Int
  package var dueSince: Timestamp?
  /// Pending reviews whose time comes later, and when the first one's does.
  package var later: Int
  package var nextDue: Timestamp?
  package var queued: Int
  package var running: Int
  /// Why the due ones wait: ``BlockReason/paused``, ``BlockReason/limit`` or ``BlockReason/unclaimed``.
  package var waiting: BlockReason

  package var active: Int { queued + running }
}

/// Queued or running reviews that are held up for one reason.
package struct BlockedReviews: Sendable, Equatable {
  package var reason: BlockReason
  package var count: Int
  /// Of the oldest.
  package var since: Timestamp
  /// The oldest few.
  package var examples: [UUID]
}

extension ReviewStore {
  static let watchStatements: [PostgresStatement] = [liveOwners, oneOwner, blocked, whyPending]

  /// One index-only pass over each of the two partial indexes: the cost follows the live rows.
  static let liveOwners = PostgresStatement(
    "live_owners",
    """
    /* baton:live_owners */
    WITH waiting AS (
      SELECT r.owner_type, r.owner_id,
             count(*) FILTER (WHERE \(Fragment.isDue)) AS due,
             min(r.available_at) FILTER (WHERE \(Fragment.isDue)) AS due_since,
             count(*) FILTER (WHERE NOT (\(Fragment.isDue))) AS later,
             min(r.available_at) FILTER (WHERE NOT (\(Fragment.isDue))) AS next_due
        FROM code_reviews r
       WHERE r.status = 'pending'
       GROUP BY r.owner_id, r.owner_type
    ),
    active AS (
      SELECT r.owner_type, r.owner_id,
             count(*) FILTER (WHERE r.status = 'queued') AS queued,
             count(*) FILTER (WHERE r.status = 'running') AS running
        FROM code_reviews r
       WHERE \(Fragment.isActive("r"))
       GROUP BY r.owner_id, r.owner_type
    ),
    live AS MATERIALIZED (
      SELECT owner_type, owner_id, COALESCE(due, 0) AS due, due_since, COALESCE(later, 0) AS later, next_due,
             COALESCE(queued, 0) AS queued, COALESCE(running, 0) AS running
        FROM waiting FULL JOIN active USING (owner_type, owner_id)
    )
    SELECT o.owner_type, o.owner_id, COALESCE(o.max_concurrent, $1) AS slots, o.max_concurrent, o.paused,
           l.due, l.due_since, l.later, l.next_due, l.queued, l.running,
           \(Fragment.waiting(active: "l.queued + l.running", limit: "$1")) AS waiting
      FROM live l
      JOIN review_owners o ON o.owner_type = l.owner_type AND o.owner_id = l.owner_id
     ORDER BY l.due + l.later + l.queued + l.running DESC, o.owner_type, o.owner_id
     LIMIT $2
    """)

  /// The owners that have reviews which have not ended, the busiest first.
  /// - Parameters:
  ///   - ownerLimit: BATON_OWNER_LIMIT.
  ///   - limit: the most that are returned.
  package func liveOwners(ownerLimit: Int, limit: Int) async throws -> [OwnerLoad] {
    let rows = try await pool.query(
      Self.liveOwners, [Int32(clamping: ownerLimit), Int32(clamping: limit)])
    return decodeEach(rows, "owner") { try OwnerLoad($0) }
  }

  static let oneOwner = PostgresStatement(
    "one_owner",
    """
    /* baton:one_owner */
    SELECT o.owner_type, o.owner_id, COALESCE(o.max_concurrent, $3) AS slots, o.max_concurrent, o.paused,
           w.due, w.due_since, w.later, w.next_due, a.queued, a.running,
           \(Fragment.waiting(active: "a.queued + a.running", limit: "$3")) AS waiting
      FROM review_owners o
     CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE \(Fragment.isDue)) AS due,
              min(r.available_at) FILTER (WHERE \(Fragment.isDue)) AS due_since,
              count(*) FILTER (WHERE NOT (\(Fragment.isDue))) AS later,
              min(r.available_at) FILTER (WHERE NOT (\(Fragment.isDue))) AS next_due
         FROM code_reviews r
        WHERE r.status = 'pending' AND r.owner_type = o.owner_type AND r.owner_id = o.owner_id) w
     CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE r.status = 'queued') AS queued,
              count(*) FILTER (WHERE r.status = 'running') AS running
         FROM code_reviews r
        WHERE \(Fragment.isActive("r")) AND r.owner_type = o.owner_type AND r.owner_id = o.owner_id) a
     WHERE o.owner_type = $1 AND o.owner_id = $2
    """)

  /// One owner, also without live reviews; nil if there is no such owner.
  package func load(of owner: Owner, ownerLimit: Int) async throws -> OwnerLoad? {
    try await pool.query(
      Self.oneOwner, [owner.type.rawValue, owner.id, Int32(clamping: ownerLimit)]
    ).first.map { try OwnerLoad($0) }
  }

  static let blocked = PostgresStatement(
    "blocked",
    """
    /* baton:blocked */
    SELECT h.reason, count(*) AS rows, min(h.since) AS since, (array_agg(h.id ORDER BY h.since, h.id))[1:3] AS examples
      FROM (
        SELECT r.id,
               CASE WHEN r.dispatched_at IS NULL AND r.status = 'queued' THEN r.claimed_at
                    WHEN r.status = 'queued' THEN r.dispatched_at
                    ELSE r.updated_at END AS since,
               CASE
                 WHEN r.dispatched_at IS NULL AND r.status = 'queued' THEN
                   COALESCE(a.reason,
                     CASE WHEN r.published_at IS NOT NULL AND r.lease_expires_at IS NULL AND NOT EXISTS (
                            SELECT 1 FROM baton_holders h
                             WHERE h.role = 'consume' AND NOT \(Fragment.isAbsent("h", heartbeatTimeout: "$1")))
                          THEN 'unconsumed' END)
                 WHEN \(Fragment.isSilent(since: "NULL", queued: "$3", running: "$5")) THEN 'silent'
               END AS reason
          FROM code_reviews r
        \(abandonment)
         WHERE \(Fragment.isActive("r")) AND ($6::uuid IS NULL OR r.id = $6)) h
     WHERE h.reason IS NOT NULL
     GROUP BY h.reason
    """)

  /// The queued and running reviews that are held up, by reason: what the reaper is about to take, what no consumer is there for,
  /// and silent runs.
  /// - Parameters:
  ///   - times: when a review counts as abandoned.
  ///   - queue: the name of the work queue.
  ///   - id: looks at one review only.
  package func blockedReviews(
    _ times: ReapTimes, queue: String, only id: UUID? = nil
  ) async throws -> [BlockedReviews] {
    let rows = try await pool.query(
      Self.blocked,
      [
        times.heartbeatTimeout.inSeconds, times.publishGrace.inSeconds, times.staleAfter.inSeconds, queue,
        times.runningTimeout.inSeconds, id,
      ])
    return decodeEach(rows, "reason") { row in
      BlockedReviews(
        reason: try row.choice("reason", as: BlockReason.self), count: Int(try row.decode("rows", as: Int64.self)),
        since: try row.timestamp("since"), examples: try row.decode("examples", as: [UUID].self))
    }
  }

  static let whyPending = PostgresStatement(
    "why_pending",
    """
    /* baton:why_pending */
    SELECT CASE WHEN r.available_at = 'infinity' THEN 'held'
                WHEN NOT (\(Fragment.isDue)) THEN 'due_later' ELSE
             \(Fragment.waiting(active: "a.active", limit: "$2")) END AS reason
      FROM code_reviews r
      JOIN review_owners o ON o.owner_type = r.owner_type AND o.owner_id = r.owner_id
     CROSS JOIN LATERAL (
       SELECT count(*) AS active
         FROM code_reviews c
        WHERE \(Fragment.isActive("c")) AND c.owner_type = r.owner_type AND c.owner_id = r.owner_id) a
     WHERE r.id = $1 AND \(Fragment.hasStatus("'pending'"))
    """)

  /// Why a review is held up; nil if it is on its way, has ended, or does not exist.
  package func blockReason(of id: UUID, _ times: ReapTimes, queue: String, ownerLimit: Int) async throws -> BlockReason?
  {
    if let row = try await pool.query(Self.whyPending, [id, Int32(clamping: ownerLimit)]).first {
      return try row.choice("reason", as: BlockReason.self)
    }
    return try await blockedReviews(times, queue: queue, only: id).first?.reason
  }
}

extension OwnerLoad {
  fileprivate init(_ row: PostgresRow) throws {
    self.init(
      owner: Owner(
        type: try row.choice("owner_type", as: Owner.Kind.self), id: try row.decode("owner_id", as: String.self)),
      limit: Int(try row.decode("slots", as: Int32.self)),
      ownLimit: try row.optional("max_concurrent", as: Int32.self).map { Int($0) },
      isPaused: try row.decode("paused", as: Bool.self),
      due: Int(try row.decode("due", as: Int64.self)), dueSince: try row.optionalTimestamp("due_since"),
      later: Int(try row.decode("later", as: Int64.self)), nextDue: try row.optionalTimestamp("next_due"),
      queued: Int(try row.decode("queued", as: Int64.self)), running: Int(try row.decode("running", as: Int64.self)),
      waiting: try row.choice("waiting", as: BlockReason.self))
  }
}
