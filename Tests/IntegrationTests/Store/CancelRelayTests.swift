import Dispatching
import Foundation
import Logging
import PostgresClient
import Primitives
import Resilience
import ReviewStore
import Reviews
import Support
import Testing
import WorkerClient

@Suite("Relay of cancels to the worker")
struct CancelRelayTests {
  private static func relay(
    _ test: TestStore, url: String, wakeup: Wakeup = Wakeup(), interval: Duration = .seconds(86_400)
  ) throws -> CancelRelay {
    CancelRelay(
      ledger: test.store,
      worker: try WorkerClient(
        baseURL: url, token: Secret("t"), timeout: .seconds(10), connectionMax: 16, logger: .postgresTests),
      callTimeout: .seconds(10), wakeup: wakeup, interval: interval, logger: .postgresTests)
  }

  /// Reviews that were claimed and then cancelled.
  private static func cancelled(_ count: Int, _ test: TestStore) async throws -> [UUID] {
    let ids = try await test.insert(count)
    try await test.claim(count, ownerLimit: count)
    for id in ids { #expect(try await test.store.cancel(id) == .done(.cancelled, attempt: 1)) }
    return ids
  }

  private static func count(_ test: TestStore, _ predicate: String) async throws -> Int64 {
    try await test.sql("SELECT count(*) FROM baton_outbox WHERE \(predicate)")[0].decode(0, as: Int64.self)
  }

  @Test("of many that deliver at once each takes other cancels, so that the worker gets every cancel once")
  func once() async throws {
    let worker = try await ScriptedWorker(token: "t")
    try await withTestStore { test in
      let ids = try await Self.cancelled(50, test)
      let delivered = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<4 {
          let relay = try Self.relay(test, url: worker.url)
          group.addTask { try await relay.deliverDue() }
        }
        return try await group.reduce(0, +)
      }
      #expect(delivered == 50 && worker.cancels.count == 50)
      #expect(Set(worker.cancels.map(\.reviewID)) == Set(ids))
      #expect(try await Self.count(test, "true") == 0)
    }
    await worker.stop()
  }

  @Test(
    "a worker that is unavailable is not asked about all; each comes due again with its reason, and is delivered then")
  func outage() async throws {
    let worker = try await ScriptedWorker(token: "t")
    try await withTestStore { test in
      let total = 4 * CancelRelay.callsAtOnce
      _ = try await Self.cancelled(total, test)
      #expect(try await Self.relay(test, url: "http://127.0.0.1:1").deliverDue() == 0)
      let waiting = "tries = 1 AND last_error <> '' AND due_at BETWEEN now() AND now() + interval '5 s'"
      let untouched = try await Self.count(test, "tries = 0 AND due_at <= now()")
      #expect(untouched >= Int64(total - 2 * CancelRelay.callsAtOnce))
      #expect(try await Self.count(test, waiting) == Int64(total) - untouched)
      try await test.sql("UPDATE baton_outbox SET due_at = now()")
      #expect(try await Self.relay(test, url: worker.url).deliverDue() == total)
    }
    await worker.stop()
  }

  @Test("what the worker does not accept for a day is given up, with its reason, and its review can be deleted")
  func end() async throws {
    let worker = try await ScriptedWorker(token: "t")
    try await withTestStore { test in
      let id = try await Self.cancelled(1, test)[0]
      let relay = try Self.relay(test, url: "http://127.0.0.1:1")
      func fail(tries: Int, age: String) async throws {
        try await test.sql(
          "UPDATE baton_outbox SET due_at = now(), tries = \(tries), created_at = now() - interval '\(age)'")
        #expect(try await relay.deliverDue() == 0)
      }
      func prune() async throws -> Int {
        try await test.sql("UPDATE code_reviews SET completed_at = now() - interval '1 year'")
        return try await test.store.pruneReviews(endedFor: .seconds(86_400), after: nil, limit: 10).deleted
      }
      try await fail(tries: 20, age: "23 hours")
      try await fail(tries: 3, age: "3 days")
      #expect(try await prune() == 0)
      let waiting = try await test.store.undeliveredCancels(of: id)
      #expect(waiting.map(\.tries) == [4] && waiting[0].nextTry != nil && waiting[0].givenUpAt == nil)
      #expect(try await test.store.counts().cancelsGivenUp == 0)
      try await fail(tries: 9, age: "25 hours")
      let givenUp = try await test.store.undeliveredCancels(of: id)
      #expect(givenUp.map(\.tries) == [10] && givenUp[0].nextTry == nil && givenUp[0].givenUpAt != nil)
      #expect(try await test.store.counts().cancelsGivenUp == 1)
      #expect(try await Self.relay(test, url: worker.url).deliverDue() == 0, "it is not tried any more")
      #expect(worker.cancels.isEmpty)
      #expect(try await prune() == 1)
      #expect(try await Self.count(test, "true") == 0)
    }
    await worker.stop()
  }

  @Test("a cancel that one process has taken is free again only when its call must have ended")
  func lease() async throws {
    try await withTestStore { test in
      _ = try await Self.cancelled(1, test)
      #expect(try await test.store.takeOutbox(limit: 10, for: .seconds(3_600)).map(\.tries) == [1])
      #expect(try await test.store.takeOutbox(limit: 10, for: .zero).isEmpty)
      try await test.sql("UPDATE baton_outbox SET due_at = due_at - interval '1 h'")
      #expect(try await test.store.takeOutbox(limit: 10, for: .zero).map(\.tries) == [2])
    }
  }

  @Test("a wake-up ends the wait at once, and without one the next look finds what is due", arguments: [true, false])
  func wait(isWoken: Bool) async throws {
    let worker = try await ScriptedWorker(token: "t")
    try await withTestStore { test in
      let wakeup = Wakeup()
      let relay = try Self.relay(
        test, url: worker.url, wakeup: wakeup, interval: isWoken ? .seconds(86_400) : .milliseconds(10))
      let running = Task { try await relay.run() }
      let ids = try await Self.cancelled(1, test)
      if isWoken { wakeup.wake() }
      try await eventually("the worker is notified") { worker.cancels.map(\.reviewID) == ids }
      running.cancel()
      try await running.value
    }
    await worker.stop()
  }
}
