import FoundationEssentials
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

/// A claim looks only at owners with a visit: so every event after which a review may be claimable must bring one.
@Suite("Visits")
struct VisitTests {
  /// What lets the second review of an owner with one slot be claimed, while the first one has the slot.
  enum FreedSlot: String, CaseIterable, Sendable {
    case completed = "UPDATE code_reviews SET status = 'completed' WHERE id = 'ACTIVE'"
    case failed = "UPDATE code_reviews SET status = 'failed' WHERE id = 'ACTIVE'"
    case cancelled = "UPDATE code_reviews SET status = 'cancelled' WHERE id = 'ACTIVE'"
    case postponed =
      "UPDATE code_reviews SET status = 'pending', available_at = now() + interval '1 hour' WHERE id = 'ACTIVE'"
    case postponedIndefinitely =
      "UPDATE code_reviews SET status = 'pending', available_at = 'infinity' WHERE id = 'ACTIVE'"
    case deleted = "DELETE FROM code_reviews WHERE id = 'ACTIVE'"
    case movedAway = "UPDATE code_reviews SET owner_id = 'other' WHERE id = 'ACTIVE'"
    case limitRaised = "UPDATE review_owners SET max_concurrent = 2"
    case ownerMadeAnew = "DELETE FROM review_owners"
  }

  @Test("a slot that becomes free, or another limit, lets the next review be claimed", arguments: FreedSlot.allCases)
  func freedSlot(_ event: FreedSlot) async throws {
    try await withTestStore { test in
      let ids = try await test.insert(2)
      if event == .ownerMadeAnew { try await test.store.setLimit(of: Owner(type: .org, id: "acme"), to: 1) }
      let active = try #require(try await test.claim(ownerLimit: 1).first?.reviewID)
      #expect(try await test.claim(ownerLimit: 1).isEmpty)
      #expect(try await test.visits() == 0, "an owner at its limit is not visited")
      try await test.sql(event.rawValue.replacing("ACTIVE", with: active.uuidString))
      let limit = event == .ownerMadeAnew ? 2 : 1
      #expect(try await test.claim(ownerLimit: limit).map(\.reviewID) == ids.filter { $0 != active })
    }
  }

  /// What makes a review of an owner with free slots claimable, of which nothing was claimable before.
  enum Due: String, CaseIterable, Sendable {
    case pending = "INSERT"
    case dueNow = "UPDATE code_reviews SET available_at = now() WHERE id = 'LATER'"
    case endlesslyOld = "UPDATE code_reviews SET available_at = now() - interval '10 years' WHERE id = 'LATER'"
    case retried = "UPDATE code_reviews SET status = 'pending' WHERE id = 'ENDED'"
    case anotherOwner = "UPDATE code_reviews SET owner_id = 'new', available_at = now() WHERE id = 'LATER'"
    case timeCome = "TIME"
  }

  @Test("a review that becomes due is claimed, and none before", arguments: Due.allCases)
  func due(_ event: Due) async throws {
    try await withTestStore { test in
      let ids = try await test.insert(2)
      try await test.sql("UPDATE code_reviews SET status = 'cancelled' WHERE id = '\(ids[0])'")
      try await test.sql("UPDATE code_reviews SET available_at = now() + interval '1 hour' WHERE id = '\(ids[1])'")
      #expect(try await test.claim().isEmpty)
      #expect(try await test.visits() == 0, "an owner with nothing due is not visited")
      var expected = ids[1]
      switch event {
      case .pending: expected = try await test.insert(1)[0]
      case .timeCome:
        try await test.sql(
          "UPDATE code_reviews SET available_at = now() + interval '20 milliseconds' WHERE id = '\(ids[1])'")
        #expect(try #require(try await test.store.nextDue().delay) <= DelayedReviews.overdueWait)
        try await test.sql("SELECT pg_sleep(0.03)")
      default:
        if event == .retried { expected = ids[0] }
        try await test.sql(
          event.rawValue.replacing("LATER", with: ids[1].uuidString).replacing("ENDED", with: ids[0].uuidString))
      }
      #expect(try await test.claim().map(\.reviewID) == [expected])
    }
  }

