internal import PostgresClient

/// The dashboard's sessions. A row is a session that has begun and not ended; without a row a cookie and every copy of it
/// are void.
extension ReviewStore {
  static let dashboardSessionStatements: [PostgresStatement] = [beginSession, liveSessions, endSession, endSessions]

  static let beginSession = PostgresStatement(
    "begin_session",
    """
    /* baton:begin_session */
    WITH past AS (
      DELETE FROM baton_sessions
       WHERE id IN (
         SELECT id FROM baton_sessions
          WHERE ends_at <= now() OR id = $2
          ORDER BY id
          LIMIT 1000
            FOR UPDATE SKIP LOCKED)
    )
    INSERT INTO baton_sessions (id, ends_at) VALUES ($1, now() + make_interval(secs => $3))
    """)

  /// Begins a session, and deletes those whose time is over.
  /// - Parameters:
  ///   - id: the new session's.
  ///   - former: the session that the same browser had before; it ends.
  ///   - lifetime: by the database's clock.
  package func beginSession(_ id: String, replacing former: String?, lifetime: Duration) async throws {
    _ = try await pool.query(Self.beginSession, [id, former, lifetime / .seconds(1)])
  }

  static let liveSessions = PostgresStatement(
    "live_sessions",
    """
    /* baton:live_sessions */
    SELECT id FROM baton_sessions WHERE id = ANY ($1::text[]) AND ends_at > now()
    """)

  /// Those of the sessions that have begun and not ended.
  package func liveSessions(_ ids: [String]) async throws -> Set<String> {
    Set(try await pool.query(Self.liveSessions, [ids]).map { try $0.decode("id", as: String.self) })
  }

  static let endSession = PostgresStatement(
    "end_session", "/* baton:end_session */ DELETE FROM baton_sessions WHERE id = $1")

  /// Ends a session on every server.
  package func endSession(_ id: String) async throws {
    _ = try await pool.query(Self.endSession, [id])
  }

  static let endSessions = PostgresStatement(
    "end_sessions",
    """
    /* baton:end_sessions */
    DELETE FROM baton_sessions WHERE id IN (SELECT id FROM baton_sessions ORDER BY id FOR UPDATE)
    """)

  /// Ends every session on every server.
  package func endSessions() async throws {
    _ = try await pool.query(Self.endSessions, [])
  }
}
