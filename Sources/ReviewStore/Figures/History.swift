package import FoundationEssentials
internal import PostgresClient
package import Primitives
internal import Reviews

/// What happened in one minute.
package struct FlowMinute: Sendable, Equatable {
  /// Its first instant.
  package var start: Timestamp
  /// Reviews that the worker accepted.
  package var dispatched: Int
  /// How long those had been due: the median and the 95th percentile; nil if there was none.
  package var waitMedian: Duration?
  package var waitP95: Duration?
  package var completed: Int
  package var failed: Int
  package var cancelled: Int

  package init(
    start: Timestamp, dispatched: Int = 0, waitMedian: Duration? = nil, waitP95: Duration? = nil, completed: Int = 0,
    failed: Int = 0, cancelled: Int = 0
  ) {
    self.start = start
    self.dispatched = dispatched
    self.waitMedian = waitMedian
    self.waitP95 = waitP95
    self.completed = completed
    self.failed = failed
    self.cancelled = cancelled
  }
}

/// The failures of one kind.
package struct FailureGroup: Sendable, Equatable {
  /// nil if the row has none.
  package var code: String?
  package var count: Int
  package var lastAt: Timestamp
  package var lastID: UUID
  /// The last one's, at most 300 characters.
  package var lastMessage: String?
}

/// A process that claims, leases or serves.
package struct HolderStanding: Sendable, Equatable {
  package var role: String
  package var host: String
  package var processID: Int
  package var startedAt: Timestamp
  package var heartbeatAt: Timestamp
  package var inFlight: Int
  package var isDead: Bool
  package var health = Holder.Health()
}

extension ReviewStore {
  static let historyStatements: [PostgresStatement] = [flow, recentFailures, listHolders]

  /// The first minute of the flow. Written out each time: the planner takes the result of a subquery for a third of all rows, and reads the table.
  private static let firstMinute = "date_trunc('minute', now()) - make_interval(mins => $1)"

  static let flow = PostgresStatement(
    "flow",
    """
    /* baton:flow */
    WITH accepted AS (
      -- What was dispatched since then has ended since then, or has not ended.
      SELECT r.dispatched_at, r.available_at
        FROM code_reviews r
       WHERE r.status IN ('completed', 'failed', 'cancelled') AND r.completed_at >= \(firstMinute)
      UNION ALL
      SELECT r.dispatched_at, r.available_at FROM code_reviews r WHERE \(Fragment.isActive("r"))
    ),
    dispatched AS (
      SELECT date_trunc('minute', d.dispatched_at) AS minute, count(*) AS dispatched,
             percentile_cont(0.5) WITHIN GROUP (ORDER BY d.wait) AS median,
             percentile_cont(0.95) WITHIN GROUP (ORDER BY d.wait) AS p95
        FROM (SELECT a.dispatched_at,
                     GREATEST(0, \(Fragment.seconds(from: "a.available_at", to: "a.dispatched_at"))) AS wait
                FROM accepted a
               WHERE a.dispatched_at >= \(firstMinute)
                 AND isfinite(a.dispatched_at) AND isfinite(a.available_at)) d
       GROUP BY 1
    ),
    ended AS (
      SELECT date_trunc('minute', t.at) AS minute,
             count(*) FILTER (WHERE t.to_status = 'completed') AS completed,
             count(*) FILTER (WHERE t.to_status = 'failed') AS failed,
             count(*) FILTER (WHERE t.to_status = 'cancelled') AS cancelled
        FROM review_transitions t
       WHERE t.at >= \(firstMinute) AND isfinite(t.at) AND t.to_status IN ('completed', 'failed', 'cancelled')
       GROUP BY 1
    )
    SELECT minute, COALESCE(dispatched, 0) AS dispatched, median, p95, COALESCE(completed, 0) AS completed,
           COALESCE(failed, 0) AS failed, COALESCE(cancelled, 0) AS cancelled
      FROM dispatched FULL JOIN ended USING (minute)
     ORDER BY minute
    """)

