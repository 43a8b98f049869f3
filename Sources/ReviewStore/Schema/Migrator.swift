package import PostgresClient

/// Creates and upgrades the schema: versioned, forward only, each step in one transaction under an advisory lock, so that it may
/// run twice, and from many machines at once.
///
/// The schema is that one of the session's `search_path` which has the table `baton_migrations`; before the first step, the first
/// one that exists. A URL names another one with `?options=-csearch_path%3Dbaton`.
package struct Migrator: Sendable {
  /// One step. Never edited once released.
  package struct Migration: Sendable {
    package var version: Int
    package var name: String
    package var sql: String
  }

  /// The version that this program needs.
  package static var version: Int { migrations.last?.version ?? 0 }

  let pool: PostgresPool
  /// How long a step tries to get its locks.
  let waitMax: Duration

  package init(pool: PostgresPool, waitMax: Duration = .seconds(60)) {
    self.pool = pool
    self.waitMax = waitMax
  }

  /// Over the store's connections.
  package init(_ store: ReviewStore) { self.init(pool: store.pool) }

  /// Closes the pool.
  package func close() async { await pool.close() }

  /// The server with the account and the database, without the password.
  package var server: String { pool.configuration.description }

  static let place = PostgresStatement(
    "migrate_place",
    """
    /* baton:migrate_place */
    SELECT COALESCE(n.nspname, current_schema()) AS schema, n.oid IS NOT NULL AS is_there, current_setting('search_path') AS path
      FROM (SELECT to_regclass('baton_migrations') AS id) t
      LEFT JOIN pg_class c ON c.oid = t.id
      LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
    """)

  static let applied = PostgresStatement(
    "migrate_applied", "/* baton:migrate_applied */ SELECT COALESCE(max(version), 0) FROM baton_migrations")

  /// A table that the search path has in another schema before Baton's.
  static let shadowed = PostgresStatement(
    "migrate_shadowed",
    """
    /* baton:migrate_shadowed */
    SELECT c.relname, to_regclass(quote_ident(c.relname))::text AS found
      FROM pg_class b
      JOIN pg_class c ON c.relnamespace = b.relnamespace AND c.relkind IN ('r', 'p')
     WHERE b.oid = to_regclass('baton_migrations')
       AND (c.relname LIKE 'baton\\_%'
         OR c.relname IN ('code_reviews', 'review_owners', 'review_transitions', 'agent_configs', 'platform_integrations',
                          'webhook_deliveries'))
       AND to_regclass(quote_ident(c.relname)) IS DISTINCT FROM c.oid
     LIMIT 1
    """)

  /// Checks that the schema is the one that this program works with; every role does it before it starts. A newer schema is
  /// refused only by `migrate`: during a rolling upgrade the older program goes on with it.
  /// - Throws: `SchemaFault`, `SessionFault` or `PostgresError`.
  package func check() async throws {
    try await checkSessions()
    let place = try await pool.query(Self.place, [])[0]
    guard try place.decode("is_there", as: Bool.self) else {
      throw SchemaFault.missing(path: try place.decode("path", as: String.self))
    }
    if let row = try await pool.query(Self.shadowed, []).first {
      throw SchemaFault.shadowed(
        table: try row.decode("relname", as: String.self), by: try row.optional("found", as: String.self) ?? "nothing")
    }
    let found = Int(try await pool.query(Self.applied, [])[0].decode(0, as: Int32.self))
    if found < Self.version { throw SchemaFault.older(found: found, needed: Self.version) }
  }
}
