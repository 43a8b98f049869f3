import Foundation
import PostgresClient
import Primitives
import Reviews
import Support
import Testing

@Suite("Callbacks, from outside", .timeLimit(.minutes(5)))
struct CallbackTests {
  /// The producer looks by itself only once an hour: what wakes it is the completion.
  @Test("a completed review's slot goes to the next one at once")
  func freedSlot() async throws {
    let port = try BrokerServer.freePort()
    let settings = [
      "BATON_OWNER_LIMIT": "1", "BATON_POLL_INTERVAL": "1h", "BATON_HTTP_PORT": "\(port)",
      "BATON_CALLBACK_SECRET": "c4llback",
    ]
    try await withTestCluster(latency: .zero, settings: settings) { cluster in
      let ids = try await cluster.test.insert(2)
      let (server, _) = try await cluster.listen("serve")
      let producer = try await cluster.start("produce")
      let consumer = try await cluster.start("consume")
      try await eventually("one runs") { cluster.worker.starts.count == 1 }
      let first = cluster.worker.starts[0].reviewID
      let reply = try await RawHTTPClient(port: port).send(
        "POST", "/api/internal/code-review-status/\(first.uuidString.lowercased())",
        headers: [("X-Internal-Secret", "c4llback")], body: Array(#"{"status":"completed","attempt":1}"#.utf8))
      #expect(reply.status == 200)
      try await eventually("the other runs") { cluster.worker.starts.count == 2 }
      #expect(Set(cluster.worker.starts.map(\.reviewID)) == Set(ids))
      for process in [producer, consumer, server] { process.signal(SIGTERM) }
      for process in [producer, consumer, server] { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }
}
