import BatonServer
import Foundation
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: webhooks of GitHub")
struct ServerWebhookTests {
  @Test("an opened pull request becomes a pending review with all that the payload says")
  func opened() async throws {
    try await withServerStack { stack in
      let integration = try await stack.addGitHub()
      let reply = try await stack.client.send(.github("opened"))
      #expect(reply.status == 202, "\(reply.body)")
      #expect(reply.object["outcome"] as? String == "pending")
      let review = try #require(try await stack.reviews().first)
      #expect(reply.object["reviewId"] as? String == review.id.lowercase)
      #expect(review.owner == Owner(type: .org, id: "acme"))
      #expect(review.platformIntegrationId == integration)
      #expect(review.repoFullName == "Codertocat/Hello-World")
      #expect(review.prNumber == 2)
      #expect(review.prUrl == "https://github.com/Codertocat/Hello-World/pull/2")
      #expect(review.prTitle == "Update the README with new information.")
      #expect(review.prAuthor == "Codertocat")
      #expect((review.baseRef, review.headRef) == ("master", "changes"))
      #expect(review.headSha == "ec26c3e57ca3a959ca5aad62de7213c562f8c821")
      #expect(review.status == .pending)
      #expect(try await stack.count("webhook_deliveries WHERE processed_at IS NOT NULL AND payload ? 'action'") == 1)
      #expect(try await stack.count("code_reviews WHERE pr_updated_at = '2019-05-15T15:20:33Z'") == 1)
    }
  }

  @Test("a delivery that comes again, and again at once, changes nothing")
  func repeated() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      let webhook = try RecordedWebhook.github("opened", delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958")
      let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<12 { group.addTask { try await stack.client.send(webhook).status } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(statuses.filter { $0 == 202 }.count == 1)
      #expect(statuses.filter { $0 == 200 }.count == 11)
      let again = try await stack.client.send(webhook)
      #expect(again.object["outcome"] as? String == "repeated")
      #expect(try await stack.count("code_reviews") == 1)
      #expect(try await stack.count("review_transitions") == 1)
      // The same event under another id, as two hooks of one repository send it.
      #expect(try await stack.client.send(.github("opened")).status == 200)
      #expect(try await stack.count("review_transitions") == 1)
    }
  }

