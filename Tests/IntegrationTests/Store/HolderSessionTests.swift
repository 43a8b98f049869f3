import Dispatching
import PostgresClient
import ReviewStore
import Support
import Testing

/// Sign-on, lock, LISTEN and heartbeats, on the holder's own session.
@Suite("Holder sessions", .timeLimit(.minutes(5)))
struct HolderSessionTests {
  /// Whether a look finds the lock of the holder free.
  /// - Parameter other: a pool that works in another schema.
  private func isLockFree(_ test: TestStore, _ holder: Holder, in other: PostgresPool? = nil) async throws -> Bool {
    let pool = other ?? test.pool
    try await ReviewStore(pool: pool, logger: .postgresTests).lookAtHolders()
    return try await pool.query(
      PostgresStatement(unprepared: "SELECT lock_free_since IS NOT NULL FROM baton_holders WHERE id = '\(holder.id)'"))[
        0
      ]
      .decode(0, as: Bool.self)
  }

  private func connect(_ test: TestStore, schema: String = "public") async throws -> PostgresConnection {
    var configuration = testConfiguration(test.conninfo)
    configuration.sessionSettings = ReviewStore.holderSessionSettings.merging(["search_path": schema]) { $1 }
    return try await PostgresConnection.connect(configuration, logger: .postgresTests)
  }

  @Test("the lock is held from the sign-on to the end of the session, and versions up to schema 10 see it too")
  func lock() async throws {
    try await withTestStore { test in
      let session = try await connect(test)
      try await test.store.signOn(test.holder, on: session)
      #expect(try await !isLockFree(test, test.holder))
      let older = try await test.sql(
        """
        SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN baton_holders h ON l.objid = h.lock_id::bigint::oid
                        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = 1111577420)
        """)
      #expect(try older[0].decode(0, as: Bool.self))
      await session.close()
      try await eventually("the lock is free") { try await isLockFree(test, test.holder) }
    }
  }

  @Test("a holder of an older version is judged by the lock that it takes")
  func olderVersion() async throws {
    try await withTestStore { test in
      try await test.sql(
        "INSERT INTO baton_holders (id, role, host, pid) VALUES ('\(test.holder.id)', 'consume', 'h', 1)")
      let session = try await connect(test)
      let lock = PostgresStatement(
        unprepared: "SELECT pg_try_advisory_lock(1111577420, (SELECT lock_id FROM baton_holders))")
      _ = try await session.query(lock)
      #expect(try await !isLockFree(test, test.holder))
      await session.close()
      try await eventually("the lock is free") { try await isLockFree(test, test.holder) }
    }
  }

  @Test("a holder whose row was pruned signs on again with a lock that it holds")
  func pruned() async throws {
    try await withTestStore { test in
      let session = try await connect(test)
      try await test.store.signOn(test.holder, on: session)
      try await test.store.leave(test.holder.id)
      #expect(try await !test.store.heartbeat(test.holder.id, Holder.Report(), on: session).isKnown)
      try await test.store.signOn(test.holder, on: session)
      #expect(try await !isLockFree(test, test.holder))
      #expect(try await test.store.heartbeat(test.holder.id, Holder.Report(), on: session).isKnown)
      await session.close()
    }
  }

  @Test("an older session of the same holder is no obstacle: the new one has a lock, and the old one is ended")
  func olderSession() async throws {
    try await withTestStore { test in
      let (old, new) = (try await connect(test), try await connect(test))
      let stranger = try await connect(test)
      let other = Holder(role: "consume", host: "test", processID: 2)
      try await test.store.signOn(test.holder, on: old)
      try await test.store.signOn(other, on: stranger)
      try await test.store.signOn(test.holder, on: new)
      await old.waitUntilClosed()
      #expect(try await !isLockFree(test, test.holder))
      #expect(try await !isLockFree(test, other))
      #expect(!new.isClosed && !stranger.isClosed)
      // The number of a process is used again: only the session that holds the lock is ended.
      await new.close()
      try await test.sql(
        "UPDATE baton_holders SET backend_pid = \(await stranger.backendPID) WHERE id = '\(test.holder.id)'")
      let third = try await connect(test)
      try await test.store.signOn(test.holder, on: third)
      #expect(try await third.query(PostgresStatement(unprepared: "SELECT 1")).count == 1 && !stranger.isClosed)
      for session in [old, stranger, third] { await session.close() }
    }
  }

  @Test("two schemas in one database have locks of their own")
  func schemas() async throws {
    try await withTestStore { test in
      try await test.sql("CREATE SCHEMA second")
      var configuration = testConfiguration(test.conninfo)
      configuration.sessionSettings = ReviewStore.sessionSettings.merging(["search_path": "second"]) { $1 }
      let pool = PostgresPool(configuration, logger: .postgresTests)
      _ = try await Migrator(pool: pool).migrate()
      let other = Holder(role: "consume", host: "test", processID: 2)
      let (session, otherSession) = (try await connect(test), try await connect(test, schema: "second"))
      try await test.store.signOn(test.holder, on: session)
      try await ReviewStore(pool: pool, logger: .postgresTests).signOn(other, on: otherSession)
      let ids = try await test.sql(
        "SELECT (SELECT lock_id FROM public.baton_holders) = (SELECT lock_id FROM second.baton_holders)")
      #expect(try ids[0].decode(0, as: Bool.self), "both are the first of their schema")
      await session.close()
      try await eventually("the first one's lock is free") { try await isLockFree(test, test.holder) }
      #expect(try await !isLockFree(test, other, in: pool))
      await otherSession.close()
      try await eventually("the second one's lock is free") { try await isLockFree(test, other, in: pool) }
      await pool.close()
    }
  }

