import FoundationEssentials
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

/// The proof of a lost ticket, step by step, with consumers and reapers that exist only in the database.
@Suite("Roll calls")
struct RollCallTests {
  private static let lease: Duration = .seconds(86_400)
  private static let times = ReapTimes(
    heartbeatTimeout: lease, publishGrace: .seconds(86_400), staleAfter: .seconds(86_400),
    runningTimeout: .seconds(86_400)
  )

  /// How many reviews a reaper takes as lost.
  private func lost(_ test: TestStore, by reaper: Holder.ID) async throws -> Int {
    let reaped = try await test.store.reapAbandoned(Self.times, queue: "q", limit: 100, by: reaper, failureMax: 8)
    return reaped.count { if case .republish(_, .lost) = $0 { true } else { false } }
  }

  /// Published, not leased, and missed.
  private func publish(_ count: Int, _ test: TestStore) async throws {
    _ = try await test.insert(count)
    try await test.store.recordPublished(try await test.claim(ownerLimit: 1_000))
    try await test.sql("UPDATE code_reviews SET published_at = now() - interval '10 minutes'")
  }

  private func consumers(_ count: Int, _ test: TestStore) async throws -> [Holder.ID] {
    var ids: [Holder.ID] = []
    for number in 0..<count {
      let holder = Holder(role: "consume", host: "test", processID: Int32(number))
      try await test.signOn(holder)
      ids.append(holder.id)
    }
    // Not since the roll calls.
    try await test.sql("UPDATE baton_holders SET started_at = now() - interval '1 hour'")
    return ids
  }

  private func open(_ test: TestStore) async throws -> [Int64] {
    try await test.store.openRollCall("q", heartbeatTimeout: Self.lease)
  }

  private func see(_ ids: [Int64], isQueueEmpty: Bool = true, _ test: TestStore) async throws {
    try await test.store.seeRollCalls(ids, isQueueEmpty: isQueueEmpty, heartbeatTimeout: Self.lease)
  }

  /// Answers what is asked, as a consumer does.
  /// - Returns: how many roll calls.
  @discardableResult
  private func answer(
    _ holder: Holder.ID, _ test: TestStore, undecided: [UUID] = [], after instant: Timestamp? = nil
  ) async throws -> Int {
    let ids = try await test.store.unansweredRollCalls(of: holder, after: instant).ids
    try await test.store.answerRollCalls(ids, by: holder, undecided: undecided)
    return ids.count
  }

  @Test(
    "the proof completes after one answer of each consumer, however often the reapers look in between",
    arguments: [(6, 2), (4, 2), (4, 1), (2, 1), (1, 1), (0, 2)])
  func completes(consumerCount: Int, reaperCount: Int) async throws {
    try await withTestStore { test in
      try await publish(5, test)
      let consumers = try await consumers(consumerCount, test)
      func pass() async throws -> Int {
        var count = 0
        for _ in 0..<reaperCount {
          // A while later: another roll call may be opened.
          try await test.sql("UPDATE baton_roll_calls SET started_at = started_at - interval '3 seconds'")
          try await see(try await open(test), test)
          count += try await lost(test, by: test.holder.id)
        }
        return count
      }
      var total = 0
      for consumer in consumers {
        total += try await pass()
        #expect(total == 0, "not every consumer has answered")
        try await answer(consumer, test)
      }
      total += try await pass()
      #expect(total == 5)
      #expect(try await pass() == 0, "they were published anew")
    }
  }

  @Test("a ticket that a consumer has and has not decided on is not lost; the next answer without it says that it is")
  func undecided() async throws {
    try await withTestStore { test in
      try await publish(3, test)
      let consumers = try await consumers(2, test)
      let held = try await test.sql("SELECT id FROM code_reviews ORDER BY id LIMIT 1")[0].decode(0, as: UUID.self)
      try await see(try await open(test), test)
      try await answer(consumers[0], test)
      try await answer(consumers[1], test, undecided: [held])
      #expect(try await lost(test, by: test.holder.id) == 2)
      #expect(try await test.row(held).republishCount == 0)
      try await test.sql("UPDATE baton_roll_calls SET started_at = started_at - interval '3 seconds'")
      try await see(try await open(test), test)
      for consumer in consumers { try await answer(consumer, test) }
      #expect(try await lost(test, by: test.holder.id) == 1)
    }
  }

  @Test("without a ticket that is missed nothing is opened; a new one is missed after two seconds")
  func nothingMissed() async throws {
    try await withTestStore { test in
      _ = try await test.insert(2)
      let claims = try await test.claim()
      #expect(try await open(test).isEmpty, "not published")
      try await test.store.recordPublished(claims)
      #expect(try await open(test).isEmpty, "just published")
      try await test.sql("UPDATE code_reviews SET published_at = now() - interval '3 seconds'")
      #expect(try await open(test).count == 1)
      #expect(try await open(test).count == 1, "the one that is open waits to be seen")
    }
  }

