internal import PostgresClient

/// Why sessions that a connection pooler gives out are not what Baton needs.
package enum SessionFault: Error, CustomStringConvertible, Equatable {
  /// Statements of one connection reach different sessions of Postgres.
  case isShared
  /// The settings that each session is to have were not passed on.
  case lacksSettings

  package var description: String {
    switch self {
    case .isShared:
      "a connection pooler between Baton and Postgres gives each transaction another session: Baton's sessions hold locks, listen and "
        + "prepare statements. Connect to Postgres itself, or to a pool in session mode (PgBouncer: pool_mode = session)"
    case .lacksSettings:
      "a connection pooler between Baton and Postgres does not pass on the settings of Baton's sessions. Connect to Postgres itself, "
        + "or give this account the settings with ALTER ROLE: see deploy/pooling.md"
    }
  }
}

extension Migrator {
  // Not prepared: a pooler of transactions has them already, from the last start, in a session of which this one knows nothing.
  private static let backend = PostgresStatement(
    unprepared: """
      /* baton:session_backend */
      SELECT pg_backend_pid() AS pid, current_setting('enable_seqscan') = 'off' AND current_setting('jit') = 'off' AS is_set
      """)
  private static let takeMark = PostgresStatement(
    unprepared: "/* baton:session_mark */ SELECT pg_advisory_lock($1::bigint)")
  private static let findMark = PostgresStatement(
    unprepared: "/* baton:session_find */ SELECT pg_try_advisory_lock($1::bigint)")
  private static let dropMark = PostgresStatement(
    unprepared: "/* baton:session_unmark */ SELECT pg_advisory_unlock($1::bigint)")

  /// Checks that a connection is a session of Postgres, or of a pooler that gives out whole sessions.
  ///
  /// A pooler makes up the process id that it sends a client at log-in. A lock that one connection has taken marks its session; a pooler
  /// of transactions, or of statements, gives the next one, which is another connection's, the session that was just free. So the question
  /// comes without BEGIN, which a pooler of statements refuses.
  /// - Throws: `SessionFault` or `PostgresError`.
  func checkSessions() async throws {
    try await pool.withConnection { first in
      let row = try await first.query(Self.backend, [])[0]
      guard try row.decode("pid", as: Int32.self) != (await first.backendPID) else { return }
      let mark = Int64.random(in: .min ... .max)
      _ = try await first.query(Self.takeMark, [mark])
      // A pool of one connection has no second one to find out with.
      let isShared = try? await pool.withConnection { second in
        try await second.query(Self.findMark, [mark])[0].decode(0, as: Bool.self)
      }
      _ = try await first.query(Self.dropMark, [mark])
      guard isShared != true else { throw SessionFault.isShared }
      guard try row.decode("is_set", as: Bool.self) else { throw SessionFault.lacksSettings }
    }
  }
}
