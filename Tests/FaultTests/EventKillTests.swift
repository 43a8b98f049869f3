import Foundation
import Platforms
import PostgresClient
import Primitives
import Reviews
import Support
import Synchronization
import Testing

@Suite("Events, when the server is killed", .serialized, .timeLimit(.minutes(5)))
struct EventKillTests {
  @Test("an event whose sender dies between the request and its record is sent again, with the same id and body")
  func killed() async throws {
    let isAnswering = Mutex(false)
    let receiver = try await EventReceiver { _ in isAnswering.withLock { $0 } ? .init(200) : nil }
    let settings = ["BATON_EVENT_HOSTS": "127.0.0.1", "BATON_HTTP_PORT": "\(try BrokerServer.freePort())"]
    try await withTestCluster(latency: .zero, settings: settings) { cluster in
      let (endpoint, cipher) = (UUID(), TokenCipher(key: Array(repeating: 7, count: 32)))
      try await cluster.test.pool.query(
        PostgresStatement(unprepared: "INSERT INTO baton_endpoints (id, url, secret_ciphertext) VALUES ($1, $2, $3)"),
        [
          endpoint, receiver.url,
          try cipher.seal(Secret("a secret of the tests, long enough"), in: .endpointSecret(of: endpoint)),
        ])
      let server = try await cluster.start("serve")
      _ = try await cluster.test.sql(
        """
        INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                  base_ref, head_ref, head_sha)
        VALUES ('org', 'acme', 'github', 'acme/shop', 7, 'https://github.com/acme/shop/pull/7', 'Faster', 'ann', 'main', 'fast',
                '0a1b2c')
        """)
      _ = try await cluster.test.sql("UPDATE code_reviews SET status = 'cancelled'")
      try await eventually("the event is sent") { receiver.received.count == 1 }
      await server.die()
      isAnswering.withLock { $0 = true }
      // The next server need not wait until the taken event comes due again by itself.
      _ = try await cluster.test.sql("UPDATE baton_events SET taken_until = now()")
      let next = try await cluster.start("serve")
      try await eventually("the event is recorded") {
        try await cluster.test.sql("SELECT 1 FROM baton_events").isEmpty
      }
      let received = receiver.received
      #expect(received.count == 2 && Set(received.map(\.id)).count == 1 && Set(received.map(\.body)).count == 1)
      #expect(!server.output.contains("a secret of the tests") && !next.output.contains("a secret of the tests"))
      next.signal(SIGTERM)
      #expect(await next.wait() == 0, "\(next.output)")
    }
    await receiver.stop()
  }
}
