internal import PostgresClient
package import Primitives
internal import Reviews

/// How the runs of one version of the worker's agent end: what a deploy has changed.
package struct WorkerVersion: Sendable, Equatable {
  /// As the worker names it; nil if it names none.
  package var version: String?
  /// When the first of its reviews was dispatched, among those that ended in the last 24 hours.
  package var firstSeen: Timestamp
  /// Reviews that completed or failed in the last hour, and those of them that failed.
  package var ended: Int
  package var failed: Int

  package init(version: String?, firstSeen: Timestamp, ended: Int, failed: Int) {
    (self.version, self.firstSeen, self.ended, self.failed) = (version, firstSeen, ended, failed)
  }
}

extension ReviewStore {
  static let workerVersionStatements: [PostgresStatement] = [workerVersions]

  /// At most this many of the newest ends are looked at.
  package static let versionSpan = 5_000

  static let workerVersions = PostgresStatement(
    "worker_versions",
    """
    /* baton:worker_versions */
    SELECT e.agent_version, min(e.dispatched_at) AS first_seen, count(*) FILTER (WHERE e.is_recent) AS ended,
           count(*) FILTER (WHERE e.is_recent AND e.is_failed) AS failed
      FROM (SELECT r.agent_version, r.dispatched_at, r.status = 'failed' AS is_failed, r.status = 'cancelled' AS is_cancelled,
                   r.completed_at > now() - interval '1 hour' AS is_recent
              FROM code_reviews r
             WHERE r.status IN ('completed', 'failed', 'cancelled') AND r.completed_at > now() - interval '24 hours'
             ORDER BY r.completed_at DESC, r.id DESC
             LIMIT \(versionSpan)) e
     WHERE e.dispatched_at IS NOT NULL AND NOT e.is_cancelled
     GROUP BY e.agent_version
     ORDER BY first_seen DESC, e.agent_version
     LIMIT 20
    """)

  /// The versions of the last 24 hours, the newest first.
  package func workerVersions() async throws -> [WorkerVersion] {
    decodeEach(try await pool.query(Self.workerVersions, []), "version") { row in
      WorkerVersion(
        version: try row.optional("agent_version", as: String.self),
        firstSeen: try row.timestamp("first_seen"),
        ended: Int(try row.decode("ended", as: Int64.self)),
        failed: Int(try row.decode("failed", as: Int64.self)))
    }
  }
}
