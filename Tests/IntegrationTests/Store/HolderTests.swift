import FoundationEssentials
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

/// How holders are judged.
@Suite("Holders")
struct HolderTests {
  /// The judged one has a lease; another holder gets it only if the first one is dead.
  private func isDead(_ test: TestStore, lease seconds: Int = 15) async throws -> Bool {
    let review = try await test.row(try await onlyReview(test))
    let ticket = Ticket(reviewID: review.id, attempt: review.attempt, claimedAt: try #require(review.claimedAt))
    let other = Holder(role: "consume", host: "test", processID: 9)
    let verdict = try await test.store.lease(
      [ticket], by: other.id, for: .seconds(3_600), heartbeatTimeout: .seconds(seconds), failureMax: 8)[0]
    if case .leased = verdict { return true }
    return false
  }

  /// A database with one holder, which has one lease, and a witness.
  private func withHolder(_ body: (TestStore) async throws -> Void) async throws {
    try await withTestStore { test in
      try await test.addWitness()
      try await test.signOn(test.holder)
      _ = try await test.insert(1)
      _ = try await test.lease(try await test.claim().map(\.ticket))
      try await body(test)
    }
  }

  private func set(_ test: TestStore, _ assignments: String) async throws {
    try await test.sql("UPDATE baton_holders SET \(assignments) WHERE id = '\(test.holder.id)'")
  }

  @Test("a holder with a heartbeat since its lock was seen free is alive, however long the lock has been free")
  func freshHeartbeat() async throws {
    try await withHolder { test in
      try await set(test, "lock_free_since = now() - interval '1 hour', heartbeat_at = now() - interval '10 seconds'")
      #expect(try await !isDead(test))
      // Missed again by a look, and without a heartbeat for the two seconds after it.
      try await test.store.lookAtHolders()
      #expect(try await !isDead(test))
      try await set(test, "lock_free_since = now() - interval '3 seconds'")
      #expect(try await isDead(test))
      #expect(try await test.row(try await onlyReview(test)).leaseLosses == 1)
    }
  }

  @Test("a holder of whose sessions none is left is dead sooner than one that has another session")
  func gone() async throws {
    try await withHolder { test in
      // Its sessions, of which the first has the lock, are those of this test.
      let other = try await PostgresConnection.connect(
        testConfiguration(test.conninfo), logger: .postgresTests)
      try await set(test, "backends = ARRAY[\(await other.backendPID), 2147483647]")
      try await test.store.lookAtHolders()
      try await set(
        test, "lock_free_since = now() - interval '1500 milliseconds', heartbeat_at = now() - interval '1 minute'")
      try await test.store.lookAtHolders()
      #expect(try await !isDead(test), "it has a session")
      await other.close()
      try await eventually("its sessions are gone") {
        try await test.store.lookAtHolders()
        return try await isDead(test)
      }
      #expect(try await test.row(try await onlyReview(test)).leaseLosses == 1)
    }
  }

  @Test("a heartbeat reports the sessions of the pool and the holder's own")
  func backends() async throws {
    try await withHolder { test in
      _ = try await test.store.heartbeat(test.holder.id, Holder.Report())
      let row = try await test.sql(
        """
        SELECT count(*) FROM baton_holders h JOIN pg_stat_activity a ON a.pid = ANY (h.backends)
         WHERE h.id = '\(test.holder.id)' AND a.datname = current_database()
        """)[0]
      #expect(try row.decode(0, as: Int64.self) > 0)
    }
  }

  @Test("a holder that holds its lock is dead when it was silent for longer than its time, and a look has missed it")
  func zombie() async throws {
    try await withHolder { test in
      try await set(test, "heartbeat_at = now() - interval '20 seconds'")
      #expect(try await !isDead(test), "no look has missed it yet")
      try await set(test, "silent_since = now() - interval '3 seconds'")
      #expect(try await !isDead(test, lease: 60))
      #expect(try await isDead(test))
    }
  }

  @Test("while the database has just been silent itself, no holder is judged", arguments: [true, false])
  func pause(isJudgeHeard: Bool) async throws {
    try await withHolder { test in
      try await set(
        test, "heartbeat_at = now() - interval '60 seconds', lock_free_since = now() - interval '30 seconds'")
      if isJudgeHeard {
        // The first heartbeat after the silence.
        try await test.sql("UPDATE baton_holders SET heartbeat_at = now() - interval '50 seconds' WHERE id = 'witness'")
        #expect(try await test.store.heartbeat(Holder.ID(text: "witness"), Holder.Report()).isKnown)
      } else {
        try await test.sql("UPDATE baton_holders SET heartbeat_at = now() - interval '20 seconds' WHERE id = 'witness'")
      }
      #expect(try await !isDead(test))
      // All of it once more, long after the silence.
      try await test.sql(
        """
        UPDATE baton_holders SET answering_since = now() - interval '10 seconds', heartbeat_at = now() WHERE id = 'witness'
        """)
      #expect(try await isDead(test))
    }
  }

  @Test("a lease of a living holder that has run out is free, and not counted as a loss")
  func expired() async throws {
    try await withHolder { test in
      let id = try await onlyReview(test)
      try await test.sql("UPDATE code_reviews SET lease_expires_at = now() - interval '1 second'")
      // After a silence of the database its holder first gets time to write what it did.
      try await test.sql("UPDATE baton_holders SET answering_since = now() - interval '5 seconds' WHERE id = 'witness'")
      #expect(try await !isDead(test))
      try await test.sql(
        "UPDATE baton_holders SET answering_since = now() - interval '16 seconds' WHERE id = 'witness'")
      #expect(try await isDead(test), "the lease is had by the next")
      #expect(try await test.row(id).leaseLosses == 0)
    }
  }

  @Test("a holder whose row is locked by another transaction is not missed: its heartbeats wait for that lock too")
  func lockedRow() async throws {
    try await withHolder { test in
      try await set(test, "heartbeat_at = now() - interval '20 seconds'")
      try await test.pool.withTransaction { connection in
        _ = try await connection.query(
          PostgresStatement(unprepared: "SELECT 1 FROM baton_holders WHERE id = '\(test.holder.id)' FOR UPDATE"))
        try await test.store.lookAtHolders()
      }
      let marks =
        "SELECT silent_since IS NULL AND lock_free_since IS NULL FROM baton_holders WHERE id = '\(test.holder.id)'"
      #expect(try await test.sql(marks)[0].decode(0, as: Bool.self))
      try await test.store.lookAtHolders()
      #expect(try await !test.sql(marks)[0].decode(0, as: Bool.self))
    }
  }

  @Test("a single pass is given the time after which every missed holder is decided")
  func undecided() async throws {
    try await withHolder { test in
      let timeout = Duration.seconds(15)
      #expect(try await test.store.timeUntilDeathsAreSure(heartbeatTimeout: timeout) == nil)
      try await test.store.lookAtHolders()
      let wait = try #require(try await test.store.timeUntilDeathsAreSure(heartbeatTimeout: timeout))
      #expect(wait > .seconds(0.5) && wait <= .seconds(2))
      // The database has just begun to answer: the holders get time to connect.
      try await set(
        test, "lock_free_since = now() - interval '1 second', heartbeat_at = now() - interval '1100 milliseconds'")
      try await test.sql("UPDATE baton_holders SET answering_since = now() WHERE id = 'witness'")
      let longer = try #require(try await test.store.timeUntilDeathsAreSure(heartbeatTimeout: timeout))
      #expect(longer > .seconds(1) && longer <= .seconds(2))
      try await test.sql("UPDATE baton_holders SET answering_since = NULL")
      try await set(test, "lock_free_since = now() - interval '3 seconds', heartbeat_at = now() - interval '4 seconds'")
      #expect(try await test.store.timeUntilDeathsAreSure(heartbeatTimeout: timeout) == nil, "it is dead")
    }
  }

  private func onlyReview(_ test: TestStore) async throws -> UUID {
    try await test.sql("SELECT id FROM code_reviews")[0].decode(0, as: UUID.self)
  }
}
