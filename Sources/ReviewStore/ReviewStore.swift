package import Logging
package import PostgresClient

/// The truth: every statement that Baton runs against its tables, one file for each part of a review's path.
///
/// Each write repeats in its `WHERE` what its caller holds (status, attempt, claim, lease). A write that matches no
/// row means that somebody else has moved on: that is an answer, not an error, and is never repeated blindly.
/// Batched statements lock their rows in the order of their ids, or skip locked ones, so that no two of them deadlock.
/// All times come from Postgres's `now()`.
package struct ReviewStore: Sendable {
  let pool: PostgresPool
  let logger: Logger

  package init(pool: PostgresPool, logger: Logger) {
    self.pool = pool
    self.logger = logger
  }

  /// Settings of each session that runs these statements.
  ///
  /// `enable_seqscan` is off because a plan made while the tables were small, or with statistics from when nothing was
  /// queued, would be kept and read the whole history for every batch; every hot statement has an index to use. `jit` is off
  /// because the planner's penalty for the scans that remain, of tables with a handful of rows, would have each of them
  /// compiled: seconds for what takes a millisecond. `lock_timeout` bounds how long one locked row, or a trigger of the application,
  /// can hold up the statements that share its connection.
  package static let sessionSettings = [
    "enable_seqscan": "off",
    "jit": "off",
    "statement_timeout": "30s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
  ]
}
