package import PostgresClient

/// Creates and upgrades the schema: versioned, forward only, in one transaction under an advisory lock, so that it may run
/// twice, and from many machines at once.
package struct Migrator: Sendable {
  /// One step. Never edited once released.
  package struct Migration: Sendable {
    package var version: Int
    package var name: String
    package var sql: String
  }

  /// Why the schema is not the one that this program works with.
  package enum SchemaFault: Error, CustomStringConvertible, Equatable {
    case missing
    case older(found: Int, needed: Int)
    case newer(found: Int, known: Int)

    package var description: String {
      switch self {
      case .missing: "the database has no Baton schema: run `baton migrate`"
      case .older(let found, let needed):
        "the schema is at version \(found), this program needs \(needed): run `baton migrate`"
      case .newer(let found, let known):
        "the schema is at version \(found), this program knows only up to \(known): upgrade this program"
      }
    }
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
    Migration(version: 15, name: "sizes", sql: String(decoding: PackageResources.v0015_sizes_sql, as: UTF8.self)),
  ]

  /// The version that this program needs.
  package static var version: Int { migrations.last?.version ?? 0 }

  private let pool: PostgresPool

  package init(pool: PostgresPool) { self.pool = pool }

  /// A step waits for the roles' statements, and one machine for another's step, longer than a role waits for a lock.
  static let patience = Statement(
    "migrate_patience", "/* baton:migrate_patience */ SELECT set_config('lock_timeout', '0', true)")

  static let lock = Statement("migrate_lock", "/* baton:migrate_lock */ SELECT pg_advisory_xact_lock(1111577421)")

  static let table = Statement(
    "migrate_table",
    """
    /* baton:migrate_table */
    CREATE TABLE IF NOT EXISTS baton_migrations (
      version    int PRIMARY KEY,
      name       text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )
    """)

  static let applied = Statement(
    "migrate_applied", "/* baton:migrate_applied */ SELECT COALESCE(max(version), 0) FROM baton_migrations")

  static let record = Statement(
    "migrate_record", "/* baton:migrate_record */ INSERT INTO baton_migrations (version, name) VALUES ($1, $2)")

  /// Applies what is missing, each step as a transaction of its own: roles at work wait for one step at a time. What a failure leaves is
  /// the schema of an earlier version, from which the next call goes on.
  /// - Returns: the steps applied now; none where the schema was up to date.
  /// - Throws: `SchemaFault.newer` where a newer program has been here, or `PostgresError`.
  package func migrate() async throws -> [Migration] {
    var applied: [Migration] = []
    while let migration = try await applyNext() { applied.append(migration) }
    return applied
  }

  private func applyNext() async throws -> Migration? {
    try await pool.withTransaction { connection in
      _ = try await connection.query(Self.patience, [])
      _ = try await connection.query(Self.lock, [])
      _ = try await connection.query(Self.table, [])
      let found = Int(try await connection.query(Self.applied, [])[0].decode(0, as: Int32.self))
      guard found <= Self.version else { throw SchemaFault.newer(found: found, known: Self.version) }
      guard let migration = Self.migrations.first(where: { $0.version > found }) else { return nil }
      try await connection.execute(script: migration.sql)
      _ = try await connection.query(Self.record, [Int32(migration.version), migration.name])
      return migration
    }
  }

  static let exists = Statement(
    "schema_exists", "/* baton:schema_exists */ SELECT to_regclass('baton_migrations') IS NOT NULL")

  /// Checks that the schema is the one that this program works with; every role does it before it starts. A newer schema is
  /// refused only by `migrate`: during a rolling upgrade the older program goes on beside it.
  /// - Throws: `SchemaFault` or `PostgresError`.
  package func check() async throws {
    guard try await pool.query(Self.exists, [])[0].decode(0, as: Bool.self) else { throw SchemaFault.missing }
    let found = Int(try await pool.query(Self.applied, [])[0].decode(0, as: Int32.self))
    if found < Self.version { throw SchemaFault.older(found: found, needed: Self.version) }
  }
}
