package import Logging
package import PostgresClient

/// The truth: every statement that Baton runs against its tables, one file for each part of a review's path.
///
/// Each write repeats in its `WHERE` what its caller holds (status, attempt, claim, lease). A write that matches no
/// row means that another process has moved the row on: that is an answer, not an error, and is never repeated blindly.
/// Batched statements lock their rows in the order of their ids, or skip locked ones, so that no two of them deadlock.
/// All times come from Postgres: `now()`, and `clock_timestamp()` for `claimed_at`, which identifies a claim.
package struct ReviewStore: ReviewLedger {
  let pool: PostgresPool
  let logger: Logger
  let visitedUpTo = VisitedUpTo()
  let allClaimed = AllClaimed()
  let unclaimable = RowsLeftOut()
  let unreapable = RowsLeftOut()
  let unaskable = RowsLeftOut()

  package init(pool: PostgresPool, logger: Logger) {
    self.pool = pool
    self.logger = logger
  }

  /// Closes the pool.
  package func close() async { await pool.close() }

  /// The server with the account and the database, without the password.
  package var server: String { pool.configuration.description }

  /// Settings of each session that runs these statements, so that defaults of Postgres, the database or the account do not matter.
  ///
  /// `enable_seqscan` is off: every hot statement has an index to use. A plan that was made while the tables were small, or while nothing was
  /// queued, would be kept, and would read the whole history for every batch. `jit` is off: the planner's penalty for the scans that remain, of
  /// tables with a handful of rows, would have each of them compiled, which takes seconds for what takes a millisecond. The other planner
  /// settings are Postgres's own defaults.
  ///
  /// `lock_timeout` bounds how long one locked row, or a trigger of the application, can hold up the statements that share its
  /// connection. `search_path` stays the account's: it says which schema is Baton's. `synchronous_commit` stays the operator's decision for
  /// all but ``claim(limit:ownerLimit:by:looksAtDelayed:)`` and ``recordPublished(_:)``, as is a database that is made read-only: connecting waits for its end.
  package static let sessionSettings = [
    // Transactions: the claim needs a fresh snapshot for its second statement.
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    // Times: statements that wait for locks set their own limit.
    "statement_timeout": "30s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "30s",
    // Plans.
    "enable_seqscan": "off",
    "enable_indexscan": "on",
    "enable_indexonlyscan": "on",
    "enable_bitmapscan": "on",
    "enable_nestloop": "on",
    "enable_hashjoin": "on",
    "enable_mergejoin": "on",
    "enable_sort": "on",
    "plan_cache_mode": "auto",
    "jit": "off",
    // How text becomes a value and a value becomes text.
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
    // Rows that a policy hides would be waited for; and no flood of messages.
    "row_security": "on",
    "client_min_messages": "notice",
  ]

  /// The same for a process that dispatches and answers no searches: each statement is planned once for a connection, for any parameters.
  ///
  /// By itself Postgres would plan the batched statements anew at every call, as an array of one element always looks cheaper than the
  /// general plan does; for a single review planning takes longer than the statement. That the general plans keep to their indexes, with
  /// any statistics, is tested.
  package static let dispatchSessionSettings = sessionSettings.merging(["plan_cache_mode": "force_generic_plan"]) { $1 }

  /// What is different for recovery, which has a connection of its own: its statements end soon, and the reviews that a reaper has taken are
  /// free again soon if it stands still, or is cut off, before it has committed.
  package static let recoverySessionSettings = [
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "3s",
  ]

  /// The same for settings that not every version of Postgres knows, or not every account may change.
  package static let optionalSessionSettings = [
    // Of Postgres 14 and 17. An idle session is normal here.
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    // Triggers keep the states, and notify.
    "session_replication_role": "origin",
  ]
}
