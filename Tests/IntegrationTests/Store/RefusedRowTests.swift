import FoundationEssentials
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

/// A trigger of the application may refuse a row with any code.
@Suite("A row that a trigger of the application refuses")
struct RefusedRowTests {
  private static let times = ReapTimes(
    heartbeatTimeout: .seconds(86_400), publishGrace: .seconds(1_000), staleAfter: .seconds(3_000),
    runningTimeout: .seconds(1_800))

  /// Those of `RAISE EXCEPTION`, of a policy on the application's table, of faults of the application's own table, and any other.
  private static let codes = ["P0001", "42501", "21000", "23514", "58030", "58P01", "XX000", "AB123"]

  /// Has a trigger refuse every change of some reviews.
  private func refuse(_ ids: [UUID], _ code: String, _ test: TestStore) async throws {
    try await test.sql(
      """
      CREATE OR REPLACE FUNCTION from_baton() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF NEW.id::text IN (\((ids.map(\.lowercase) + [""]).map { "'\($0)'" }.joined(separator: ", "))) THEN
          RAISE EXCEPTION 'not this one' USING ERRCODE = '\(code)';
        END IF;
        RETURN NULL;
      END $$
      """)
    try await test.sql(
      "CREATE OR REPLACE TRIGGER from_baton AFTER UPDATE ON code_reviews FOR EACH ROW EXECUTE FUNCTION from_baton()")
  }

  private func reap(_ test: TestStore, _ store: ReviewStore? = nil) async throws -> [Reaped] {
    try await (store ?? test.store).reapAbandoned(
      Self.times, queue: "q", limit: 100, by: test.holder.id, failureMax: 8)
  }

  private func republished(_ reaped: [Reaped]) -> Set<UUID> {
    Set(reaped.compactMap { if case .republish(let claim, _) = $0 { claim.reviewID } else { nil } })
  }

  @Test("it waits alone: the others are claimed, whatever the code", arguments: codes)
  func claim(code: String) async throws {
    try await withTestStore { test in
      let ids = try await test.insert(5)
      try await refuse([ids[1]], code, test)
      #expect(Set(try await test.claim().map(\.reviewID)) == Set(ids).subtracting([ids[1]]))
      #expect(try await test.claim().isEmpty)
      let later = try await test.insert(1, owner: "later")
      #expect(try await test.claim().map(\.reviewID) == later)
      #expect(try await test.row(ids[1]).status == .pending)
    }
  }

  @Test("many of them, before all others, hold up no claim of these")
  func manyClaims() async throws {
    try await withTestStore { test in
      let refused = try await test.insert(40, owner: "broken", priority: 9)
      let good = try await test.insert(2, owner: "good")
      try await refuse(refused, "P0001", test)
      #expect(Set(try await test.claim(ownerLimit: 50).map(\.reviewID)) == Set(good))
    }
  }

  @Test("what refuses a claim of no row as well is no row's fault: the claim fails", arguments: ["P0001", "42501"])
  func general(code: String) async throws {
    try await withTestStore { test in
      _ = try await test.insert(2)
      try await refuse([], "P0001", test)
      try await test.sql(
        """
        CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'nothing' USING ERRCODE = '\(code)'; END $$
        """)
      try await test.sql(
        "CREATE TRIGGER never AFTER UPDATE ON code_reviews FOR EACH STATEMENT EXECUTE FUNCTION never()")
      await #expect(throws: PostgresError.self) { try await test.claim() }
      try await test.sql("DROP TRIGGER never ON code_reviews")
      #expect(try await test.claim().count == 2, "none was left out")
    }
  }

  @Test(
    "a batch of leases that fails because of it says so: without it, and without any, the statement works",
    arguments: codes)
  func lease(code: String) async throws {
    try await withTestStore { test in
      let ids = try await test.insert(3)
      try await test.signOn(test.holder)
      let tickets = try await test.claim().map(\.ticket)
      try await refuse([ids[1]], code, test)
      for batch in [tickets, tickets.filter { $0.reviewID == ids[1] }] {
        do {
          _ = try await test.lease(batch)
          Issue.record("it was not refused")
        } catch let error as PostgresError {
          #expect(error.mayBeAboutOneRow)
        }
      }
      #expect(try await test.lease([]).isEmpty)
      #expect(try await test.lease(tickets.filter { $0.reviewID != ids[1] }).count == 2)
    }
  }

