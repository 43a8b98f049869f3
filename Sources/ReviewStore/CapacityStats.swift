internal import PostgresClient

/// What the database knows about what keeps reviews waiting: for alerts.
package struct CapacityStats: Sendable, Equatable {
  /// The age of the oldest due review that a producer may claim now; nil where there is none.
  package var oldestClaimable: Duration?
  /// Since the start of the oldest running review; nil where none runs.
  package var oldestRunning: Duration?
  /// Due reviews whose owner has as many queued and running as it may.
  package var heldByLimit: Int
  /// Due reviews whose owner is paused.
  package var heldByPause: Int
  /// When a reaper last finished a pass, as Unix time in seconds; nil before the first.
  package var reaperLastRun: Double?
}

extension ReviewStore {
  static let capacity = Statement(
    "capacity",
    """
    /* baton:capacity */
    WITH waiting AS (
      SELECT r.owner_type, r.owner_id, count(*) AS due, min(r.available_at) AS oldest
        FROM code_reviews r
       WHERE \(Fragment.isDue)
       GROUP BY r.owner_id, r.owner_type
    ),
    owners AS (
      SELECT w.due, w.oldest, o.paused,
             COALESCE(o.max_concurrent, $1) <= (
               SELECT count(*)
                 FROM code_reviews a
                WHERE a.owner_type = w.owner_type AND a.owner_id = w.owner_id
                  AND a.status IN ('queued', 'running')) AS is_full
        FROM waiting w
        JOIN review_owners o ON o.owner_type = w.owner_type AND o.owner_id = w.owner_id
    )
    SELECT \(Fragment.seconds(from: "min(o.oldest) FILTER (WHERE NOT o.paused AND NOT o.is_full)")) AS oldest_claimable,
           COALESCE(sum(o.due) FILTER (WHERE NOT o.paused AND o.is_full), 0)::bigint AS held_by_limit,
           COALESCE(sum(o.due) FILTER (WHERE o.paused), 0)::bigint AS held_by_pause,
           (SELECT \(Fragment.seconds(from: "min(r.started_at)"))
              FROM code_reviews r
             WHERE r.status IN ('queued', 'running') AND r.status = 'running') AS oldest_running,
           (SELECT extract(epoch FROM b.last_run_at)::float8 FROM baton_reaper b) AS reaper_last_run
      FROM owners o
    """)

  /// The figures of now. They read the rows that wait and those that are active, none of the history.
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
      reaperLastRun: try row.optional("reaper_last_run", as: Double.self))
  }

  static let reaperRan = Statement(
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
