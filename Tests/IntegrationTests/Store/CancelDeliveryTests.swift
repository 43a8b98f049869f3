import Dispatching
import Foundation
import Logging
import PostgresClient
import Resilience
import ReviewStore
import Reviews
import Support
import Testing
import WorkerClient

@Suite("Cancels that the worker is told")
struct CancelDeliveryTests {
  private static func delivery(
    _ test: TestStore, url: String, wakeup: Wakeup = Wakeup(), interval: Duration = .seconds(86_400)
  ) throws -> CancelDelivery {
    CancelDelivery(
      store: test.store,
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

  @Test("of many who deliver at once each tells others, so that the worker hears of every cancel once")
  func once() async throws {
    let worker = try await ScriptedWorker(token: "t")
    try await withTestStore { test in
      let ids = try await Self.cancelled(50, test)
      let delivered = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<4 {
          let delivery = try Self.delivery(test, url: worker.url)
          group.addTask { try await delivery.deliverDue() }
        }
        return try await group.reduce(0, +)
      }
      #expect(delivered == 50 && worker.cancels.count == 50)
      #expect(Set(worker.cancels.map(\.reviewID)) == Set(ids))
      #expect(try await Self.count(test, "true") == 0)
    }
    await worker.stop()
  }

  @Test("a worker that is out is not asked about all of them; each comes due again with its reason, and is told then")
  func outage() async throws {
    let worker = try await ScriptedWorker(token: "t")
    try await withTestStore { test in
      let total = CancelDelivery.pageMax + 4
      _ = try await Self.cancelled(total, test)
      #expect(try await Self.delivery(test, url: "http://127.0.0.1:1").deliverDue() == 0)
      let waiting = "tries = 1 AND last_error <> '' AND due_at BETWEEN now() AND now() + interval '5 s'"
      #expect(try await Self.count(test, waiting) == Int64(CancelDelivery.pageMax))
      #expect(try await Self.count(test, "tries = 0 AND due_at <= now()") == 4)
      try await test.sql("UPDATE baton_outbox SET due_at = now()")
      #expect(try await Self.delivery(test, url: worker.url).deliverDue() == total)
    }
    await worker.stop()
  }

  @Test("what somebody has taken is nobody else's until the call must have ended, and then anybody's")
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
      let delivery = try Self.delivery(
        test, url: worker.url, wakeup: wakeup, interval: isWoken ? .seconds(86_400) : .milliseconds(10))
      let running = Task { try await delivery.run() }
      let ids = try await Self.cancelled(1, test)
      if isWoken { wakeup.wake() }
      try await eventually("the worker is told") { worker.cancels.map(\.reviewID) == ids }
      running.cancel()
      try await running.value
    }
    await worker.stop()
  }
}
