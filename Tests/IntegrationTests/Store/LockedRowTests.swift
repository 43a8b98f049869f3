import FoundationEssentials
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("A row that another transaction has locked")
struct LockedRowTests {
  /// Runs the body while a person in psql has locked a review.
  private func whileLocked(_ id: UUID, _ test: TestStore, _ body: () async throws -> Void) async throws {
    let person = try await PostgresConnection.connect(testConfiguration(test.conninfo), logger: .postgresTests)
    try await person.withTransaction { person in
      try await person.query(PostgresStatement(unprepared: "SELECT FROM code_reviews WHERE id = '\(id)' FOR UPDATE"))
      try await body()
    }
    await person.close()
  }

  @Test("it costs only itself a lease: the others of its batch are leased at once, and so is it when the lock has gone")
  func lease() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(3)
      try await test.signOn(test.holder)
      let tickets = try await test.claim().map(\.ticket)
      let unknown = Ticket(reviewID: UUID(), attempt: 1, claimedAt: tickets[0].claimedAt)
      try await whileLocked(ids[1], test) {
        let verdicts = try await test.lease(tickets + [unknown])
        for (ticket, verdict) in zip(tickets, verdicts) {
          if case .leased = verdict {
            #expect(ticket.reviewID != ids[1])
          } else {
            #expect(verdict == .lockedByOther && ticket.reviewID == ids[1])
          }
        }
        #expect(verdicts.last == .unknown)
      }
      _ = try await test.take(tickets.first { $0.reviewID == ids[1] }!)
    }
  }

  @Test("it costs only itself a record")
  func record() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(3)
      try await test.signOn(test.holder)
      _ = try await test.lease(try await test.claim().map(\.ticket))
      let records = ids.map { DispatchRecord(reviewID: $0, attempt: 1, agentVersion: nil) }
      try await whileLocked(ids[0], test) {
        let answers = try await test.store.recordDispatched(records, by: test.holder.id)
        #expect(answers == [.locked, .recorded, .recorded])
      }
      #expect(try await test.store.recordDispatched([records[0]], by: test.holder.id) == [.recorded])
    }
  }

  @Test("what its holder writes fails at once and uses no connection; it is written when the lock has gone")
  func holderWrites() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await test.signOn(test.holder)
      let lease = try await test.take(try await test.claim()[0].ticket)
      let store = test.store
      let writes: [@Sendable () async throws -> Void] = [
        { _ = try await store.postpone(lease, reason: "outage", for: .zero) },
        { _ = try await store.retryLater(lease, message: "no", after: .zero, failureMax: 3) },
        { _ = try await store.fail(lease, code: .configMissing, message: "no") },
        { _ = try await store.leaveQueued(lease, message: "no", for: .zero, isCounted: true, failureMax: 3) },
        { try await store.drop(lease) },
      ]
      try await whileLocked(id, test) {
        for write in writes { await #expect(throws: RowLocked(reviewID: id)) { try await write() } }
      }
      #expect(try await store.postpone(lease, reason: "outage", for: .zero) == .pending)
    }
  }

  @Test("a callback, a cancel and a retry wait a little, then ask to be repeated; other reviews are still reported")
  func operations() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(2)
      _ = try await test.claim()
      let store = test.store
      let report = RunReport(status: .running, attempt: 1)
      try await whileLocked(ids[0], test) {
        try await withThrowingTaskGroup(of: Void.self) { group in
          // More than there are connections.
          for _ in 0..<8 {
            group.addTask { await #expect(throws: RowLocked.self) { try await store.report(ids[0], report) } }
            group.addTask { await #expect(throws: RowLocked.self) { try await store.cancel(ids[0]) } }
          }
          group.addTask { await #expect(throws: RowLocked.self) { try await store.retry(ids[0]) } }
          #expect(try await store.report(ids[1], report) == .applied)
          try await group.waitForAll()
        }
      }
      #expect(try await store.report(ids[0], report) == .applied)
      #expect(try await store.cancel(ids[0]) == .done(.cancelled, attempt: 1))
      #expect(try await store.retry(ids[0]) == .done(.pending, attempt: 2))
    }
  }

  /// A table of the application, which follows Baton's by a trigger.
  private func mirror(_ test: TestStore) async throws {
    for sql in [
      "CREATE TABLE reviews AS SELECT id, status FROM code_reviews",
      """
      CREATE FUNCTION from_baton() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN UPDATE reviews SET status = NEW.status WHERE id = NEW.id; RETURN NULL; END $$
      """,
      "CREATE TRIGGER from_baton AFTER UPDATE ON code_reviews FOR EACH ROW EXECUTE FUNCTION from_baton()",
    ] { try await test.sql(sql) }
  }

  @Test(
    "a lock in a table of the application, which a trigger writes, holds up no claim of other reviews",
    arguments: [false, true])
  func applicationTriggerAtClaim(isPostponed: Bool) async throws {
    try await withTestStore { test in
      let ids = try await test.insert(5)
      try await mirror(test)
      if isPostponed {
        // Nothing has been claimed since they came due.
        try await test.sql("UPDATE code_reviews SET available_at = now() + interval '1 hour'")
        #expect(try await test.claim().isEmpty)
        try await test.sql("UPDATE code_reviews SET available_at = now()")
        try await test.sql("UPDATE baton_visits SET due_at = now() - interval '1 second'")
      }
      let person = try await PostgresConnection.connect(testConfiguration(test.conninfo), logger: .postgresTests)
      try await person.withTransaction { person in
        try await person.query(PostgresStatement(unprepared: "SELECT FROM reviews WHERE id = $1 FOR UPDATE"), [ids[1]])
        #expect(Set(try await test.claim().map(\.reviewID)) == Set(ids).subtracting([ids[1]]))
        #expect(try await test.claim().isEmpty)
        let later = try await test.insert(1)
        try await test.sql(
          "INSERT INTO reviews SELECT id, status FROM code_reviews WHERE id NOT IN (SELECT id FROM reviews)")
        #expect(try await test.claim().map(\.reviewID) == later)
      }
      await person.close()
      #expect(try await test.sql("SELECT id FROM code_reviews WHERE status = 'pending'").count == 1)
    }
  }

  @Test(
    "an operation on many waits for the locked ones a little in all, and is done to the others",
    .timeLimit(.minutes(2)))
  func many() async throws {
    try await withTestStore { test in
      // More than twice the limit, if it waited for each.
      let ids = try await test.insert(150)
      let person = try await PostgresConnection.connect(testConfiguration(test.conninfo), logger: .postgresTests)
      var result = OperationResult()
      try await person.withTransaction { person in
        try await person.query(
          PostgresStatement(unprepared: "SELECT FROM code_reviews WHERE id <> '\(ids[149])' FOR UPDATE"))
        try await test.store.operate(.cancel, each: ids, into: &result)
        #expect(result.changed == [ids[149]] && result.locked == Array(ids.dropLast()) && result.skipped == 0)
      }
      await person.close()
    }
  }

  @Test("a lock in a table of the application, which a trigger writes, counts as a lock of the row")
  func applicationTrigger() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await test.signOn(test.holder)
      let lease = try await test.take(try await test.claim()[0].ticket)
      try await mirror(test)
      let person = try await PostgresConnection.connect(testConfiguration(test.conninfo), logger: .postgresTests)
      try await person.withTransaction { person in
        try await person.query(PostgresStatement(unprepared: "SELECT FROM reviews FOR UPDATE"))
        await #expect(throws: RowLocked(reviewID: id)) {
          try await test.store.postpone(lease, reason: "outage", for: .zero)
        }
      }
      await person.close()
      #expect(try await test.store.postpone(lease, reason: "outage", for: .zero) == .pending)
    }
  }
}
