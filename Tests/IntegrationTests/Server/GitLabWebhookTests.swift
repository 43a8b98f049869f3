import Foundation
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: webhooks of GitLab")
struct GitLabWebhookTests {
  @Test("an opened merge request becomes a pending review with all that the payload says")
  func opened() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      let webhook = try RecordedWebhook.gitlab(integration: id)
      let reply = try await stack.client.send(webhook)
      #expect(reply.status == 202, "\(reply.body)")
      let review = try #require(try await stack.reviews().first)
      #expect(review.platform == .gitlab)
      #expect(review.platformIntegrationId == id)
      #expect(review.platformProjectId == 1)
      #expect(review.repoFullName == "gitlabhq/gitlab-test")
      #expect(review.prNumber == 1)
      #expect((review.baseRef, review.headRef) == ("master", "ms-viewport"))
      #expect(review.headSha == "da1560886d4f094c3e6c9ef40349f7d38b5d27d7")
      #expect(try await stack.client.send(webhook).object["outcome"] as? String == "repeated")
    }
  }

  @Test("a branch whose name is refused does not count against the hook")
  func refusedName() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      let reply = try await stack.client.send(
        .gitlab(integration: id, ["object_attributes.target_branch": "\"--upload-pack=x\""]))
      #expect(reply.status == 200, "\(reply.body)")
      #expect((reply.object["reason"] as? String)?.contains("object_attributes.target_branch") == true)
      #expect(try await stack.count("code_reviews") == 0)
    }
  }

  @Test("the token, the integration and its state decide who is listened to")
  func access() async throws {
    try await withServerStack { stack in
      #expect(try await stack.client.send(.gitlab(integration: UUID())).status == 404)
      let nonsense = try await stack.client.send("POST", "/webhooks/gitlab/nonsense", body: [123, 125])
      #expect(nonsense.status == 404)
      let github = try await stack.addGitHub()
      #expect(try await stack.client.send(.gitlab(integration: github)).status == 404)
      let id = try await stack.addGitLab()
      #expect(try await stack.client.send(.gitlab(integration: id, token: nil)).status == 401)
      #expect(try await stack.client.send(.gitlab(integration: id, token: "wrong")).status == 401)
      let own = try await stack.addGitLab(secret: "its own")
      #expect(try await stack.client.send(.gitlab(integration: own)).status == 401)
      let revoked = try await stack.addGitLab(secret: "its own", revoked: true)
      #expect(try await stack.client.send(.gitlab(integration: revoked, token: "its own")).status == 200)
      #expect(try await stack.count("code_reviews") == 0)
      #expect(try await stack.client.send(.gitlab(integration: own, token: "its own")).status == 202)
    }
    try await withServerStack(webhookSecret: nil) { stack in
      let id = try await stack.addGitLab()
      #expect(try await stack.client.send(.gitlab(integration: id)).status == 503)
      #expect(try await stack.client.send(.gitlab(integration: UUID())).status == 503)
      _ = try await stack.addGitLab(secret: "its own")
      #expect(try await stack.client.send(.gitlab(integration: UUID())).status == 404)
    }
  }

  @Test("updates count if they bring new commits or end a draft; drafts wait; closing and merging cancel")
  func actions() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      func send(_ fields: [String: String], at second: Int) async throws -> Int {
        let time = ["object_attributes.updated_at": "\"2026-01-01 10:00:0\(second) UTC\""]
        return try await stack.client.send(.gitlab(integration: id, fields.merging(time) { $1 })).status
      }
      func action(_ name: String) -> [String: String] { ["object_attributes.action": "\"\(name)\""] }
      let sha = ["object_attributes.last_commit.id": "\"\(String(repeating: "b", count: 40))\""]
      #expect(try await send(["object_attributes.draft": "true"], at: 1) == 200)
      #expect(try await send(action("approved"), at: 2) == 200)
      #expect(try await stack.count("code_reviews") == 0)
      let ready = ["changes.draft": #"{"previous":true,"current":false}"#]
      #expect(try await send(action("update").merging(ready) { $1 }, at: 3) == 202)
      let push = ["object_attributes.oldrev": "\"da1560886d4f094c3e6c9ef40349f7d38b5d27d7\""]
      let fork = ["object_attributes.source_project_id": "15"]
      #expect(
        try await send(action("update").merging(push) { $1 }.merging(sha) { $1 }.merging(fork) { $1 }, at: 4) == 202)
      #expect(try await stack.states() == ["bbbb pending 1 -", "da15 cancelled 1 superseded"])
      #expect(try await stack.reviews().map(\.headRef).contains("refs/merge-requests/1/head"))
      #expect(try await send(action("merge").merging(sha) { $1 }, at: 5) == 200)
      #expect(try await stack.states() == ["bbbb cancelled 1 pull_request_closed", "da15 cancelled 1 superseded"])
      #expect(try await send(action("reopen").merging(sha) { $1 }, at: 6) == 202)
      #expect(try await stack.states() == ["bbbb pending 2 -", "da15 cancelled 1 superseded"])
    }
  }

  @Test("other events are distinguished from faulty ones")
  func others() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      #expect(try await stack.client.send(.gitlab(integration: id, ["object_kind": "\"note\""])).status == 200)
      let reply = try await stack.client.send(
        .gitlab(integration: id, ["object_attributes.iid": "\"one\"", "object_attributes.url": "5"]))
      #expect(reply.status == 422)
      #expect((reply.object["faults"] as? [String])?.count == 2)
    }
  }
}
