import Foundation
import Platforms
import PostgresClient
import Primitives
import Reviews
import Sandbox
import Support
import Testing

@Suite("Feedback with a token that ends", .serialized, .timeLimit(.minutes(5)))
struct FeedbackTokenTests {
  @Test("baton serve alone renews a GitLab token that soon ends, stores it, and updates the merge request")
  func renewed() async throws {
    let settings = ["BATON_GITLAB_HOSTS": "127.0.0.1", "BATON_HTTP_PORT": "\(try BrokerServer.freePort())"]
    try await withTestCluster(latency: .zero, settings: settings) { cluster in
      let cipher = TokenCipher(key: Array(repeating: 7, count: 32))
      let integration = UUID()
      let tomorrow = Date().addingTimeInterval(86_400).formatted(.iso8601).prefix(10)
      cluster.fakePlatform.setToken("glpat-own", FakeToken(id: 7, expiresAt: String(tomorrow)))
      try await cluster.test.pool.query(
        PostgresStatement(
          unprepared: """
            INSERT INTO platform_integrations (id, owner_type, owner_id, platform, instance_url, token_ciphertext)
            VALUES ($1, 'org', 'acme', 'gitlab', $2, $3)
            """),
        [
          integration, cluster.settings["BATON_GITHUB_API_URL"],
          try cipher.seal(Secret("glpat-own"), for: integration),
        ])
      let server = try await cluster.start("serve")
      try await cluster.test.pool.query(
        PostgresStatement(
          unprepared: """
            INSERT INTO code_reviews (owner_type, owner_id, platform, platform_integration_id, platform_project_id,
                                      repo_full_name, pr_number, pr_url, pr_title, pr_author, base_ref, head_ref, head_sha)
            VALUES ('org', 'acme', 'gitlab', $1, 278964, 'acme/shop', 7, 'https://gitlab.com/acme/shop/-/merge_requests/7',
                    'Faster', 'ann', 'main', 'fast', '0a1b2c')
            """), [integration])
      try await eventually("the merge request is updated") { cluster.fakePlatform.feedback.map(\.state) == ["eyes"] }
      let row = try await cluster.test.sql("SELECT token_ciphertext FROM platform_integrations")[0]
      let stored = try cipher.open(try row.decode(0, as: [UInt8].self), in: .token(of: integration)).reveal()
      #expect(stored.hasPrefix("glpat-made-") && cluster.fakePlatform.token(stored)?.isRevoked == false)
      #expect(cluster.fakePlatform.token("glpat-own")?.isRevoked == true)
      server.signal(SIGTERM)
      #expect(await server.wait() == 0, "\(server.output)")
    }
  }
}
