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

  /// All steps, in order.
  package static let migrations = [
    Migration(
      version: 1, name: "reviews", sql: String(decoding: PackageResources.v0001_reviews_sql, as: UTF8.self)),
    Migration(
      version: 2, name: "feedback", sql: String(decoding: PackageResources.v0002_feedback_sql, as: UTF8.self)),
    Migration(
      version: 3, name: "dashboard", sql: String(decoding: PackageResources.v0003_dashboard_sql, as: UTF8.self)),
    Migration(version: 4, name: "reaper", sql: String(decoding: PackageResources.v0004_reaper_sql, as: UTF8.self)),
    Migration(
      version: 5, name: "sessions", sql: String(decoding: PackageResources.v0005_sessions_sql, as: UTF8.self)),
    Migration(version: 6, name: "traces", sql: String(decoding: PackageResources.v0006_traces_sql, as: UTF8.self)),
    Migration(version: 7, name: "counts", sql: String(decoding: PackageResources.v0007_counts_sql, as: UTF8.self)),
    Migration(
      version: 8, name: "given-up feedback",
      sql: String(decoding: PackageResources.v0008_given_up_feedback_sql, as: UTF8.self)),
    Migration(version: 9, name: "repairs", sql: String(decoding: PackageResources.v0009_repairs_sql, as: UTF8.self)),
    Migration(version: 10, name: "ended", sql: String(decoding: PackageResources.v0010_ended_sql, as: UTF8.self)),
    Migration(
      version: 11, name: "holders", sql: String(decoding: PackageResources.v0011_holders_sql, as: UTF8.self)),
    Migration(
      version: 12, name: "recovery", sql: String(decoding: PackageResources.v0012_recovery_sql, as: UTF8.self)),
    Migration(version: 13, name: "visits", sql: String(decoding: PackageResources.v0013_visits_sql, as: UTF8.self)),
    Migration(
      version: 14, name: "unclear starts",
      sql: String(decoding: PackageResources.v0014_unclear_starts_sql, as: UTF8.self)),
    Migration(version: 15, name: "sizes", sql: String(decoding: PackageResources.v0015_sizes_sql, as: UTF8.self)),
    Migration(version: 16, name: "bounds", sql: String(decoding: PackageResources.v0016_bounds_sql, as: UTF8.self)),
    Migration(version: 17, name: "access", sql: String(decoding: PackageResources.v0017_access_sql, as: UTF8.self)),
    Migration(version: 18, name: "tenants", sql: String(decoding: PackageResources.v0018_tenants_sql, as: UTF8.self)),
    Migration(
      version: 19, name: "sessions apart",
      sql: String(decoding: PackageResources.v0019_sessions_apart_sql, as: UTF8.self)),
    Migration(version: 20, name: "sealing", sql: String(decoding: PackageResources.v0020_sealing_sql, as: UTF8.self)),
    Migration(version: 21, name: "names", sql: String(decoding: PackageResources.v0021_names_sql, as: UTF8.self)),
    Migration(version: 22, name: "identity", sql: String(decoding: PackageResources.v0022_identity_sql, as: UTF8.self)),
    Migration(
      version: 23, name: "repository ids",
      sql: String(decoding: PackageResources.v0023_repository_ids_sql, as: UTF8.self)),
    Migration(
      version: 24, name: "platform events",
      sql: String(decoding: PackageResources.v0024_platform_events_sql, as: UTF8.self)),
    Migration(
      version: 25, name: "catch-up", sql: String(decoding: PackageResources.v0025_catch_up_sql, as: UTF8.self)),
    Migration(version: 26, name: "health", sql: String(decoding: PackageResources.v0026_health_sql, as: UTF8.self)),
    Migration(
      version: 27, name: "row counts", sql: String(decoding: PackageResources.v0027_row_counts_sql, as: UTF8.self)),
    Migration(
      version: 28, name: "catch-up bounds",
      sql: String(decoding: PackageResources.v0028_catch_up_bounds_sql, as: UTF8.self)),
    Migration(version: 29, name: "events", sql: String(decoding: PackageResources.v0029_events_sql, as: UTF8.self)),
    Migration(
      version: 30, name: "backends", sql: String(decoding: PackageResources.v0030_backends_sql, as: UTF8.self)),
    Migration(
      version: 31, name: "lean triggers",
      sql: String(decoding: PackageResources.v0031_lean_triggers_sql, as: UTF8.self)),
    Migration(version: 32, name: "places", sql: String(decoding: PackageResources.v0032_places_sql, as: UTF8.self)),
    Migration(
      version: 33, name: "pending by place",
      sql: String(decoding: PackageResources.v0033_pending_by_place_sql, as: UTF8.self)),
    Migration(
      version: 34, name: "installation order",
      sql: String(decoding: PackageResources.v0034_installation_order_sql, as: UTF8.self)),
  ]

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