  /// What happened in each of the last minutes and in the present one, oldest first; minutes in which nothing happened are left out.
  package func flow(minutes: Int) async throws -> [FlowMinute] {
    decodeEach(try await pool.query(Self.flow, [Int32(clamping: minutes)]), "minute") { row in
      FlowMinute(
        start: try row.timestamp("minute"), dispatched: Int(try row.decode("dispatched", as: Int64.self)),
        waitMedian: try row.optional("median", as: Double.self).map { .seconds(saturating: $0) },
        waitP95: try row.optional("p95", as: Double.self).map { .seconds(saturating: $0) },
        completed: Int(try row.decode("completed", as: Int64.self)),
        failed: Int(try row.decode("failed", as: Int64.self)),
        cancelled: Int(try row.decode("cancelled", as: Int64.self)))
    }
  }

  /// At most this many of the newest failures are looked at.
  package static let failureCountMax = 1_000

  static let recentFailures = PostgresStatement(
    "recent_failures",
    """
    /* baton:recent_failures */
    SELECT f.error_code, count(*) AS rows, max(f.completed_at) AS last_at,
           (array_agg(f.id ORDER BY f.completed_at DESC, f.id))[1] AS last_id,
           (array_agg(f.error_message ORDER BY f.completed_at DESC, f.id))[1] AS last_message
      FROM (SELECT r.id, r.error_code, left(r.error_message, 300) AS error_message, r.completed_at
              FROM code_reviews r
             WHERE r.status = 'failed' AND r.completed_at > now() - interval '24 hours'
             ORDER BY r.completed_at DESC
             LIMIT \(failureCountMax)) f
     GROUP BY f.error_code
     ORDER BY rows DESC, f.error_code
    """)

  /// The failures of the last 24 hours by their code, the most frequent first.
  package func recentFailures() async throws -> [FailureGroup] {
    decodeEach(try await pool.query(Self.recentFailures, []), "failure") { row in
      FailureGroup(
        code: try row.optional("error_code", as: String.self), count: Int(try row.decode("rows", as: Int64.self)),
        lastAt: try row.timestamp("last_at"), lastID: try row.decode("last_id", as: UUID.self),
        lastMessage: try row.optional("last_message", as: String.self))
    }
  }

  static let listHolders = PostgresStatement(
    "list_holders",
    """
    /* baton:list_holders */
    WITH known AS (
      SELECT h.*, \(Fragment.isAbsent("h", heartbeatTimeout: "$1")) AS is_dead,
             COALESCE(h.health -> 'faults', '[]') NOT IN ('[]', 'null') AS is_held_back
        FROM baton_holders h
    ),
    -- Some of each kind, if not all can be returned: of what a role does, lives, and reports.
    ranked AS (
      SELECT k.*, row_number() OVER (
               PARTITION BY k.role, k.health -> 'roles', k.is_dead, k.is_held_back ORDER BY k.heartbeat_at DESC, k.id) AS place
        FROM known k
    ),
    chosen AS (
      SELECT r.* FROM ranked r ORDER BY r.place, NOT r.is_held_back, r.is_dead, r.role, r.id LIMIT $2
    )
    SELECT c.role, c.host, c.pid, c.started_at, c.heartbeat_at, c.unleased_tickets + c.in_flight AS in_flight, c.is_dead,
           c.health::text AS health
      FROM chosen c
     ORDER BY c.is_dead OR c.is_held_back DESC, c.is_dead, c.role, c.host, c.pid, c.id
    """)

  /// The processes that have signed on: first those that are held back and those that died, then by their roles. Of each kind some are returned,
  /// however many there are of another.
  /// - Parameters:
  ///   - heartbeatTimeout: BATON_LEASE.
  ///   - limit: the most that are returned.
  package func holders(heartbeatTimeout: Duration, limit: Int) async throws -> [HolderStanding] {
    let rows = try await pool.query(
      Self.listHolders, [heartbeatTimeout.inSeconds, Int32(clamping: limit)])
    return decodeEach(rows, "process") { row in
      HolderStanding(
        role: try row.decode("role", as: String.self), host: try row.decode("host", as: String.self),
        processID: Int(try row.decode("pid", as: Int32.self)), startedAt: try row.timestamp("started_at"),
        heartbeatAt: try row.timestamp("heartbeat_at"), inFlight: Int(try row.decode("in_flight", as: Int32.self)),
        isDead: try row.decode("is_dead", as: Bool.self),
        health: Holder.Health(json: try row.decode("health", as: String.self)))
    }
  }
}