  @Test("whatever the role's defaults are, a holder's session has its own settings")
  func settings() async throws {
    try await withTestStore { test in
      let role = try await test.addRole(connectionLimit: 5)
      for setting in ["idle_session_timeout = '1s'", "default_transaction_isolation = 'repeatable read'"] {
        try await test.sql("ALTER ROLE \(role.name) SET \(setting)")
      }
      var configuration = testConfiguration(role.conninfo)
      configuration.sessionSettings = ReviewStore.holderSessionSettings
      configuration.optionalSessionSettings = ReviewStore.optionalSessionSettings
      let session = try await PostgresConnection.connect(configuration, logger: .postgresTests)
      for (name, value) in [
        ("idle_session_timeout", "0"), ("default_transaction_isolation", "read committed"),
        ("tcp_keepalives_idle", "10"),
      ] {
        let row = try await session.query(PostgresStatement(unprepared: "SELECT current_setting('\(name)')"))[0]
        #expect(try row.decode(0, as: String.self) == value)
      }
      await session.close()
      try await role.drop()
    }
  }

  /// A session that runs as a service, for a role with few connections.
  private func withService(
    _ body: (TestStore, LimitedRole, HolderSession) async throws -> Void
  ) async throws {
    try await withTestStore { test in
      let role = try await test.addRole(connectionLimit: 10)
      var configuration = testConfiguration(role.conninfo)
      configuration.sessionSettings = ReviewStore.sessionSettings
      configuration.poolSize = 1
      let pool = PostgresPool(configuration, logger: .postgresTests)
      _ = await pool.ping()
      let service = HolderSession(
        holder: test.holder, state: HolderState(timeout: .seconds(15)),
        ledger: ReviewStore(pool: pool, logger: .postgresTests), interval: .milliseconds(100),
        idleInterval: .milliseconds(100), logger: .postgresTests)
      let running = Task { try await service.run() }
      try await eventually("signed on") { service.state.isSignedOn }
      try await body(test, role, service)
      running.cancel()
      try await running.value
      #expect(try await test.sql("SELECT 1 FROM baton_holders").isEmpty, "it has signed off")
      await pool.close()
      try await role.drop()
    }
  }

  private func cut(_ test: TestStore) async throws {
    try await test.sql("SELECT pg_terminate_backend(backend_pid, 5000) FROM baton_holders")
  }

  private func isHeard(_ test: TestStore) async throws {
    let before = try await test.sql("SELECT now()::text")[0].decode(0, as: String.self)
    try await eventually("a heartbeat") {
      try await !test.sql("SELECT 1 FROM baton_holders WHERE heartbeat_at > '\(before)'").isEmpty
    }
  }

  @Test("while its session cannot be opened, heartbeats go through the pool, and nothing new is to be taken")
  func away() async throws {
    try await withService { test, role, service in
      #expect(service.state.fault == nil)
      try await role.limit(to: 1)
      try await cut(test)
      try await eventually("the loss is noticed") { !service.state.isSignedOn }
      #expect(service.state.fault?.contains("lost") == true)
      try await isHeard(test)
      // Also after its row is gone.
      try await test.store.leave(test.holder.id)
      try await isHeard(test)
      try await eventually("deliveries are to wait") { service.state.isAway }
      try await role.limit(to: 10)
      try await eventually("signed on again") { service.state.isSignedOn }
      #expect(!service.state.isAway && service.state.fault == nil)
      #expect(try await !isLockFree(test, test.holder))
      try await isHeard(test)
    }
  }

  @Test("a session that was cut is back with its lock at once, and deliveries never waited")
  func blip() async throws {
    try await withService { test, _, service in
      for _ in 0..<3 {
        try await cut(test)
        try await eventually("signed on again") {
          let isAlive = try await !isLockFree(test, test.holder)
          return isAlive && service.state.isSignedOn
        }
        #expect(!service.state.isAway)
      }
    }
  }

  @Test("a lock on the holder's row stops no heartbeat session and no pool; afterwards its heartbeats arrive again")
  func lockedRow() async throws {
    try await withService { test, _, service in
      let session = try await test.sql("SELECT backend_pid FROM baton_holders")[0].decode(0, as: Int32.self)
      try await test.pool.withTransaction { connection in
        _ = try await connection.query(PostgresStatement(unprepared: "SELECT 1 FROM baton_holders FOR UPDATE"))
        await #expect(throws: HolderRowLocked.self) {
          try await test.store.heartbeat(test.holder.id, Holder.Report())
        }
        try await Task.sleep(for: .seconds(1))
      }
      try await isHeard(test)
      #expect(service.state.isSignedOn)
      #expect(try await test.sql("SELECT backend_pid FROM baton_holders")[0].decode(0, as: Int32.self) == session)
    }
  }

  @Test("a server whose clock is behind that of the one before: dead holders do not seem alive until it has caught up")
  func clockBehind() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      try await test.sql(
        """
        UPDATE baton_holders SET heartbeat_at = now() + interval '1 hour', lock_free_since = now() + interval '1 hour',
                                 answering_since = now() + interval '1 hour'
        """)
      let session = try await connect(test)
      let other = Holder(role: "reap", host: "test", processID: 2)
      try await test.store.signOn(other, on: session)
      let future = "SELECT 1 FROM baton_holders WHERE GREATEST(heartbeat_at, answering_since, lock_free_since) > now()"
      #expect(try await test.sql(future).isEmpty)
      #expect(try await isLockFree(test, test.holder))
      await session.close()
    }
  }
}
