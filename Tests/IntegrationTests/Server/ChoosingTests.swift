import BatonServer
import Foundation
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: which pull requests are reviewed")
struct ChoosingTests {
  private static let gate = #""gate_threshold":"all""#

  @Test(
    "what the owner excludes is not reviewed, and its gate is opened with the reason",
    arguments: [
      (#""skip_authors":["coder*"]"#, "skip_authors"), (#""base_branches":["release/*"]"#, "base_branches"),
      (#""skip_title_words":["readme"]"#, "skip_title_words"), (#""skip_labels":["wip"]"#, "skip_labels"),
    ])
  func excluded(_ filter: String, _ name: String) async throws {
    try await withServerStack { stack in
      try await stack.addGitHub(config: "{\(Self.gate),\(filter)}")
      let labels = ["pull_request.labels": #"[{"name":"WIP"}]"#]
      let reply = try await stack.client.send(.github("opened", labels))
      #expect(reply.status == 200)
      #expect((reply.object["reason"] as? String)?.contains(name) == true, "\(reply.body)")
      #expect(try await stack.count("code_reviews") == 0)
      let task = try #require(try await stack.store.takeTasks(limit: 2).first)
      guard case .check(let check) = task.kind else { return #expect(Bool(false)) }
      #expect(check.conclusion == .neutral)
      #expect(check.summary.contains(name))
    }
  }

  @Test("without a gate nothing is shown")
  func noGate() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub(config: #"{"skip_bots":true}"#)
      _ = try await stack.client.send(.github("opened", ["pull_request.user.type": "\"Bot\""]))
      #expect(try await stack.count("code_reviews") == 0)
      #expect(try await stack.count("baton_platform_tasks") == 0)
    }
  }

  @Test("a push of a pull request that is excluded ends its older review")
  func supersedes() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub(config: #"{"skip_title_words":["wip"]}"#)
      _ = try await stack.client.send(.github("opened", push("a", at: 1)))
      let renamed = push("b", at: 2).merging(["pull_request.title": "\"WIP: later\""]) { $1 }
      _ = try await stack.client.send(.github("synchronize", renamed))
      #expect(try await stack.states() == ["aaaa cancelled 1 superseded"])
      // An older event that comes late begins nothing.
      _ = try await stack.client.send(.github("ready_for_review", push("a", at: 1)))
      #expect(try await stack.states() == ["aaaa cancelled 1 superseded"])
    }
  }

  @Test("drafts are reviewed if the owner says so")
  func drafts() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub(config: #"{"review_drafts":true}"#)
      #expect(try await stack.client.send(.github("opened", ["pull_request.draft": "true"])).status == 202)
    }
  }

  @Test("the label asks for a review of what would not be reviewed, and for another attempt")
  func label() async throws {
    try await withServerStack(webhookPolicy: WebhookPolicy(label: "Review")) { stack in
      try await stack.addGitHub(config: #"{"skip_authors":["*"]}"#)
      _ = try await stack.client.send(.github("opened", push("a", at: 1)))
      #expect(try await stack.count("code_reviews") == 0)
      let other = push("a", at: 2).merging(["label": #"{"name":"bug"}"#]) { $1 }
      #expect(try await stack.client.send(.github("labeled", other)).status == 200)
      let label = push("a", at: 3).merging(["label": #"{"name":"review"}"#]) { $1 }
      #expect(try await stack.client.send(.github("labeled", label)).status == 202)
      let id = try #require(try await stack.reviews().first?.id)
      _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      #expect(try await stack.callback(id, #"{"status":"completed"}"#).status == 200)
      let again = push("a", at: 4).merging(["label": #"{"name":"review"}"#]) { $1 }
      #expect(try await stack.client.send(.github("labeled", again)).object["attempt"] as? Int == 2)
    }
  }

  @Test("what is reviewed again on a wish is the pull request as it is now, with the integration that was asked")
  func asItIsNow() async throws {
    try await withServerStack(webhookPolicy: WebhookPolicy(label: "review")) { stack in
      try await stack.addGitHub()
      _ = try await stack.client.send(.github("opened", push("a", at: 1)))
      let id = try #require(try await stack.reviews().first?.id)
      _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      #expect(try await stack.callback(id, #"{"status":"completed"}"#).status == 200)
      try await stack.run("UPDATE platform_integrations SET revoked_at = now()")
      let again = try await stack.addGitHub(installation: 7)
      let label = push("a", at: 3).merging([
        "label": #"{"name":"review"}"#, "installation.id": "7", "pull_request.base.ref": "\"release\"",
        "pull_request.title": "\"Another\"",
      ]) { $1 }
      #expect(try await stack.client.send(.github("labeled", label)).object["attempt"] as? Int == 2)
      let review = try #require(try await stack.store.review(id))
      #expect(review.platformIntegrationId == again)
      #expect((review.baseRef, review.prTitle) == ("release", "Another"))
      let last = try #require(try await stack.store.transitions(of: id).last)
      #expect(last.reason?.contains("requested by") == true && last.actor?.hasPrefix("github:") == true)
    }
  }

  @Test("the check of one owner's excluded merge request takes the place of no other owner's")
  func checksApart() async throws {
    try await withServerStack { stack in
      let config = "{\(Self.gate),\"skip_authors\":[\"*\"]}"
      let first = try await stack.addGitLab(config: config)
      let second = UUID()
      try await stack.store.setConfiguration(config, of: Owner(type: .org, id: "other"), platform: .gitlab)
      try await stack.run(
        "INSERT INTO platform_integrations (id, owner_type, owner_id, platform) VALUES ('\(second)', 'org', 'other', 'gitlab')"
      )
      for id in [first, second] {
        for second in 1...2 {
          let time = ["object_attributes.updated_at": "\"2026-01-01 10:00:0\(second) UTC\""]
          #expect(try await stack.client.send(.gitlab(integration: id, time)).status == 200)
        }
      }
      let tasks = try await stack.store.takeTasks(limit: 9)
      #expect(Set(tasks.map(\.integration.id)) == [first, second])
      #expect(tasks.count == 2)
    }
  }

  @Test("a comment with the word becomes a question about the right of its writer; others do not")
  func comment() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      func comment(_ text: String, user: String = "User", pull: String = "{}") -> RecordedWebhook {
        .github(
          event: "issue_comment",
          """
          {"action":"created","issue":{"number":2,"state":"open","pull_request":\(pull)},
           "comment":{"id":77,"body":"\(text)","user":{"login":"alice","type":"\(user)"}},
           "repository":{"id":1,"full_name":"Codertocat/Hello-World"},"installation":{"id":1}}
          """)
      }
      for webhook in [
        comment("please /review"), comment("/reviewer"), comment("/review", user: "Bot"),
        comment("/review", pull: "null"),
      ] {
        #expect(try await stack.client.send(webhook).status == 200)
      }
      #expect(try await stack.count("baton_platform_tasks") == 0)
      #expect(try await stack.client.send(comment("Thanks!\\n/Review again")).status == 200)
      let task = try #require(try await stack.store.takeTasks(limit: 2).first)
      guard case .review(let request) = task.kind else { return #expect(Bool(false)) }
      #expect(request.user == "alice")
      #expect(request.number == 2)
    }
  }
}