  @Test("a signed body under another delivery id is the same delivery, and starts no failed review again")
  func replayed() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      let webhook = try RecordedWebhook.github("opened", push("a", at: 1))
      #expect(try await stack.client.send(webhook).status == 202)
      _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      let id = try #require(try await stack.reviews().first?.id)
      #expect(try await stack.callback(id, #"{"status":"failed","attempt":1}"#).status == 200)
      for delivery in ["another", "a third"] {
        var again = webhook
        again.headers.removeAll { $0.0 == "X-GitHub-Delivery" }
        again.headers.append(("X-GitHub-Delivery", delivery))
        #expect(try await stack.client.send(again).object["outcome"] as? String == "repeated")
      }
      // Of a delivery that an older release has stored under GitHub's id, only the review itself knows.
      try await stack.run("DELETE FROM webhook_deliveries")
      let reply = try await stack.client.send(webhook)
      #expect(reply.status == 200)
      #expect(reply.object["outcome"] as? String == "unchanged")
      #expect(try await stack.states() == ["aaaa failed 1 agent_failed"])
      #expect(try await stack.client.send(.github("ready_for_review", push("a", at: 2))).status == 202)
      #expect(try await stack.states() == ["aaaa pending 2 -"])
    }
  }

  @Test("deliveries of two owners under one id are two deliveries")
  func sameID() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      try await stack.addGitHub(installation: 2)
      for installation in ["1", "2"] {
        let reply = try await stack.client.send(
          .github(
            "opened", ["installation.id": installation, "number": installation, "pull_request.number": installation],
            delivery: "same"))
        #expect(reply.status == 202)
      }
      #expect(try await stack.count("webhook_deliveries") == 2)
    }
  }

  @Test("a delivery that did nothing, as reviews were not enabled, is taken when it is sent again")
  func redelivered() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      try await stack.run("UPDATE agent_configs SET is_enabled = false")
      let webhook = try RecordedWebhook.github("opened", delivery: "d")
      #expect(try await stack.client.send(webhook).status == 200)
      try await stack.run("UPDATE agent_configs SET is_enabled = true")
      #expect(try await stack.client.send(webhook).status == 202)
      #expect(try await stack.client.send(webhook).object["outcome"] as? String == "repeated")
      #expect(try await stack.count("webhook_deliveries") == 1)
    }
  }

  @Test("a body that names two installations is refused, whichever of them signs it")
  func twoInstallations() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub(secret: "one's own")
      try await stack.addGitHub(secret: "two's own", installation: 2)
      for (first, last) in [("1", "2"), ("2", "1")] {
        let body = Array("{\"installation\":{\"id\":\(first)},\"action\":\"x\",\"installation\":{\"id\":\(last)}}".utf8)
        for secret in ["one's own", "two's own", RecordedWebhook.webhookSecret] {
          let reply = try await stack.client.send(
            "POST", "/webhooks/github",
            headers: [
              ("X-GitHub-Event", "pull_request"), ("X-GitHub-Delivery", "d"),
              ("X-Hub-Signature-256", RecordedWebhook.signature(of: body, secret: secret)),
            ], body: body)
          let isFirst = secret.hasPrefix("one") == (first == "1") && secret != RecordedWebhook.webhookSecret
          #expect(reply.status == (isFirst ? 400 : 401), "\(first), \(secret)")
        }
      }
      #expect(try await stack.count("webhook_deliveries") == 0)
    }
  }

  @Test("only the right secret's signature is believed: the integration's own one before the setting's")
  func signatures() async throws {
    try await withServerStack { stack in
      #expect(try await stack.client.send(.github("opened", secret: nil)).status == 401)
      #expect(try await stack.client.send(.github("opened", secret: "wrong")).status == 401)
      var forged = try RecordedWebhook.github("opened")
      forged.body[forged.body.count - 2] ^= 1
      #expect(try await stack.client.send(forged).status == 401)
      try await stack.addGitHub(secret: "its own", installation: 7)
      let installation = ["installation.id": "7"]
      #expect(try await stack.client.send(.github("opened", installation)).status == 401)
      #expect(try await stack.client.send(.github("opened", installation, secret: "its own")).status == 202)
      #expect(try await stack.count("webhook_deliveries") == 1)
    }
    try await withServerStack(webhookSecret: nil) { stack in
      let reply = try await stack.client.send(.github("opened"))
      #expect(reply.status == 503)
      #expect((reply.object["error"] as? String)?.contains("BATON_GITHUB_WEBHOOK_SECRET") == true)
      try await stack.addGitHub(secret: "its own")
      #expect(try await stack.client.send(.github("opened", secret: "its own")).status == 202)
    }
  }

  @Test("what is not to be reviewed answers 200 with the reason, and makes no review")
  func ignored() async throws {
    try await withServerStack { stack in
      // The sender is known by the signature: the delivery is listed with its outcome, without its text.
      #expect(try await stack.client.send(.github("opened")).status == 404)
      #expect(try await stack.count("webhook_deliveries WHERE payload #> '{pull_request,title}' IS NULL") == 1)
      #expect(try await stack.count("code_reviews") == 0)
      try await stack.addGitHub(revoked: true)
      func reason(_ webhook: RecordedWebhook) async throws -> String {
        let reply = try await stack.client.send(webhook)
        #expect(reply.status == 200, "\(reply.body)")
        return reply.object["reason"] as? String ?? ""
      }
      #expect(try await reason(.github("opened")).contains("revoked"))
      try await stack.run("UPDATE platform_integrations SET revoked_at = NULL")
      try await stack.run("UPDATE agent_configs SET is_enabled = false")
      #expect(try await reason(.github("opened")).contains("org:acme"))
      try await stack.store.setConfiguration(
        #"{"repository_selection_mode":"selected","selected_repository_ids":[5]}"#,
        of: Owner(type: .org, id: "acme"), platform: .github)
      #expect(try await reason(.github("opened")).contains("not selected"))
      try await stack.store.setConfiguration("{}", of: Owner(type: .org, id: "acme"), platform: .github)
      #expect(try await reason(.github("converted_to_draft")).contains("converted_to_draft"))
      #expect(try await reason(.github("opened", ["pull_request.draft": "true"])).contains("draft"))
      #expect(try await reason(.github("labeled")).contains("labeled"))
      #expect(try await reason(.github("opened", event: "push")).contains("push"))
      #expect(try await reason(.github("opened", ["installation": "null"], event: "ping")).contains("ping"))
      #expect(try await stack.count("code_reviews") == 0)
      #expect(try await stack.count("webhook_deliveries WHERE processed_at IS NULL") == 0)
      #expect(try await stack.client.send(.github("ready_for_review")).status == 202)
    }
  }

  @Test("selected repositories are known by number or text", arguments: ["186853002", "\"186853002\""])
  func selected(id: String) async throws {
    try await withServerStack { stack in
      try await stack.addGitHub(
        config: "{\"repository_selection_mode\":\"selected\",\"selected_repository_ids\":[\(id)]}")
      #expect(try await stack.client.send(.github("opened")).status == 202)
    }
  }

  @Test("every fault of a delivery is named, with its place in the payload")
  func faults() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      let fields = [
        "pull_request.title": "7", "pull_request.head.sha": "\"not one\"", "pull_request.base": "[]",
        "repository.full_name": "\"\"",
      ]
      let reply = try await stack.client.send(.github("opened", fields))
      #expect(reply.status == 422)
      let faults = (reply.object["faults"] as? [String] ?? []).joined(separator: "\n")
      for name in fields.keys { #expect(faults.contains(name), "\(name) in \(faults)") }
      let bare = try await stack.client.send(
        "POST", "/webhooks/github",
        headers: [("X-Hub-Signature-256", RecordedWebhook.signature(of: [91], secret: RecordedWebhook.webhookSecret))],
        body: [91])
      #expect(bare.status == 400)
      #expect((bare.object["faults"] as? [String])?.count == 3)
      #expect(try await stack.count("webhook_deliveries") == 0)
    }
  }

  @Test("a branch whose name is refused is answered 200 with the reason, makes no review, and is not tried again")
  func refusedName() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      for (field, name) in [("base", "--upload-pack=x"), ("head", "a\\nb"), ("head", "-x")] {
        let webhook = try RecordedWebhook.github("opened", ["pull_request.\(field).ref": "\"\(name)\""])
        let reply = try await stack.client.send(webhook)
        #expect(reply.status == 200, "\(reply.body)")
        let reason = reply.object["reason"] as? String
        #expect(reason?.contains("pull_request.\(field).ref: a branch cannot") == true)
        #expect(try await stack.client.send(webhook).object["reason"] as? String == reason)
      }
      #expect(try await stack.count("code_reviews") == 0)
      #expect(try await stack.count("webhook_deliveries WHERE processed_at IS NULL") == 0)
    }
  }

  @Test("a fork's branch is read under the pull request's own name", arguments: ["\"ann/Hello-World\"", "gone"])
  func fork(repository: String) async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      let fields =
        repository == "gone"
        ? ["pull_request.head.repo": "null"] : ["pull_request.head.repo.full_name": repository]
      #expect(try await stack.client.send(.github("opened", fields)).status == 202)
      #expect(try await stack.reviews().map(\.headRef) == ["refs/pull/2/head"])
    }
  }

  @Test("an event that says nothing of the branch's repository is not a fork's")
  func noRepositoryOfHead() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      let head = #"{"ref":"feature","sha":"\#(String(repeating: "a", count: 40))"}"#
      #expect(try await stack.client.send(.github("opened", ["pull_request.head": head])).status == 202)
      #expect(try await stack.reviews().map(\.headRef) == ["feature"])
    }
  }

  @Test("large webhooks, as GitHub sends them at most, are taken although several come at once; small ones pass them")
  func large() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      let replies = try await withThrowingTaskGroup(of: HTTPReply.self) { group in
        for number in 1...4 {
          let text = number == 4 ? "small" : String(repeating: "x", count: number == 3 ? 200_000 : 2 << 20)
          let fields = ["number": "\(number)", "pull_request.number": "\(number)", "pull_request.body": "\"\(text)\""]
          let webhook = try RecordedWebhook.github("opened", fields)
          group.addTask { try await stack.client.send(webhook) }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(replies.map(\.status) == [202, 202, 202, 202])
      #expect(try await stack.count("code_reviews WHERE status = 'pending'") == 4)
    }
  }

  @Test("a webhook's trace becomes its review's; a malformed one starts a new trace")
  func trace() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
      for (number, header) in [(7, trace), (8, "00-0-0-01")] {
        var webhook = try RecordedWebhook.github("opened", ["pull_request.number": "\(number)", "number": "\(number)"])
        webhook.headers.append(("traceparent", header))
        #expect(try await stack.client.send(webhook).status == 202)
      }
      let claims = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      let traces = Set(claims.map(\.trace.traceparent))
      #expect(traces.count == 2 && traces.contains(trace), "\(traces)")
    }
  }
}
