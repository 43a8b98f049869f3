import Foundation
import ReviewStore
import Support
import Testing

@Suite("Server: signed webhooks of any content")
struct SignedWebhookFuzzTests {
  @Test("what the platform has signed is taken or refused, never answered with a 5xx, and leaves nothing unprocessed")
  func signed() async throws {
    let seed = SeededGenerator.seed()
    try await withServerStack { stack in
      try await stack.addGitHub()
      let gitlab = try await stack.addGitLab()
      var random = SeededGenerator(seed: seed)
      for index in 0..<200 {
        var webhook =
          index % 3 == 0 ? try RecordedWebhook.gitlab(integration: gitlab) : try RecordedWebhook.github("opened")
        webhook.body = random.mutate(webhook.body)
        webhook.headers.removeAll { $0.0 == "X-Hub-Signature-256" }
        webhook.headers.append(
          ("X-Hub-Signature-256", RecordedWebhook.signature(of: webhook.body, secret: RecordedWebhook.webhookSecret)))
        let reply = try await stack.client.send(webhook)
        #expect(reply.status < 500, "seed \(seed), request \(index): \(reply.status) \(reply.body)")
      }
      #expect(try await stack.count("webhook_deliveries WHERE processed_at IS NULL") == 0, "seed \(seed)")
    }
  }
}
