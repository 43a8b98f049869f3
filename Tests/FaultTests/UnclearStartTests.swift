import Foundation
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

/// A start whose outcome is not known must not be repeated before the worker was asked about it.
@Suite("Unclear starts", .serialized, .timeLimit(.minutes(5)))
struct UnclearStartTests {
  private static let settings = ["BATON_WORKER_TIMEOUT": "1s", "BATON_RETRY_BASE": "200ms"]

  @Test("a worker that begins a run, fails, and cannot be asked at first is asked later, and not called again")
  func askedLater() async throws {
    try await withTestCluster(latency: .zero, settings: Self.settings) { cluster in
      cluster.worker.then(.status(500, starting: true))
      cluster.worker.hangsOnQuestions = true
      let roles = try await Self.roles(cluster)
      let ids = try await cluster.test.insert(1)
      try await eventually("left queued more than once") { try await Self.unclearStarts(cluster) > 1 }
      #expect(try await cluster.test.row(ids[0]).status == .queued)
      cluster.worker.hangsOnQuestions = false
      try await eventually("dispatched") { try await cluster.dispatchedCount() == 1 }
      #expect(cluster.worker.starts.count == 1)
      try await Self.end(roles)
    }
  }

  @Test(
    "after an unclear start a worker that refuses connections leaves the review queued, where its callback finds it")
  func callback() async throws {
    try await withTestCluster(latency: .zero, settings: Self.settings) { cluster in
      cluster.worker.then(.hangs(starting: true))
      cluster.worker.hangsOnQuestions = true
      let roles = try await Self.roles(cluster)
      let ids = try await cluster.test.insert(1)
      try await eventually("left queued") { try await Self.unclearStarts(cluster) > 0 }
      await cluster.worker.stop()
      try await eventually("tried again, without a connection") { try await Self.unclearStarts(cluster) > 2 }
      let answer = try await cluster.test.store.report(ids[0], .init(status: .completed, attempt: 1))
      #expect(answer == .applied)
      #expect(cluster.worker.starts.count == 1)
      try await Self.end(roles)
    }
  }

  @Test("the review of a consumer that was killed during the call is asked about, and not started again")
  func killed() async throws {
    try await withTestCluster(latency: .zero, settings: ["BATON_RETRY_BASE": "200ms"]) { cluster in
      cluster.worker.otherwise = .slow(.seconds(60))
      let consumer = try await cluster.start("consume")
      let roles = [try await cluster.start("produce"), try await cluster.start("reap", "--interval", "1s")]
      _ = try await cluster.test.insert(3)
      try await eventually("all are with the worker") { cluster.worker.starts.count == 3 }
      await consumer.die()
      cluster.worker.otherwise = .accept
      let successor = try await cluster.start("consume")
      try await eventually("dispatched") { try await cluster.dispatchedCount() == 3 }
      #expect(cluster.worker.starts.count == 3)
      try await Self.end(roles + [successor])
    }
  }

  private static func roles(_ cluster: TestCluster) async throws -> [BatonProcess] {
    [
      try await cluster.start("produce"), try await cluster.start("consume"),
      try await cluster.start("reap", "--interval", "1s"),
    ]
  }

  private static func end(_ processes: [BatonProcess]) async throws {
    for process in processes { process.signal(SIGTERM) }
    for process in processes { #expect(await process.wait() == 0, "\(process.output)") }
  }

  private static func unclearStarts(_ cluster: TestCluster) async throws -> Int {
    Int(
      try await cluster.test.sql("SELECT max(unclear_starts) FROM code_reviews")[0].decode(0, as: Int32?.self) ?? 0)
  }
}
