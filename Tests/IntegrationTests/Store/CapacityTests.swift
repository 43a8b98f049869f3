import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Figures for alerts")
struct CapacityTests {
  @Test("what waits for a producer is counted apart from what waits for its owner")
  func waiting() async throws {
    try await withTestStore { test in
      var stats = try await test.store.capacityStats(ownerLimit: 2)
      #expect(stats.oldestClaimable == nil && stats.oldestRunning == nil && stats.reaperLastRun == nil)
      #expect(stats.heldByLimit == 0 && stats.heldByPause == 0)
      _ = try await test.insert(5, owner: "full")
      _ = try await test.insert(4, owner: "resting")
      try await test.claim(ownerLimit: 2)
      #expect(try await test.store.setPaused(true, Owner(type: .org, id: "resting")))
      stats = try await test.store.capacityStats(ownerLimit: 2)
      #expect(stats.heldByLimit == 3 && stats.heldByPause == 2 && stats.oldestClaimable == nil)

      _ = try await test.insert(1, owner: "free")
      try await test.sql(
        "UPDATE code_reviews SET available_at = now() - interval '1000 seconds' WHERE owner_id IN ('free', 'full')")
      stats = try await test.store.capacityStats(ownerLimit: 2)
      #expect(try #require(stats.oldestClaimable) >= .seconds(1_000))
      #expect(stats.heldByLimit == 3)

      // An owner's own limit wins over the setting.
      try await test.sql("UPDATE review_owners SET max_concurrent = 3 WHERE owner_id = 'full'")
      #expect(try await test.store.capacityStats(ownerLimit: 2).heldByLimit == 0)
      // What is not due yet does not count as waiting for a producer.
      try await test.sql("UPDATE code_reviews SET available_at = now() + interval '1 hour' WHERE status = 'pending'")
      #expect(try await test.store.capacityStats(ownerLimit: 2).oldestClaimable == nil)
    }
  }

  @Test("the oldest running review counts from its start, whatever its worker reports since")
  func running() async throws {
    try await withTestStore { test in
      _ = try await test.insert(1)
      let claim = try await test.claim()[0]
      #expect(try await test.store.report(claim.reviewID, RunReport(status: .running, attempt: 1)) == .applied)
      try await test.sql("UPDATE code_reviews SET started_at = now() - interval '5000 seconds'")
      let details = RunReport(status: .running, attempt: 1, cliSessionId: "c")
      #expect(try await test.store.report(claim.reviewID, details) == .applied)
      #expect(try #require(try await test.store.capacityStats(ownerLimit: 20).oldestRunning) >= .seconds(5_000))
    }
  }

  @Test("the time of the last reaper's pass only goes forward")
  func reaperRun() async throws {
    try await withTestStore { test in
      try await test.store.recordReaperRun()
      let first = try #require(try await test.store.capacityStats(ownerLimit: 20).reaperLastRun)
      try await test.store.recordReaperRun()
      #expect(try #require(try await test.store.capacityStats(ownerLimit: 20).reaperLastRun) > first)
      try await test.sql("UPDATE baton_reaper SET last_run_at = now() + interval '1 hour'")
      try await test.store.recordReaperRun()
      #expect(
        try #require(try await test.store.capacityStats(ownerLimit: 20).reaperLastRun)
          > first.moved(by: .seconds(3_000)))
      try await test.sql("UPDATE baton_reaper SET last_run_at = 'infinity'")
      #expect(try await test.store.capacityStats(ownerLimit: 20).reaperLastRun == .infinity)
    }
  }
}