  @Test("every way back to pending brings a visit, now or at its time")
  func backToPending() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      _ = try await test.insert(1)
      let claims = try await test.claim()
      try await test.store.unclaim(claims, reason: "nacked")
      let ticket = try #require(try await test.claim().first?.ticket)
      #expect(try await test.store.postpone(test.take(ticket), reason: "throttled", for: .zero) == .pending)
      let second = try #require(try await test.claim().first?.ticket)
      _ = try await test.store.retryLater(
        test.take(second), message: "again", after: .milliseconds(30), failureMax: 8)
      #expect(try await test.store.nextDue().delay != nil)
      try await test.sql("SELECT pg_sleep(0.05)")
      #expect(try await test.store.visitMissed(after: nil, ownerLimit: 20).found == 0, "it has a visit, which is due")
      #expect(try await test.claim().count == 1)
      #expect(try await test.store.nextDue().delay == nil)
    }
  }

  @Test("nothing is left to claim if no owner is to be visited, also none that another transaction has locked")
  func allClaimed() async throws {
    try await withTestStore { test in
      _ = try await test.insert(1)
      _ = try await test.store.nextDue().delay
      #expect(test.store.allClaimedAge == nil)
      let person = try await PostgresConnection.connect(testConfiguration(test.conninfo), logger: .postgresTests)
      try await person.withTransaction { person in
        try await person.query(PostgresStatement(unprepared: "SELECT FROM review_owners FOR UPDATE"))
        #expect(try await test.claim().isEmpty)
        _ = try await test.store.nextDue().delay
        #expect(test.store.allClaimedAge == nil)
      }
      await person.close()
      #expect(try await test.claim().count == 1)
      #expect(try await test.claim().isEmpty)
      _ = try await test.store.nextDue().delay
      #expect(test.store.allClaimedAge != nil)
    }
  }

  @Test("a paused owner's reviews are claimed once it is resumed, without another event")
  func resumed() async throws {
    try await withTestStore { test in
      _ = try await test.insert(1)
      let owner = Owner(type: .org, id: "acme")
      #expect(try await test.store.setPaused(true, owner))
      #expect(try await test.claim().isEmpty)
      #expect(try await test.visits() == 0)
      #expect(try await test.store.setPaused(false, owner))
      #expect(try await test.claim().count == 1)
    }
  }

  @Test(
    "a higher limit for all owners visits those that were full, also while a producer with the lower one still claims")
  func raisedLimit() async throws {
    try await withTestStore { test in
      try await test.store.noteOwnerLimit(1)
      _ = try await test.insert(3)
      #expect(try await test.claim(ownerLimit: 1).count == 1)
      #expect(try await test.claim(ownerLimit: 1).isEmpty)
      try await test.store.noteOwnerLimit(2)
      #expect(try await test.claim(ownerLimit: 1).isEmpty, "the producer that is about to leave")
      #expect(try await test.claim(ownerLimit: 2).count == 1)
      #expect(try await test.claim(ownerLimit: 2).isEmpty)
      #expect(try await test.visits() == 0)
    }
  }

  @Test("an infinitely late review waits, and keeps no producer awake")
  func infinitelyLate() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(1)
      try await test.sql("UPDATE code_reviews SET available_at = 'infinity'")
      #expect(try await test.claim().isEmpty)
      #expect(try await test.store.nextDue().delay == nil)
      try await test.sql("UPDATE code_reviews SET available_at = now()")
      #expect(try await test.claim().map(\.reviewID) == ids)
    }
  }

  @Test("rows that came without the triggers are found, with their owners")
  func missed() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(2, owner: "known") + test.insert(1, owner: "gone")
      try await test.pool.withTransaction { connection in
        for sql in [
          "SET LOCAL session_replication_role = replica", "DELETE FROM baton_visits",
          "DELETE FROM review_owners WHERE owner_id = 'gone'",
        ] { _ = try await connection.query(PostgresStatement(unprepared: sql)) }
      }
      #expect(try await test.claim(ownerLimit: 1).isEmpty)
      let page = try await test.store.visitMissed(after: nil, ownerLimit: 1)
      #expect(page.found == 2 && page.end == nil)
      let claimed = try await test.claim(ownerLimit: 1).map(\.reviewID)
      #expect(claimed.count == 2 && claimed.contains(ids[2]))
      #expect(try await test.store.visitMissed(after: nil, ownerLimit: 1).found == 0, "full owners were not missed")
      // A visit of an owner that is gone for good goes as well.
      try await test.sql("INSERT INTO baton_visits (owner_type, owner_id) VALUES ('org', 'nothing')")
      #expect(try await test.claim(ownerLimit: 1).isEmpty)
      #expect(try await test.visits() == 0)
    }
  }

  @Test("a row that another transaction has locked does not use up its owner's slot, and is claimed once it is free")
  func lockedRow() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(3)
      try await test.sql("UPDATE code_reviews SET priority = 1 WHERE id = '\(ids[0])'")
      try await test.pool.withTransaction { person in
        _ = try await person.query(
          PostgresStatement(unprepared: "SELECT 1 FROM code_reviews WHERE id = '\(ids[0])' FOR UPDATE"))
        let first = try await test.claim(ownerLimit: 1)
        #expect(first.count == 1 && first[0].reviewID != ids[0])
        try await test.store.setLimit(of: Owner(type: .org, id: "acme"), to: 3)
        #expect(try await test.claim().count == 1)
        #expect(try await test.claim().isEmpty)
      }
      // The end of the lock is no event: the owner has kept its visit.
      #expect(try await test.claim().map(\.reviewID) == [ids[0]])
      #expect(try await test.visits() == 0)
    }
  }

  /// What another session does, and commits at some moment of a claim.
  enum Interleaved: String, CaseIterable, Sendable {
    case insert = """
      INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                base_ref, head_ref, head_sha)
      VALUES ('org', 'acme', 'github', 'acme/shop', 99, 'u', 't', 'ada', 'main', 'f', 'sha')
      """
    case ending = "UPDATE code_reviews SET status = 'completed' WHERE status = 'queued'"
    case limit = "UPDATE review_owners SET max_concurrent = 2"
  }

  /// The owner is full or, for an insert, has nothing pending.
  private func settledOwner(_ test: TestStore, _ event: Interleaved) async throws {
    _ = try await test.insert(event == .insert ? 1 : 2)
    #expect(try await test.claim(ownerLimit: 1).count == 1)
    if event == .insert { try await test.sql("UPDATE code_reviews SET status = 'completed' WHERE status = 'queued'") }
  }

  @Test("an event that is committed after a claim has looked is not lost", arguments: Interleaved.allCases)
  func committedLater(_ event: Interleaved) async throws {
    try await withTestStore { test in
      try await settledOwner(test, event)
      try await test.sql("INSERT INTO baton_visits (owner_type, owner_id) VALUES ('org', 'acme')")
      try await test.pool.withTransaction { session in
        _ = try await session.query(PostgresStatement(unprepared: event.rawValue))
        // Neither waits for the open transaction nor sees what it did.
        #expect(try await test.claim(ownerLimit: 1).isEmpty)
      }
      #expect(try await test.claim(ownerLimit: 1).count == 1)
    }
  }

  @Test(
    "an event that is committed between a claim's statements, or before its commit, is not lost",
    arguments: Interleaved.allCases, [false, true])
  func committedDuring(_ event: Interleaved, isBetween: Bool) async throws {
    try await withTestStore { test in
      try await settledOwner(test, event)
      try await test.sql("INSERT INTO baton_visits (owner_type, owner_id) VALUES ('org', 'acme')")
      let statements = Dictionary(uniqueKeysWithValues: ReviewStore.statements.map { ($0.name, $0) })
      // A change of the owner's row waits for the claim: it commits after it.
      let waits = event == .limit
      var change: Task<Void, any Error>?
      var claimed = 0
      try await test.pool.withTransaction { claim in
        _ = try await claim.query(
          try #require(statements["lock_owners"]), ["", "", Int32(10)] as [any PostgresEncodable])
        if isBetween {
          change = Task { _ = try await test.sql(event.rawValue) }
          if !waits { try await change?.value }
        }
        claimed = try await claim.query(
          try #require(statements["claim_due"]),
          [Int32(1), Int32(10), [UUID](), nil as UUID?, "test"] as [any PostgresEncodable]
        ).count
        if !isBetween {
          change = Task { _ = try await test.sql(event.rawValue) }
          if !waits { try await change?.value }
        }
      }
      try await change?.value
      claimed += try await test.claim(ownerLimit: 1).count
      #expect(claimed == 1)
    }
  }

  @Test("inserts of an owner wait for no claim, and a claim for no insert")
  func noWaiting() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(1)
      try await test.pool.withTransaction { application in
        _ = try await application.query(PostgresStatement(unprepared: Interleaved.insert.rawValue))
        try await test.pool.withTransaction { claim in
          _ = try await claim.query(PostgresStatement(unprepared: "SELECT 1 FROM review_owners FOR UPDATE"))
          _ = try await test.insert(1)
        }
        #expect(try await test.claim().count == 2)
        #expect(try await test.row(ids[0]).status == .queued)
      }
      #expect(try await test.claim().count == 1)
    }
  }

  @Test("more owners than a page have their turns, and full ones hold up no newcomer")
  func pages() async throws {
    try await withTestStore { test in
      let insert = """
        INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                  base_ref, head_ref, head_sha)
        SELECT 'org', 'owner-' || g % 1200, 'github', 'acme/shop', g, 'u', 't', 'ada', 'main', 'f', md5(g::text)
          FROM generate_series(1, 3600) g
        """
      try await test.sql(insert)
      _ = try await test.claim(1_000, ownerLimit: 3)
      _ = try await test.claim(1_000, ownerLimit: 3)
      let owners = try await test.sql("SELECT count(DISTINCT owner_id) FROM code_reviews WHERE status = 'queued'")
      #expect(try owners[0].decode(0, as: Int64.self) == 1_200)
      // All of them full, and visited once more.
      while try await !test.claim(1_000, ownerLimit: 1).isEmpty {}
      try await test.sql(
        "INSERT INTO baton_visits (owner_type, owner_id) SELECT owner_type, owner_id FROM review_owners")
      let late = try await test.insert(1, owner: "zoe")
      #expect(try await test.claim(ownerLimit: 1).map(\.reviewID) == late)
      #expect(try await test.claim(ownerLimit: 1).isEmpty)
      #expect(try await test.visits() == 0)
    }
  }

  @Test("a database with reviews in it is upgraded with their visits")
  func upgrade() async throws {
    try await withTestDatabase { conninfo in
      let pool = PostgresPool(testConfiguration(conninfo), logger: .postgresTests)
      try await pool.withConnection { connection in
        _ = try await connection.query(
          PostgresStatement(
            unprepared: "CREATE TABLE baton_migrations (version int PRIMARY KEY, name text, applied_at timestamptz)"))
        for migration in Migrator.migrations where migration.version <= 10 {
          try await connection.execute(script: migration.sql)
        }
        _ = try await connection.query(
          PostgresStatement(unprepared: "INSERT INTO baton_migrations VALUES (10, 'before the visits', now())"))
      }
      let rows = try await pool.query(
        PostgresStatement(
          unprepared: """
            INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title,
                                      pr_author, base_ref, head_ref, head_sha, available_at)
            SELECT 'org', 'acme', 'github', 'acme/shop', 1, 'u', 't', 'ada', 'main', 'f', a, now() + a::interval
              FROM unnest(ARRAY['0', '1 hour']) a
             UNION ALL
            SELECT 'org', 'acme', 'github', 'acme/shop', 1, 'u', 't', 'ada', 'main', 'f', 'never', 'infinity'
            RETURNING id, head_sha
            """))
      _ = try await Migrator(pool: pool).migrate()
      let store = ReviewStore(pool: pool, logger: .postgresTests)
      let claims = try await store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      let due = try rows.first { try $0.decode("head_sha", as: String.self) == "0" }
      #expect(claims.map(\.reviewID) == [try #require(due).decode("id", as: UUID.self)])
      #expect(try #require(try await store.nextDue().delay) > .seconds(3_500))
      await pool.close()
    }
  }

  @Test("a statement notifies once, however many owners it moves; an ending only if a review waits for the slot")
  func notifications() async throws {
    try await withTestStore { test in
      let listener = PostgresListener(
        testConfiguration(test.conninfo), channels: ["baton_pending", "mark"], logger: .postgresTests)
      let running = Task { await listener.run() }
      defer { running.cancel() }
      var events = listener.events.makeAsyncIterator()
      #expect(await events.next() == .connected)
      let completed = "UPDATE code_reviews SET status = 'completed' WHERE status = 'queued'"
      try await test.sql(
        """
        INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                  base_ref, head_ref, head_sha)
        SELECT 'org', 'owner-' || g % 500, 'github', 'acme/shop', g, 'u', 't', 'ada', 'main', 'f', md5(g::text)
          FROM generate_series(1, 1000) g
        """)
      try await test.sql("NOTIFY mark")
      for _ in 0..<2 {
        let claims = try await test.claim(1_000, ownerLimit: 1)
        #expect(claims.count == 500)
        try await test.sql(completed)
        try await test.sql("NOTIFY mark")
      }
      try await test.sql("UPDATE review_owners SET max_concurrent = 3")
      try await test.sql("NOTIFY mark")
      var counts = [0]
      while counts.count <= 4, let event = await events.next() {
        if event == .notified(channel: "mark", payload: "") { counts.append(0) } else { counts[counts.count - 1] += 1 }
      }
      // The insert, the endings while others wait, those while no other does, the limit.
      #expect(counts == [1, 1, 0, 1, 0])
    }
  }
}

extension TestStore {
  /// How many visits are due now.
  fileprivate func visits() async throws -> Int {
    let rows = try await sql("SELECT count(*) FROM baton_visits WHERE due_at IS NULL")
    return Int(try rows[0].decode(0, as: Int64.self))
  }
}