  @Test("one that its consumers died of, and that cannot be failed, stops no recovery of others")
  func exhausted() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(3)
      // The trigger of deploy/adopting.md, and a column that is too small for Baton's messages.
      try await test.sql("CREATE TABLE reviews (id uuid, status text, error varchar(40))")
      try await test.sql("INSERT INTO reviews SELECT id, status FROM code_reviews")
      try await test.sql(
        """
        CREATE FUNCTION from_baton() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN UPDATE reviews SET status = NEW.status, error = NEW.error_message WHERE id = NEW.id; RETURN NULL; END $$
        """)
      try await test.sql(
        """
        CREATE TRIGGER from_baton AFTER UPDATE ON code_reviews
          FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION from_baton()
        """)
      try await test.signOn(test.holder)
      let dead = Holder(role: "consume", host: "test", processID: 7)
      try await test.signOn(dead)
      _ = try await test.lease(try await test.claim().map(\.ticket), by: dead.id)
      try await test.sql("UPDATE code_reviews SET lease_losses = 7 WHERE id = '\(ids[0].lowercase)'")
      try await test.store.leave(dead.id)
      #expect(try await republished(reap(test)) == [ids[1], ids[2]])
      #expect(try await reap(test).isEmpty)
      #expect(try await test.row(ids[0]).status == .queued)
      // Repaired: another process, or this one after some time, fails it.
      try await test.sql("ALTER TABLE reviews ALTER error TYPE text")
      let other = ReviewStore(pool: test.pool, logger: .postgresTests)
      #expect(try await reap(test, other).count == 1)
      #expect(try await test.row(ids[0]).errorCode == "attempts_exhausted")
    }
  }

  @Test("it stops no recovery of others, whatever the code, and many of them do not either", arguments: codes)
  func abandoned(code: String) async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      let ids = try await test.insert(12)
      try await test.claim()
      // The refused ones are first.
      try await test.sql(
        """
        UPDATE code_reviews SET claimed_at = now() - CASE WHEN id = '\(ids[11].lowercase)' THEN interval '30 minutes'
                                                          ELSE interval '1 hour' END
        """)
      try await refuse(Array(ids[..<11]), code, test)
      #expect(try await republished(reap(test)) == [ids[11]])
      #expect(try await reap(test).isEmpty)
    }
  }

  @Test("a lock in a table of the application, which a trigger writes, stops no recovery of other reviews")
  func lockAtRecovery() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(3)
      try await test.claim()
      try await test.sql("CREATE TABLE reviews AS SELECT id, status FROM code_reviews")
      try await test.sql(
        """
        CREATE FUNCTION from_baton() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN UPDATE reviews SET status = NEW.status WHERE id = NEW.id; RETURN NULL; END $$
        """)
      try await test.sql(
        "CREATE TRIGGER from_baton AFTER UPDATE ON code_reviews FOR EACH ROW EXECUTE FUNCTION from_baton()")
      let person = try await PostgresConnection.connect(testConfiguration(test.conninfo), logger: .postgresTests)
      try await person.withTransaction { person in
        try await person.query(PostgresStatement(unprepared: "SELECT FROM reviews WHERE id = $1 FOR UPDATE"), [ids[1]])
        #expect(try await republished(reap(test)) == [ids[0], ids[2]])
      }
      await person.close()
    }
  }

  @Test("what refuses a page of no row as well is no row's fault: the pass fails")
  func generalAtRecovery() async throws {
    try await withTestStore { test in
      _ = try await test.insert(2)
      try await test.claim()
      try await test.sql(
        "CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'nothing'; END $$")
      try await test.sql(
        "CREATE TRIGGER never AFTER UPDATE ON code_reviews FOR EACH STATEMENT EXECUTE FUNCTION never()")
      await #expect(throws: PostgresError.self) { try await reap(test) }
      try await test.sql("DROP TRIGGER never ON code_reviews")
      #expect(try await reap(test).count == 2, "none was left out")
    }
  }

  @Test("the worker is still asked about the other silent reviews")
  func silent() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(3)
      try await test.claim()
      for id in ids { _ = try await test.store.report(id, RunReport(status: .running, attempt: 1)) }
      try await test.sql("UPDATE code_reviews SET updated_at = now() - interval '1801 seconds'")
      try await refuse([ids[0]], "P0001", test)
      let silent = try await test.store.takeSilent(Self.times, limit: 10, for: .seconds(15))
      #expect(Set(silent.map(\.reviewID)) == [ids[1], ids[2]])
      #expect(try await test.store.takeSilent(Self.times, limit: 10, for: .seconds(15)).isEmpty)
    }
  }

  @Test("the publications of the others are recorded, and the others are given back")
  func publications() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(5)
      let claims = try await test.claim()
      try await refuse([ids[3]], "P0001", test)
      try await test.store.recordPublished(claims)
      for id in ids { #expect(try await (test.row(id).publishedAt != nil) == (id != ids[3])) }
      try await test.store.unclaim(claims, reason: "no")
      for id in ids { #expect(try await test.row(id).status == (id == ids[3] ? .queued : .pending)) }
    }
  }
}
