import Foundation
import PostgresClient
import Primitives
import Reviews
import Support
import Testing

@Suite("Cancelled at the wrong moment", .serialized, .timeLimit(.minutes(5)))
struct CancelTests {
  @Test("cancelled during the POST: the row stays cancelled, the worker is notified, and a retry really runs again")
  func duringThePost() async throws {
    try await withTestCluster { cluster in
      let id = try await cluster.test.insert(1)[0]
      cluster.worker.then(for: id, .slow(.seconds(2)))
      let producer = try await cluster.start("produce")
      let consumer = try await cluster.start("consume")
      let reaper = try await cluster.start("reap", "--interval", "1s")
      try await eventually("the POST is under way") { !cluster.worker.starts(of: id).isEmpty }
      let cancelled = try await cluster.run("cancel", id.uuidString.lowercased())
      #expect(cancelled.status == 0, "\(cancelled.output)")
      #expect(try await cluster.test.row(id).status == .cancelled)
      try await eventually("the worker is notified") {
        cluster.worker.cancels.contains { $0.reviewID == id && $0.attempt == 1 }
      }
      // The answer comes after the cancel: it is recorded, and the worker is notified once more, so that it ends what it began.
      try await eventually("the dispatch is recorded") { try await cluster.test.row(id).dispatchedAt != nil }
      try await eventually("the outbox is empty") { try await cluster.count("baton_outbox") == 0 }
      #expect(try await cluster.test.row(id).status == .cancelled)
      #expect(cluster.worker.starts(of: id).count == 1)

      let retried = try await cluster.run("retry", id.uuidString.lowercased())
      #expect(retried.status == 0, "\(retried.output)")
      try await eventually("the second attempt runs") { cluster.worker.runCount(of: id, attempt: 2) == 1 }
      try await eventually("it is recorded") { try await cluster.test.row(id).dispatchedAt != nil }
      let row = try await cluster.test.row(id)
      #expect((row.status, row.attempt) == (.queued, 2))
      #expect(cluster.worker.runCount(of: id, attempt: 1) == 1)
      for process in [producer, consumer, reaper] { process.signal(SIGTERM) }
      for process in [producer, consumer, reaper] { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }

  @Test("cancelled by the API: the worker is notified of each once, by two servers, woken, and with no reaper running")
  func withoutReaper() async throws {
    try await withTestCluster(latency: .zero) { cluster in
      let ids = try await cluster.test.insert(20)
      let roles = [try await cluster.start("produce"), try await cluster.start("consume")]
      try await eventually("all are dispatched") { try await cluster.dispatchedCount() == ids.count }
      var serving = cluster
      // No process looks without a notification.
      serving.settings["BATON_POLL_INTERVAL"] = "1h"
      var servers: [BatonProcess] = []
      var port = 0
      for _ in 0..<2 {
        port = try BrokerServer.freePort()
        serving.settings["BATON_HTTP_PORT"] = "\(port)"
        servers.append(try await serving.listen("serve").process)
      }
      let client = RawHTTPClient(port: port, bearer: TestCluster.apiToken)
      for id in ids {
        let reply = try await client.send("POST", "/api/reviews/\(id.lowercase)/cancel")
        #expect(reply.status == 202, "\(reply.body)")
      }
      try await eventually("the outbox is empty") { try await cluster.count("baton_outbox") == 0 }
      #expect(Set(cluster.worker.cancels.map(\.reviewID)) == Set(ids))
      #expect(cluster.worker.cancels.count == ids.count && cluster.worker.cancels.allSatisfy { $0.attempt == 1 })
      for process in roles + servers { process.signal(SIGTERM) }
      for process in roles + servers { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }

  @Test("cancelled while its payload is prepared: it never reaches the worker")
  func duringPreparation() async throws {
    try await withTestCluster(latency: .seconds(2)) { cluster in
      let id = try await cluster.test.insert(1)[0]
      let producer = try await cluster.start("produce")
      let consumer = try await cluster.start("consume")
      try await eventually("it is being prepared") { try await cluster.test.row(id).leaseOwner != nil }
      #expect(try await cluster.run("cancel", id.uuidString.lowercased()).status == 0)
      // What is in flight is finished before the consumer ends.
      consumer.signal(SIGTERM)
      #expect(await consumer.wait() == 0, "\(consumer.output)")
      #expect(cluster.worker.starts.isEmpty)
      #expect(try await cluster.test.row(id).status == .cancelled)
      producer.signal(SIGTERM)
      #expect(await producer.wait() == 0, "\(producer.output)")
    }
  }
}
