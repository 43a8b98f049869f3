internal import PostgresClient
package import Reviews

/// What the database knows about the load: one half of `baton queue`.
package struct StoreStats: Sendable, Equatable {
  package var counts: [ReviewStatus: Int]
  /// Pending reviews that are available at `infinity`: never due, until that is changed.
  package var held = 0
  /// Pending reviews that went back to pending and are due again later, at most 1,000: a target was unavailable, or an attempt failed.
  package var handedBack = 0
  /// The age of the oldest review whose time has come; nil if none waits.
  package var oldestPending: Duration?
  /// Since the claim of the oldest queued review that was not dispatched; nil if there is none.
  package var oldestQueued: Duration?
  /// Deliveries that living consumers hold.
  package var unacknowledged: Int
  /// Living consumers.
  package var consumers: Int
}

extension ReviewStore {
  static let statsStatements: [PostgresStatement] = [liveStats, endedCounts]

  static let liveStats = PostgresStatement(
    "live_stats",
    """
    /* baton:live_stats */
    SELECT (SELECT count(*) FROM code_reviews r WHERE r.status = 'pending') AS pending,
           (SELECT count(*) FROM code_reviews r
             WHERE \(Fragment.isQueued)) AS queued,
           (SELECT count(*) FROM code_reviews r
             WHERE \(Fragment.isRunning)) AS running,
           (SELECT count(*) FROM code_reviews r
             WHERE \(Fragment.isPendingByTime) AND r.available_at = 'infinity') AS held,
           (SELECT count(*)
              FROM (SELECT
                      FROM code_reviews r
                     WHERE \(Fragment.isPendingByTime) AND r.available_at > now() AND r.available_at < 'infinity'
                       AND r.status_reason IS NOT NULL
                     LIMIT 1000) b) AS handed_back,
           (SELECT \(Fragment.seconds(from: "min(r.available_at)"))
              FROM code_reviews r
             WHERE \(Fragment.isPendingByTime) AND r.available_at <= now()) AS oldest_pending,
           (SELECT \(Fragment.seconds(from: "min(r.claimed_at)"))
              FROM code_reviews r
             WHERE \(Fragment.isQueued)
               AND r.dispatched_at IS NULL) AS oldest_queued,
           (SELECT COALESCE(sum(h.unleased_tickets + h.in_flight), 0)::bigint
              FROM baton_holders h
             WHERE h.role = 'consume' AND NOT \(Fragment.isAbsent("h", heartbeatTimeout: "$1"))) AS unacknowledged,
           (SELECT count(*) FROM baton_holders h
             WHERE h.role = 'consume' AND NOT \(Fragment.isAbsent("h", heartbeatTimeout: "$1"))) AS consumers
    """)

  /// The live figures: their cost follows the live rows, so that they can be read with every scrape.
  /// - Parameter heartbeatTimeout: BATON_LEASE.
  package func liveStats(heartbeatTimeout: Duration) async throws -> StoreStats {
    let row = try await pool.query(Self.liveStats, [heartbeatTimeout.inSeconds])[0]
    return StoreStats(
      counts: [
        .pending: Int(try row.decode("pending", as: Int64.self)),
        .queued: Int(try row.decode("queued", as: Int64.self)),
        .running: Int(try row.decode("running", as: Int64.self)),
      ],
      held: Int(try row.decode("held", as: Int64.self)),
      handedBack: Int(try row.decode("handed_back", as: Int64.self)),
      oldestPending: try row.optional("oldest_pending", as: Double.self).map { max(.zero, .seconds(saturating: $0)) },
      oldestQueued: try row.optional("oldest_queued", as: Double.self).map { max(.zero, .seconds(saturating: $0)) },
      unacknowledged: Int(try row.decode("unacknowledged", as: Int64.self)),
      consumers: Int(try row.decode("consumers", as: Int64.self)))
  }

  static let endedCounts = PostgresStatement(
    "ended_counts",
    """
    /* baton:ended_counts */
    SELECT c.label AS status, GREATEST(0, sum(c.count))::bigint AS rows
      FROM baton_counts c
     WHERE c.what = 'rows'
     GROUP BY c.label
    """)

  /// The live figures, and how many ended reviews there are, as the database counts them: the cost does not follow the history.
  ///
  /// Known weakness: TRUNCATE of `code_reviews` by hand counts nothing; after it, delete the rows of `baton_counts` whose `what` is 'rows'.
  package func stats(heartbeatTimeout: Duration) async throws -> StoreStats {
    var stats = try await liveStats(heartbeatTimeout: heartbeatTimeout)
    for status in ReviewStatus.allCases where status.isTerminal { stats.counts[status] = 0 }
    for row in try await pool.query(Self.endedCounts, []) {
      stats.counts[try row.choice("status", as: ReviewStatus.self)] = Int(try row.decode("rows", as: Int64.self))
    }
    return stats
  }
}
