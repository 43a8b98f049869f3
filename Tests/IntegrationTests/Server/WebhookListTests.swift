import BatonServer
import Foundation
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: why a pull request was not reviewed")
struct WebhookListTests {
  private func deliveries(_ stack: ServerStack, _ query: String) async throws -> [[String: Any]] {
    let reply = try await stack.client.send("GET", "/api/deliveries?\(query)")
    #expect(reply.status == 200, "\(reply.body)")
    return reply.object["deliveries"] as? [[String: Any]] ?? []
  }

  @Test("each delivery is listed by repository and number, with its outcome and its review")
  func listed() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await stack.client.send(.github("opened", push("a", at: 1))).status == 202)
      let draft = push("b", at: 2).merging(["pull_request.draft": "true"]) { $1 }
      #expect(try await stack.client.send(.github("synchronize", draft)).status == 200)
      let list = try await deliveries(stack, "repo=codertocat/hello-world&number=2")
      #expect(list.count == 2)
      let outcomes = list.compactMap { $0["outcome"] as? String }
      #expect(outcomes.first == "the pull request is a draft")
      #expect(outcomes.last?.hasPrefix("pending: ") == true)
      #expect(list.first?["reviewId"] is NSNull)
      #expect(list.last?["reviewStatus"] as? String == "cancelled")
      #expect(list.last?["event"] as? String == "pull_request")
      #expect(list.last?["action"] as? String == "opened")
      #expect(list.last?["headSha"] as? String == String(repeating: "a", count: 40))
      #expect(try await deliveries(stack, "repo=codertocat/hello-world&number=3").isEmpty)
      #expect(try await deliveries(stack, "owner=org:other").isEmpty)
      #expect(try await deliveries(stack, "owner=org:acme&limit=1").count == 1)
      #expect(try await stack.client.send("GET", "/api/deliveries?number=2").status == 400)
      let page = try await stack.client.send("GET", "/deliveries?repo=Codertocat/Hello-World&number=2&owner=")
      #expect(page.status == 200)
      #expect(page.body.contains("the pull request is a draft") && page.body.contains("2 deliveries<"))
      #expect(try await stack.client.send("GET", "/deliveries?owner=org:acme").body.contains("2 deliveries<"))
      #expect(try await stack.client.send("GET", "/deliveries?owner=org:other").body.contains("No delivery matches"))
    }
  }

  @Test("pages follow each other to the end")
  func pages() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      for second in 1...5 { _ = try await stack.client.send(.github("opened", push("a", at: second))) }
      var seen: [String] = []
      var cursor = ""
      for _ in 0..<5 {
        let reply = try await stack.client.send("GET", "/api/deliveries?limit=2\(cursor)")
        seen += (reply.object["deliveries"] as? [[String: Any]] ?? []).compactMap { $0["id"] as? String }
        guard let next = reply.object["nextCursor"] as? String else { break }
        cursor = "&cursor=\(next)"
      }
      #expect(seen.count == 5)
      #expect(Set(seen).count == 5)
    }
  }

  @Test("an owner's delivery behind thousands of others is found by going on, as the page says")
  func farBack() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      _ = try await stack.client.send(.github("opened", push("a", at: 1)))
      try await stack.run("UPDATE webhook_deliveries SET received_at = now() - interval '1 hour'")
      try await stack.run(
        """
        INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, processed_at)
        SELECT 'github', 'made/' || g, 'ping', '{}', now() FROM generate_series(1, 5001) g
        """)
      let page = try await stack.client.send("GET", "/deliveries?owner=org:acme").body
      #expect(page.contains("None among the 5,000 that were looked at") && !page.contains("No delivery matches"))
      let next = try #require(page.firstMatch(of: /rel="next" href="([^"]+)"/)).1.replacing("&amp;", with: "&")
      let older = try await stack.client.send("GET", String(next)).body
      #expect(older.contains("Codertocat/Hello-World #2") && !older.contains("rel=\"next\""))
    }
  }

  @Test("deliveries are counted exactly up to a thousand, and of an owner among the newest twenty thousand")
  func counted() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      _ = try await stack.client.send(.github("opened", push("a", at: 1)))
      let owner = Owner(type: .org, id: "acme")
      func count(_ filter: WebhookFilter) async throws -> MatchCount { try await stack.store.deliveryCount(filter) }
      #expect(try await count(WebhookFilter()) == .exactly(1))
      #expect(try await count(WebhookFilter(owner: owner)) == .exactly(1))
      #expect(try await count(WebhookFilter(repository: "codertocat/hello-world", number: 3)) == .exactly(0))
      try await stack.run(
        """
        INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, processed_at)
        SELECT 'github', 'made/' || g, 'ping', '{}', now() FROM generate_series(1, \(ReviewStore.browseSpan)) g
        """)
      #expect(try await count(WebhookFilter()) == .moreThan(1_000))
      #expect(try await count(WebhookFilter(owner: owner)) == .amongNewest(0))
      #expect(try await count(WebhookFilter(repository: "Codertocat/Hello-World", owner: owner)) == .exactly(1))
    }
  }

  @Test("a delivery without an integration says so, and is judged anew when the integration is there")
  func unknownInstallation() async throws {
    try await withServerStack { stack in
      let webhook = try RecordedWebhook.github("opened")
      #expect(try await stack.client.send(webhook).status == 404)
      var list = try await deliveries(stack, "repo=Codertocat/Hello-World&number=2")
      #expect((list.first?["outcome"] as? String)?.contains("no integration has installation 1") == true)
      try await stack.addGitHub()
      #expect(try await stack.client.send(webhook).status == 202)
      list = try await deliveries(stack, "repo=Codertocat/Hello-World&number=2")
      #expect(list.count == 2)
      #expect((list.first?["outcome"] as? String)?.hasPrefix("pending: ") == true)
      // A stranger leaves nothing.
      #expect(try await stack.client.send(.github("opened", ["installation.id": "77"], secret: "wrong")).status == 401)
      #expect(try await stack.count("webhook_deliveries") == 2)
    }
  }

  @Test("a delivery is judged anew after its repository was selected, and after its owner was enabled")
  func judgedAnew() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub(
        config: #"{"repository_selection_mode":"selected","selected_repository_ids":[1]}"#)
      let webhook = try RecordedWebhook.github("opened")
      #expect(try await stack.client.send(webhook).status == 200)
      try await stack.run("UPDATE agent_configs SET config = '{}', is_enabled = false")
      #expect(try await stack.client.send(webhook).status == 200)
      #expect(
        try await deliveries(stack, "")[0]["outcome"] as? String == "reviews are not enabled for org:acme")
      try await stack.run("UPDATE agent_configs SET is_enabled = true")
      #expect(try await stack.client.send(webhook).status == 202)
      #expect(try await stack.count("webhook_deliveries") == 1)
    }
  }
}
