import Foundation
import PostgresClient
import Reviews
import Support
import Testing

/// Serialised, because one of them reads a count of the whole broker, which the kills of another raise.
@Suite("Killed processes", .serialized, .timeLimit(.minutes(5)))
struct KillTests {
  enum Victim: String, CaseIterable, Sendable {
    case producer, consumer, reaper
  }

  /// How soon is measured by `deploy/prove faults`, and by the reaper's tests on a clock that they move.
  @Test(
    "the work of a killed process is on its way again, nothing is lost and nothing runs twice",
    arguments: Victim.allCases)
  func kill(_ victim: Victim) async throws {
    try await withTestCluster { cluster in
      var producer = try await cluster.start("produce")
      var consumers = [
        try await cluster.start("consume", "--prefetch", "8"), try await cluster.start("consume", "--prefetch", "8"),
      ]
      var reaper = try await cluster.start("reap", "--interval", "2s")
      let ids = try await cluster.test.insert(20)
      // In the middle: some are with the worker, others with the consumers, the rest in the queue.
      try await eventually("five dispatched") { try await cluster.dispatchedCount() >= 5 }

      switch victim {
      case .producer:
        await producer.die()
        producer = try await cluster.start("produce")
      case .consumer:
        await consumers[0].die()
        consumers[0] = try await cluster.start("consume", "--prefetch", "8")
      case .reaper:
        // With a dead consumer's reviews waiting for it.
        await consumers[0].die()
        await reaper.die()
        consumers[0] = try await cluster.start("consume", "--prefetch", "8")
        reaper = try await cluster.start("reap", "--interval", "2s")
      }
      try await eventually("all 20 dispatched") { try await cluster.dispatchedCount() == 20 }
      #expect(Set(cluster.worker.runCounts.keys) == Set(ids.map { "\($0.uuidString.lowercased())/1" }))
      #expect(cluster.doubleRuns.isEmpty)
      for process in [producer, reaper] + consumers { process.signal(SIGTERM) }
      for process in [producer, reaper] + consumers { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }

  @Test("SIGTERM under load: work in flight is finished, nothing is delivered again")
  func drain() async throws {
    let before = try await redeliveredCount()
    try await withTestCluster { cluster in
      let producer = try await cluster.start("produce")
      let consumer = try await cluster.start("consume", "--prefetch", "10")
      let ids = try await cluster.test.insert(20)
      try await eventually("one dispatched") { try await cluster.dispatchedCount() >= 1 }
      consumer.signal(SIGTERM)
      #expect(await consumer.wait() == 0, "\(consumer.output)")
      let open = try await cluster.test.sql(
        "SELECT count(*) FROM code_reviews WHERE lease_owner IS NOT NULL AND dispatched_at IS NULL")
      #expect(try open[0].decode(0, as: Int64.self) == 0)
      let other = try await cluster.start("consume")
      try await eventually("all 20 dispatched") { try await cluster.dispatchedCount() == 20 }
      #expect(cluster.worker.starts.count == ids.count, "each was posted once")
      #expect(cluster.doubleRuns.isEmpty)
      for process in [producer, other] {
        process.signal(SIGTERM)
        #expect(await process.wait() == 0)
      }
      let after = try await redeliveredCount()
      #expect(after == before, "the broker delivered nothing a second time: \(consumer.output)")
    }
  }

  @Test("SIGTERM while the worker is silent: when the drain is over the review is handed back, as one that may run")
  func drainInCall() async throws {
    try await withTestCluster(settings: ["BATON_DRAIN_TIMEOUT": "1s", "BATON_WORKER_TIMEOUT": "1h"]) { cluster in
      cluster.worker.then(.hang)
      let producer = try await cluster.start("produce")
      let consumer = try await cluster.start("consume")
      let id = try await cluster.test.insert(1)[0]
      try await eventually("the worker is called") { cluster.worker.starts.count == 1 }
      consumer.signal(SIGTERM)
      #expect(await consumer.wait() == 0, "\(consumer.output)")
      let row = try await cluster.test.row(id)
      #expect(row.status == .queued && row.leaseOwner == nil && row.dispatchFailures == 0, "\(consumer.output)")
      let others = [try await cluster.start("consume"), try await cluster.start("reap", "--interval", "1s")]
      try await eventually("dispatched") { try await cluster.dispatchedCount() == 1 }
      #expect(cluster.doubleRuns.isEmpty && cluster.worker.runCounts.count == 1)
      for process in [producer] + others {
        process.signal(SIGTERM)
        #expect(await process.wait() == 0)
      }
    }
  }

  /// Deliveries that the broker has marked as redelivered since its start, by its own count.
  private func redeliveredCount() async throws -> Int {
    let control = try postgresTestVariable("BATON_TEST_BROKER_CTL")
    let counters = try await runCommand(control, ["ctl", "eval", "rabbit_global_counters:overview()."])
    let counts = counters.matches(of: /messages_redelivered_total\s*=>\s*(\d+)/).compactMap { Int($0.1) }
    try #require(!counts.isEmpty, "\(counters)")
    return counts.reduce(0, +)
  }

  @Test("a zombie that wakes up after its lease was taken writes nothing and starts nothing twice")
  func zombie() async throws {
    try await withTestCluster(settings: ["BATON_LEASE": "2s"]) { cluster in
      let producer = try await cluster.start("produce")
      let zombie = try await cluster.start("consume", "--prefetch", "20")
      _ = try await cluster.test.insert(20)
      try await eventually("the zombie has leases") {
        try await cluster.test.sql(
          "SELECT count(*) FROM code_reviews WHERE lease_owner IS NOT NULL")[0].decode(0, as: Int64.self) > 5
      }
      zombie.signal(SIGSTOP)
      let reaper = try await cluster.start("reap", "--interval", "1s")
      let healthy = try await cluster.start("consume")
      try await eventually("all 20 dispatched without it") { try await cluster.dispatchedCount() == 20 }
      zombie.signal(SIGCONT)
      zombie.signal(SIGTERM)
      #expect(await zombie.wait() == 0, "\(zombie.output)")
      #expect(cluster.doubleRuns.isEmpty)
      for process in [producer, healthy, reaper] {
        process.signal(SIGTERM)
        #expect(await process.wait() == 0)
      }
    }
  }
}
