import Foundation
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("The transaction of a webhook")
struct WebhookTransactionTests {
  @Test("a server that stands still in the middle of it frees the rows soon, and another one processes the delivery")
  func pausedServer() async throws {
    try await withTestStore { test in
      let integration = UUID()
      try await test.sql(
        """
        INSERT INTO platform_integrations (id, owner_type, owner_id, platform, installation_id)
        VALUES ('\(integration)', 'org', 'acme', 'github', '42')
        """)
      let delivery = WebhookDelivery(
        platform: .github, id: "1", event: "pull_request", payload: "{}", integrationID: integration)
      #expect(try await test.store.store(delivery))
      await #expect(throws: PostgresError.self) {
        _ = try await test.store.process(.github, "1", waitMax: .seconds(1)) { _ in
          // As a process that was stopped, or whose machine is suspended: nothing of it runs.
          Thread.sleep(forTimeInterval: 6)
          return .ignored("too late")
        }
      }
      let outcome = try await test.store.process(.github, "1", waitMax: .seconds(1)) { _ in .ignored("done") }
      #expect(outcome == .unchanged("done", nil))
    }
  }
}
