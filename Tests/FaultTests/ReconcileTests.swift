import Foundation
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing
import WorkerAPI

/// The real roles over the real worker, whose callbacks are lost: it gets an answer as if they had arrived, and Baton never receives them.
@Suite("Reconciliation", .timeLimit(.minutes(5)))
struct ReconcileTests {
  private static let times = [
    "BATON_STALE_AFTER": "1s", "BATON_RUNNING_TIMEOUT": "1s", "BATON_RETRY_BASE": "100ms",
  ]
  private static let waiting = """
    echo "$BATON_REVIEW_ID/$BATON_ATTEMPT" >>FOLDER/begun; until [ -e FOLDER/go ]; do sleep 0.02; done
    echo '{"sessionId":"s-1","usage":{"model":"m","totalTokensIn":7,"totalTokensOut":8,"totalCostMicroUSD":9}}'
    """

  /// Runs the body with the producer, a consumer and a reaper that use the worker.
  private func withRoles(
    agent: String, _ body: (TestCluster, WorkerTestCluster) async throws -> Void
  ) async throws {
    try await withWorker(agent: agent) { worker, _ in
      try await withTestCluster(latency: .zero, settings: Self.times.merging(["BATON_WORKER_URL": worker.url]) { $1 }) {
        cluster in
        let roles = [
          try await cluster.start("produce"), try await cluster.start("consume"),
          try await cluster.start("reap", "--interval", "200ms"),
        ]
        try await body(cluster, worker)
        for role in roles {
          role.signal(SIGTERM)
          #expect(await role.wait() == 0, "\(role.output)")
        }
      }
      #expect(await worker.stop() == 0, "\(worker.process.output)")
    }
  }

  private func keys(_ ids: [UUID]) -> [String] { ids.map { "\($0.uuidString.lowercased())/1" }.sorted() }

  @Test("a lost running callback: the reaper asks, and the review runs on, once")
  func lostRunning() async throws {
    try await withRoles(agent: Self.waiting) { cluster, worker in
      let ids = try await cluster.test.insert(3)
      for id in ids { try await eventually("running") { try await cluster.test.row(id).status == .running } }
      #expect(worker.lines("begun").sorted() == keys(ids))
      worker.touch("go")
      for id in ids { try await eventually("completed") { try await cluster.test.row(id).status == .completed } }
      #expect(worker.lines("begun").sorted() == keys(ids))
    }
  }

  @Test("a lost completion callback: the reaper asks, and the row has what the callback would have reported")
  func lostCompletion() async throws {
    try await withRoles(agent: Self.waiting) { cluster, worker in
      worker.touch("go")
      let ids = try await cluster.test.insert(3)
      for id in ids {
        try await eventually("completed") { try await cluster.test.row(id).status == .completed }
        let row = try await cluster.test.row(id)
        #expect(row.sessionId == "s-1" && row.totalTokensIn == 7 && row.totalTokensOut == 8)
      }
      #expect(worker.lines("begun").sorted() == keys(ids))
    }
  }

  @Test("a worker that forgot: its running reviews fail as lost, and free their slots")
  func forgot() async throws {
    try await withRoles(agent: Self.waiting) { cluster, worker in
      let ids = try await cluster.test.insert(2)
      for id in ids { try await eventually("running") { try await cluster.test.row(id).status == .running } }
      await worker.process.die()
      for name in ["state.sqlite", "state.sqlite-wal", "state.sqlite-agents"] {
        try? FileManager.default.removeItem(atPath: "\(worker.folder)/\(name)")
      }
      try await worker.restart()
      for id in ids {
        try await eventually("failed") { try await cluster.test.row(id).status == .failed }
        #expect(try await cluster.test.row(id).errorCode == ErrorCode.workerLost.rawValue)
      }
      worker.touch("go")
      let more = try await cluster.test.insert(1)
      try await eventually("the next is completed") { try await cluster.test.row(more[0]).status == .completed }
      #expect(worker.lines("begun").sorted() == keys(ids + more))
    }
  }

  @Test("a worker that forgot what had not begun is given it again")
  func forgotQueued() async throws {
    // The scripted worker begins nothing by itself, and never calls back.
    try await withTestCluster(latency: .zero, settings: Self.times) { cluster in
      let roles = [
        try await cluster.start("produce"), try await cluster.start("consume"),
        try await cluster.start("reap", "--interval", "200ms"),
      ]
      let id = try await cluster.test.insert(1)[0]
      try await eventually("asked, and known") { cluster.worker.statusRequests.count >= 1 }
      cluster.worker.forget(id)
      try await eventually("given again") { cluster.worker.starts(of: id).count == 2 }
      try await eventually("recorded") {
        let row = try await cluster.test.row(id)
        return row.dispatchedAt != nil && row.status == .queued
      }
      for role in roles {
        role.signal(SIGTERM)
        #expect(await role.wait() == 0, "\(role.output)")
      }
    }
  }

  @Test("a worker without the GET: nothing is taken as evidence, a start is repeated and changes nothing")
  func withoutStatus() async throws {
    try await withTestCluster(latency: .zero, settings: Self.times) { cluster in
      cluster.worker.lacksStatusRoute = true
      let roles = [
        try await cluster.start("produce"), try await cluster.start("consume"),
        try await cluster.start("reap", "--interval", "200ms"),
      ]
      let ids = try await cluster.test.insert(2)
      try await eventually("dispatched") { try await cluster.dispatchedCount() == 2 }
      // One reports that it runs, the other's callback is lost.
      _ = try await cluster.test.store.report(ids[0], RunReport(status: .running, attempt: 1))
      try await eventually("the silent one is started again") { cluster.worker.starts(of: ids[1]).count >= 3 }
      try await eventually("the running one was asked after") {
        cluster.worker.statusRequests.count { $0 == ids[0] } >= 3
      }
      #expect(cluster.worker.starts(of: ids[0]).count == 1)
      #expect(try await cluster.test.row(ids[0]).status == .running)
      #expect(cluster.doubleRuns.isEmpty && cluster.worker.runCounts.count == 2)
      _ = try await cluster.test.store.report(ids[1], RunReport(status: .completed, attempt: 1))
      #expect(try await cluster.test.row(ids[1]).status == .completed)
      for role in roles {
        role.signal(SIGTERM)
        #expect(await role.wait() == 0, "\(role.output)")
      }
    }
  }
}