  @Test("a consumer that dies before its answer leaves the roll call without one; the next completes without it")
  func death() async throws {
    try await withTestStore { test in
      try await publish(1, test)
      let consumers = try await consumers(2, test)
      try await see(try await open(test), test)
      try await answer(consumers[0], test)
      try await test.store.leave(consumers[1])
      #expect(try await lost(test, by: test.holder.id) == 0, "its ticket may be in the queue again")
      try await test.sql("UPDATE baton_roll_calls SET started_at = started_at - interval '3 seconds'")
      try await see(try await open(test), test)
      #expect(try await lost(test, by: test.holder.id) == 0)
      try await answer(consumers[0], test)
      #expect(try await lost(test, by: test.holder.id) == 1)
    }
  }

  @Test("a consumer that has given a delivery back answers nothing that was opened before")
  func givenBack() async throws {
    try await withTestStore { test in
      try await publish(1, test)
      let consumer = try await consumers(1, test)[0]
      try await see(try await open(test), test)
      let givenBack = try await test.store.now()
      #expect(try await answer(consumer, test, after: givenBack) == 0)
      try await test.sql("UPDATE baton_roll_calls SET started_at = started_at - interval '3 seconds'")
      try await see(try await open(test), test)
      #expect(try await answer(consumer, test, after: givenBack) == 1)
      #expect(try await lost(test, by: test.holder.id) == 1)
    }
  }

  @Test("a consumer that came between the opening and the look has to answer, one that came later has not")
  func newcomers() async throws {
    try await withTestStore { test in
      try await publish(1, test)
      let calls = try await open(test)
      let early = Holder(role: "consume", host: "test", processID: 8)
      try await test.signOn(early)
      try await see(calls, test)
      let late = Holder(role: "consume", host: "test", processID: 9)
      try await test.signOn(late)
      #expect(try await lost(test, by: test.holder.id) == 0)
      #expect(try await answer(late.id, test) == 0)
      #expect(try await answer(early.id, test) == 1)
      #expect(try await lost(test, by: test.holder.id) == 1)
    }
  }

