internal import PostgresClient
internal import Reviews

/// What has happened to reviews since the schema counts it, whichever process did it; each count only grows. Reapers of an older
/// version, which run with newer ones during an upgrade, do not count.
package struct ReviewCounts: Sendable, Equatable {
  /// Reviews that completed.
  package var completed: Int
  /// Reviews that failed, by `error_code`; "" if it is NULL.
  package var failed: [String: Int]
  /// Abandoned reviews that a reaper has published again, by `ReapReason`.
  package var reaped: [String: Int] = [:]
  /// Silent reviews that the worker was asked about, by result.
  package var reconciled: [String: Int] = [:]
  /// What `baton catch-up` has found, by kind.
  package var caughtUp: [String: Int] = [:]
  /// Cancels that the worker never accepted.
  package var cancelsGivenUp = 0
  /// Webhooks that could not be processed.
  package var webhooksGivenUp = 0

  package init(completed: Int = 0, failed: [String: Int] = [:]) { (self.completed, self.failed) = (completed, failed) }
}

extension ReviewStore {
  static let countStatements: [PostgresStatement] = [counts, countReconciled]

  static let counts = PostgresStatement(
    "counts",
    """
    /* baton:counts */
    SELECT c.what, c.label, sum(c.count)::bigint AS count FROM baton_counts c GROUP BY c.what, c.label
    """)

  /// The counts of now: a few hundred rows at most.
  package func counts() async throws -> ReviewCounts {
    var counts = ReviewCounts()
    for row in try await pool.query(Self.counts, []) {
      let (label, count) = (try row.decode("label", as: String.self), Int(try row.decode("count", as: Int64.self)))
      switch try row.decode("what", as: String.self) {
      case "completed": counts.completed = count
      case "failed": counts.failed[label] = count
      case "reaped": counts.reaped[label] = count
      case "reconciled": counts.reconciled[label] = count
      case "catch_up": counts.caughtUp[label] = count
      case "outbox": counts.cancelsGivenUp += count
      case "webhook": counts.webhooksGivenUp += count
      default: break  // a newer version's
      }
    }
    return counts
  }

  static let countReconciled = PostgresStatement(
    "count_reconciled",
    """
    /* baton:count_reconciled */
    INSERT INTO baton_counts AS c (what, label, count)
    SELECT 'reconciled', t.result, t.count FROM unnest($1::text[], $2::bigint[]) AS t (result, count) ORDER BY t.result
    ON CONFLICT (what, label, shard) DO UPDATE SET count = c.count + EXCLUDED.count
    """)

  /// Adds the results of asking the worker.
  package func countReconciled(_ results: [String: Int]) async throws {
    guard !results.isEmpty else { return }
    let ordered = results.sorted { $0.key < $1.key }
    _ = try await pool.query(Self.countReconciled, [ordered.map(\.key), ordered.map { Int64($0.value) }])
  }
}
