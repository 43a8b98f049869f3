internal import PostgresClient
package import Primitives

/// What the database knows about what keeps reviews waiting: for alerts.
package struct CapacityStats: Sendable, Equatable {
  /// The age of the oldest due review that a producer may claim now; nil if there is none.
  package var oldestClaimable: Duration?
  /// Since the start of the oldest running review; nil if none runs.
  package var oldestRunning: Duration?
  /// Due reviews whose owner has as many queued and running as it may.
  package var heldByLimit: Int
  /// Due reviews whose owner is paused.
  package var heldByPause: Int
  /// When a reaper last finished a pass; nil before the first.
  package var reaperLastRun: Timestamp?
}

extension ReviewStore {
  static let capacityStatements: [PostgresStatement] = [capacity, reaperRan]

  /// What may be claimed is read from the owners that a claim would visit, and what a pause holds up from the paused owners. The limit holds
  /// up the rest: counted, without a look at each owner.
  static let capacity = PostgresStatement(
    "capacity",
    """
    /* baton:capacity */
    WITH visited AS (
      SELECT v.owner_type, v.owner_id FROM baton_visits v WHERE v.due_at IS NULL
       UNION
      SELECT v.owner_type, v.owner_id FROM baton_visits v WHERE v.due_at <= now()
    ),
    claimable AS (
      SELECT sum(d.rows) AS due, min(d.oldest) AS oldest
        FROM visited v
        JOIN review_owners o ON o.owner_type = v.owner_type AND o.owner_id = v.owner_id
       CROSS JOIN LATERAL (
         SELECT count(*) AS rows, min(r.available_at) AS oldest
           FROM code_reviews r
          WHERE \(Fragment.isDue) AND r.owner_type = v.owner_type AND r.owner_id = v.owner_id) d
       WHERE NOT o.paused
         AND COALESCE(o.max_concurrent, $1) > (
           SELECT count(*)
             FROM code_reviews a
            WHERE a.owner_type = v.owner_type AND a.owner_id = v.owner_id AND \(Fragment.isActive("a")))
    ),
    held AS (
      SELECT COALESCE(sum(d.rows), 0) AS by_pause,
             (SELECT count(*) FROM code_reviews r WHERE \(Fragment.isPendingByTime) AND r.available_at <= now()) AS due
        FROM review_owners o
       CROSS JOIN LATERAL (
         SELECT count(*) AS rows
           FROM code_reviews r
          WHERE \(Fragment.isDue) AND r.owner_type = o.owner_type AND r.owner_id = o.owner_id) d
       WHERE o.paused
    )
    SELECT \(Fragment.seconds(from: "c.oldest")) AS oldest_claimable,
           (h.due - h.by_pause - COALESCE(c.due, 0))::bigint AS held_by_limit,
           h.by_pause::bigint AS held_by_pause,
           (SELECT \(Fragment.seconds(from: "min(r.started_at)"))
              FROM code_reviews r
             WHERE \(Fragment.isRunning)) AS oldest_running,
           (SELECT b.last_run_at FROM baton_reaper b) AS reaper_last_run
      FROM claimable c, held h
    """)

  /// The figures of now. They count the rows that are due and those that are active, and read none of the history.
  /// - Parameter ownerLimit: BATON_OWNER_LIMIT, for owners that have none of their own.
  package func capacityStats(ownerLimit: Int) async throws -> CapacityStats {
    let row = try await pool.query(Self.capacity, [Int32(ownerLimit)])[0]
    return CapacityStats(
      oldestClaimable: try row.optional("oldest_claimable", as: Double.self).map {
        max(.zero, .seconds(saturating: $0))
      },
      oldestRunning: try row.optional("oldest_running", as: Double.self).map { max(.zero, .seconds(saturating: $0)) },
      heldByLimit: Int(try row.decode("held_by_limit", as: Int64.self)),
      heldByPause: Int(try row.decode("held_by_pause", as: Int64.self)),
      reaperLastRun: try row.optionalTimestamp("reaper_last_run"))
  }

  static let reaperRan = PostgresStatement(
    "reaper_ran",
    """
    /* baton:reaper_ran */
    INSERT INTO baton_reaper AS b (last_run_at)
    VALUES (now())
    ON CONFLICT (is_only) DO UPDATE SET last_run_at = EXCLUDED.last_run_at
     WHERE b.last_run_at < EXCLUDED.last_run_at
    """)

  /// Notes that a reaper has just finished a pass.
  package func recordReaperRun() async throws { _ = try await pool.query(Self.reaperRan, []) }
}