  @Test("a queue that is never empty: seen when a review that was claimed later has been leased from it")
  func busyQueue() async throws {
    try await withTestStore { test in
      try await publish(1, test)
      let consumers = try await consumers(2, test)
      let calls = try await open(test)
      try await see(calls, isQueueEmpty: false, test)
      #expect(try await answer(consumers[0], test) == 0, "nothing shows that the ticket has left the queue")
      for isSeen in [false, true] {
        // Some time has passed since the opening.
        if isSeen { try await test.sql("UPDATE baton_roll_calls SET started_at = started_at - interval '3 seconds'") }
        let leased = try await test.store.now()
        #expect(
          try await test.store.heartbeat(consumers[1], Holder.Report(unleasedTickets: 7, leasedUpTo: leased)).isKnown)
        try await see(calls, isQueueEmpty: false, test)
        #expect(try await answer(consumers[0], test) == (isSeen ? 1 : 0))
      }
      #expect(try await lost(test, by: test.holder.id) == 0)
      // Its other tickets are no reason to wait.
      try await answer(consumers[1], test, undecided: [UUID(), UUID()])
      #expect(try await lost(test, by: test.holder.id) == 1)
    }
  }

  @Test("a queue that is never empty: a consumer that came since the opening proves nothing by what was leased")
  func busyQueueNewcomer() async throws {
    try await withTestStore { test in
      try await publish(1, test)
      let consumer = try await consumers(1, test)[0]
      let calls = try await open(test)
      try await test.sql("UPDATE baton_roll_calls SET started_at = started_at - interval '3 seconds'")
      try await test.signOn(Holder(role: "consume", host: "test", processID: 9))
      let leased = try await test.store.now()
      #expect(try await test.store.heartbeat(consumer, Holder.Report(leasedUpTo: leased)).isKnown)
      try await see(calls, isQueueEmpty: false, test)
      #expect(try await answer(consumer, test) == 0)
      try await see(calls, test)
      #expect(try await answer(consumer, test) == 1, "the empty queue proves it")
    }
  }

  @Test(
    "a lease that is dropped while the consumer has its ticket starts anew: nothing older proves that the ticket is lost"
  )
  func droppedLease() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      try await publish(1, test)
      let id = try await test.sql("SELECT id FROM code_reviews")[0].decode(0, as: UUID.self)
      let ticket = Ticket(reviewID: id, attempt: 1, claimedAt: try #require(try await test.row(id).claimedAt))
      let calls = try await open(test)
      let lease = try await test.take(ticket)
      try await see(calls, test)
      try await answer(test.holder.id, test)
      try await test.store.drop(lease)
      #expect(try await lost(test, by: test.holder.id) == 0)
    }
  }

  // MARK: A server whose clock is behind that of the one before

  @Test("a roll call of a clock that was ahead proves nothing, holds up no other, and is removed")
  func clockBehind() async throws {
    try await withTestStore { test in
      try await publish(1, test)
      let consumer = try await consumers(1, test)[0]
      try await see(try await open(test), test)
      try await answer(consumer, test)
      // Before anything was made of it, another server takes over.
      try await test.sql("UPDATE baton_roll_calls SET started_at = now() + interval '1 minute'")
      try await test.sql("UPDATE code_reviews SET published_at = now() - interval '3 seconds'")
      #expect(try await lost(test, by: test.holder.id) == 0)
      let calls = try await open(test)
      #expect(calls.count == 1)
      try await see(calls, test)
      #expect(try await answer(consumer, test) == 1)
      #expect(try await lost(test, by: test.holder.id) == 1)
      try await test.store.pruneRollCalls()
      #expect(try await test.sql("SELECT FROM baton_roll_calls WHERE started_at > now()").isEmpty)
      #expect(try await test.sql("SELECT FROM baton_roll_calls").count == 1)
    }
  }

  @Test("a roll call of a clock that was ahead, not seen or not answered, is neither seen nor answered")
  func unfinishedOfClockAhead() async throws {
    try await withTestStore { test in
      try await publish(1, test)
      let consumer = try await consumers(1, test)[0]
      let calls = try await open(test)
      try await test.sql("UPDATE baton_roll_calls SET started_at = now() + interval '1 minute'")
      let next = try await open(test)
      #expect(next.count == 1 && next != calls)
      try await see(calls, test)
      try await test.sql("UPDATE baton_roll_calls SET seen_at = now() WHERE started_at > now()")
      #expect(try await answer(consumer, test) == 0)
    }
  }

  @Test("a lease of a review that was claimed by a clock that was ahead shows nothing")
  func leasedByClockAhead() async throws {
    try await withTestStore { test in
      try await publish(1, test)
      let consumer = try await consumers(1, test)[0]
      let calls = try await open(test)
      let leased = Timestamp(microseconds: try await test.store.now().microseconds + 60_000_000)
      #expect(try await test.store.heartbeat(consumer, Holder.Report(leasedUpTo: leased)).isKnown)
      try await see(calls, isQueueEmpty: false, test)
      #expect(try await answer(consumer, test) == 0)
    }
  }

  // MARK: Locked rows

  /// Runs the body while a person in psql has locked a row.
  private func whileLocked(_ query: String, _ test: TestStore, _ body: () async throws -> Void) async throws {
    let person = try await PostgresConnection.connect(testConfiguration(test.conninfo), logger: .postgresTests)
    try await person.withTransaction { person in
      _ = try await person.query(PostgresStatement(unprepared: "\(query) FOR UPDATE"))
      try await body()
    }
    await person.close()
  }

  @Test("a roll call that another transaction has locked holds up no answer to the others")
  func lockedRollCall() async throws {
    try await withTestStore { test in
      try await publish(1, test)
      let consumer = try await consumers(1, test)[0]
      try await see(try await open(test), test)
      try await test.sql("UPDATE baton_roll_calls SET started_at = started_at - interval '3 seconds'")
      try await see(try await open(test), test)
      try await whileLocked("SELECT FROM baton_roll_calls WHERE id = (SELECT min(id) FROM baton_roll_calls)", test) {
        let answered = try await answer(consumer, test)
        #expect(answered == 2)
        #expect(try await lost(test, by: test.holder.id) == 1)
      }
      #expect(try await answer(consumer, test) == 1, "the one that was locked")
    }
  }

  @Test("an old holder that another transaction has locked is no error, and the others are removed")
  func lockedHolder() async throws {
    try await withTestStore { test in
      let consumers = try await consumers(2, test)
      try await test.addWitness()
      try await test.sql(
        "UPDATE baton_holders SET heartbeat_at = now() - interval '2 hours' WHERE id <> 'witness'")
      try await whileLocked("SELECT FROM baton_holders WHERE id = '\(consumers[0])'", test) {
        try await test.store.pruneHolders()
        #expect(try await test.sql("SELECT FROM baton_holders WHERE id <> 'witness'").count == 1)
      }
      try await test.store.pruneHolders()
      #expect(try await test.sql("SELECT FROM baton_holders WHERE id <> 'witness'").isEmpty)
    }
  }
}
