internal import CrashPoints
internal import PostgresClient
internal import Resilience
internal import Synchronization

extension Migrator {
  /// How long a step waits for a lock at a time. Statements of others that come later wait behind it for as long.
  private static let lockWait = "2s"
  private static let pause = Backoff(base: .seconds(2), max: .seconds(5))

  /// In each step's transaction, whatever the account or the database have for defaults: a step that builds an index may take long,
  /// but waits for a lock only briefly. The path has Baton's schema alone.
  static let settings = PostgresStatement(
    "migrate_settings",
    """
    /* baton:migrate_settings */
    SELECT set_config('search_path', quote_ident($1), true), set_config('statement_timeout', '0', true),
           set_config('idle_in_transaction_session_timeout', '0', true), set_config('lock_timeout', '0', true)
    """)

  static let lock = PostgresStatement(
    "migrate_lock", "/* baton:migrate_lock */ SELECT pg_advisory_xact_lock(1111577421)")

  static let lockTimeout = PostgresStatement(
    "migrate_lock_timeout", "/* baton:migrate_lock_timeout */ SELECT set_config('lock_timeout', $1, true)")

  static let table = PostgresStatement(
    "migrate_table",
    """
    /* baton:migrate_table */
    CREATE TABLE IF NOT EXISTS baton_migrations (
      version    int PRIMARY KEY,
      name       text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )
    """)

  static let record = PostgresStatement(
    "migrate_record", "/* baton:migrate_record */ INSERT INTO baton_migrations (version, name) VALUES ($1, $2)")

  static let blockers = PostgresStatement(
    "migrate_blockers",
    """
    /* baton:migrate_blockers */
    SELECT a.pid, COALESCE(a.application_name, '') AS application, COALESCE(a.usename, '')::text AS "user",
           \(Fragment.seconds(from: "a.xact_start")) AS age
      FROM unnest(pg_blocking_pids($1)) AS b (pid)
      JOIN pg_stat_activity a ON a.pid = b.pid
     ORDER BY a.xact_start, a.pid
     LIMIT 3
    """)

  /// Applies what is missing, each step as a transaction of its own: roles at work wait for one step at a time. What a failure leaves is
  /// the schema of an earlier version, from which the next call goes on. A schema that is up to date is only read.
  /// - Parameter onBlocked: is given the sessions that hold a lock which a step waits for, whenever they change.
  /// - Returns: the steps applied now; none if the schema was up to date.
  /// - Throws: `SchemaFault.newer` if a newer program has migrated the schema, `SchemaFault.blocked`, or `PostgresError`.
  package func migrate(onBlocked: @escaping @Sendable ([Blocker]) -> Void = { _ in }) async throws -> [Migration] {
    var applied: [Migration] = []
    while let (schema, version) = try await unfinishedSchema() {
      guard let migration = try await applyNext(after: version, in: schema, onBlocked) else { continue }
      applied.append(migration)
      CrashPoint.migrated.reached()
    }
    return applied
  }

  /// The schema's name and version; nil if nothing is to be done in it. Needs no right but to read.
  private func unfinishedSchema() async throws -> (String, Int)? {
    let place = try await pool.query(Self.place, [])[0]
    guard let schema = try place.optional("schema", as: String.self) else {
      throw SchemaFault.noPlace(path: try place.decode("path", as: String.self))
    }
    guard try place.decode("is_there", as: Bool.self) else { return (schema, 0) }
    let found = Int(try await pool.query(Self.applied, [])[0].decode(0, as: Int32.self))
    guard found <= Self.version else { throw SchemaFault.newer(found: found, known: Self.version) }
    guard found == Self.version else { return (schema, found) }
    return try await pool.query(Self.unpinnedFunctions, [schema]).isEmpty ? nil : (schema, found)
  }

  /// Tries to apply a step until it gets its locks. A deadlock with roles at work is one more wait.
  private func applyNext(
    after version: Int, in schema: String, _ onBlocked: @escaping @Sendable ([Blocker]) -> Void
  ) async throws -> Migration? {
    let deadline = ContinuousClock.now + waitMax
    var attempt = 0
    while true {
      let blockers = Mutex<[Blocker]>([])
      do {
        return try await apply(in: schema) { found in
          let isNew = blockers.withLock { blockers in
            defer { blockers = found }
            return blockers.map(\.processID) != found.map(\.processID)
          }
          if isNew { onBlocked(found) }
        }
      } catch let error as PostgresError where error.isLockConflict {
        guard .now < deadline else {
          let next = Self.migrations.first { $0.version > version }?.version ?? Self.version
          throw SchemaFault.blocked(version: next, by: blockers.withLock { $0 })
        }
        try await Task.sleep(for: .seconds(1) + Self.pause.delay(attempt: attempt))
        attempt += 1
      }
    }
  }

  private func apply(in schema: String, _ onBlocked: @escaping @Sendable ([Blocker]) -> Void) async throws -> Migration?
  {
    try await pool.withTransaction { connection in
      let watch = watchLocks(of: await connection.backendPID, onBlocked)
      defer { watch.cancel() }
      _ = try await connection.query(Self.settings, [schema])
      // Another migration is waited for to its end: no role needs this lock.
      _ = try await connection.query(Self.lock, [])
      _ = try await connection.query(Self.lockTimeout, [Self.lockWait])
      _ = try await connection.query(Self.table, [])
      let found = Int(try await connection.query(Self.applied, [])[0].decode(0, as: Int32.self))
      guard found <= Self.version else { throw SchemaFault.newer(found: found, known: Self.version) }
      let migration = Self.migrations.first { $0.version > found }
      if let migration {
        try await connection.execute(script: migration.sql)
        _ = try await connection.query(Self.record, [Int32(migration.version), migration.name])
      }
      try await pinFunctions(connection, in: schema)
      return migration
    }
  }

  /// Looks, over another connection, at what a session waits for.
  private func watchLocks(of session: Int32, _ onBlocked: @escaping @Sendable ([Blocker]) -> Void) -> Task<Void, Never>
  {
    Task {
      while (try? await Task.sleep(for: .milliseconds(500))) != nil {
        let found = try? await pool.query(Self.blockers, [session]).map { try Blocker($0) }
        if let found, !found.isEmpty { onBlocked(found) }
      }
    }
  }
}

extension Migrator.Blocker {
  fileprivate init(_ row: PostgresRow) throws {
    self.init(
      processID: Int(try row.decode("pid", as: Int32.self)),
      application: try row.decode("application", as: String.self),
      user: try row.decode("user", as: String.self),
      age: try row.optional("age", as: Double.self).map { .seconds(saturating: $0) })
  }
}

extension PostgresError {
  fileprivate var isLockConflict: Bool {
    sqlState == PostgresSQLState.lockNotAvailable || sqlState == PostgresSQLState.deadlockDetected
  }
}
