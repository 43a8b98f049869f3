import Crypto
import Foundation
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

/// What GitLab sends besides what its documentation shows.
@Suite("Server: GitLab's webhooks as they really are")
struct GitLabMeaningTests {
  @Test("GitLab's updates: another target, the end of a draft in the title, and a commit without a review")
  func updates() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      func time(_ second: Int) -> String { "\"2026-01-01 10:00:0\(second) UTC\"" }
      func draft(_ isDraft: Bool) -> [String: String] { ["object_attributes.work_in_progress": "\(isDraft)"] }
      #expect(try await stack.sendGitLab(id, "open", at: time(1), draft(true)).status == 200)
      let ready = ["changes": #"{"title":{"previous":"Draft: x","current":"x"}}"#]
      #expect(try await stack.sendGitLab(id, "update", at: time(2), ready).status == 202)
      #expect(try await stack.sendGitLab(id, "update", at: time(3), ["changes": #"{"labels":{}}"#]).status == 200)
      let target = [
        "object_attributes.target_branch": "\"release\"",
        "changes": #"{"target_branch":{"previous":"master","current":"release"}}"#,
      ]
      #expect(try await stack.sendGitLab(id, "update", at: time(4), target).status == 202)
      #expect(try await stack.reviews().map(\.baseRef) == ["release"])
      // Its push was missed.
      #expect(try await stack.sendGitLab(id, "update", sha: "b", at: time(5), ["changes": "{}"]).status == 202)
      let merged = ["object_attributes.state": "\"merged\"", "changes": #"{"labels":{}}"#]
      #expect(try await stack.sendGitLab(id, "update", sha: "c", at: time(6), merged).status == 200)
      #expect(try await stack.states() == ["aaaa cancelled 1 superseded", "bbbb pending 1 -"])
      // A failed review is not started again by a label.
      try await stack.run(
        "UPDATE code_reviews SET status = 'failed', error_code = 'agent_failed' WHERE status = 'pending'")
      #expect(
        try await stack.sendGitLab(id, "update", sha: "b", at: time(7), ["changes": #"{"labels":{}}"#]).status == 200)
    }
  }

  @Test("a project's name that is refused is given to no review, and the webhook is not tried again")
  func refusedProjectName() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      func time(_ second: Int) -> String { "\"2026-01-01 10:00:0\(second) UTC\"" }
      #expect(try await stack.sendGitLab(id, "open", at: time(1), [:]).status == 202)
      let before = try await stack.reviews().map(\.repoFullName)
      for (second, action, state) in [(2, "open", "opened"), (3, "close", "closed")] {
        let fields = [
          "project.path_with_namespace": "\"gitlabh\u{E9}/gitlab-test\"", "object_attributes.state": "\"\(state)\"",
        ]
        let reply = try await stack.sendGitLab(id, action, at: time(second), fields)
        #expect(reply.status == 200, "\(reply.body)")
        #expect((reply.object["reason"] as? String)?.contains("a name is refused") == true, "\(reply.body)")
      }
      #expect(try await stack.count("webhook_deliveries WHERE processed_at IS NULL") == 0)
      #expect(try await stack.reviews().map(\.repoFullName) == before)
    }
  }

  @Test("a project that only the merge request names, as in old versions, is read there")
  func projectOfTarget() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      let reply = try await stack.client.send(
        .gitlab(
          integration: id, event: "Merge Request Hook",
          """
          {"object_kind":"merge_request","user":{"username":"ann"},
           "object_attributes":{"iid":4,"action":"open","state":"opened","title":"T","url":"http://gitlab.example.com/acme/shop/merge_requests/4",
            "source_branch":"fast","target_branch":"main","source_project_id":14,"target_project_id":14,"author_id":1,
            "updated_at":"2013-12-03T17:23:34.123Z","last_commit":{"id":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7"},
            "target":{"path_with_namespace":"acme/shop"}}}
          """))
      #expect(reply.status == 202)
      let review = try #require(try await stack.reviews().first)
      #expect(review.repoFullName == "acme/shop" && review.platformProjectId == 14 && review.headRef == "fast")
      #expect(
        try await stack.count("webhook_deliveries WHERE about_repository = 'acme/shop' AND about_number = 4") == 1)
    }
  }

  @Test("the author is who wrote the merge request, not who caused the event")
  func author() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      func authors() async throws -> [String] { try await stack.reviews().map(\.prAuthor) }
      let ann = ["user": #"{"id":7,"username":"ann"}"#, "object_attributes.author_id": "7"]
      let bob = [
        "user": #"{"id":8,"username":"bob"}"#, "object_attributes.author_id": "7", "assignees": "[]", "reviewers": "[]",
      ]
      #expect(try await stack.sendGitLab(id, "update", at: "\"2026-01-01 10:00:01 UTC\"", bob).status == 202)
      #expect(try await authors() == ["user 7"])
      let reviewer = bob.merging(["reviewers": #"[{"id":7,"username":"ann"}]"#]) { $1 }
      try await stack.run("DELETE FROM code_reviews")
      #expect(
        try await stack.sendGitLab(id, "update", sha: "b", at: "\"2026-01-01 10:00:02 UTC\"", reviewer).status == 202)
      #expect(try await authors() == ["ann"])
      #expect(try await stack.sendGitLab(id, "update", sha: "c", at: "\"2026-01-01 10:00:03 UTC\"", bob).status == 202)
      #expect(try await stack.sendGitLab(id, "update", sha: "d", at: "\"2026-01-01 10:00:04 UTC\"", ann).status == 202)
      #expect(try await authors() == ["ann", "ann", "ann"])
    }
  }

  @Test("GitLab's signing token is accepted, with the body and the time that it has signed")
  func signingToken() async throws {
    try await withServerStack { stack in
      let key = Data((0..<32).map { UInt8($0) })
      let id = try await stack.addGitLab(secret: "whsec_\(key.base64EncodedString()),another")
      func send(_ sha: Character, time: Int, key: Data, version: String = "v1") async throws -> Int {
        var webhook = try RecordedWebhook.gitlab(
          integration: id, ["object_attributes.last_commit.id": "\"\(String(repeating: sha, count: 40))\""], token: nil)
        let signed = Data("msg.\(time).".utf8) + webhook.body
        let code = Data(HMAC<SHA256>.authenticationCode(for: signed, using: SymmetricKey(data: key)))
        webhook.headers += [
          ("webhook-id", "msg"), ("webhook-timestamp", "\(time)"),
          ("webhook-signature", "v1,AAAA \(version),\(code.base64EncodedString())"),
        ]
        return try await stack.client.send(webhook).status
      }
      let now = Int(Date().timeIntervalSince1970)
      #expect(try await send("a", time: now, key: Data("wrong".utf8)) == 401)
      #expect(try await send("a", time: now - 3_600, key: key) == 401)
      #expect(try await send("a", time: now, key: key, version: "v2") == 401)
      #expect(try await stack.count("webhook_deliveries") == 0)
      #expect(try await send("a", time: now, key: key) == 202)
      #expect(try await send("b", time: now, key: Data("another".utf8)) == 202)
    }
  }
}

extension ServerStack {
  /// Sends the recorded event of a merge request with other fields.
  func sendGitLab(
    _ id: UUID, _ action: String, sha: Character = "a", at time: String,
    _ more: [String: String] = [:]
  ) async throws -> HTTPReply {
    var fields = [
      "object_attributes.action": "\"\(action)\"", "object_attributes.updated_at": time,
      "object_attributes.last_commit.id": "\"\(String(repeating: sha, count: 40))\"",
    ]
    // Fields are changed in no certain order: a part of what is taken away would bring it back.
    if more["object_attributes.last_commit"] != nil { fields["object_attributes.last_commit.id"] = nil }
    return try await client.send(.gitlab(integration: id, fields.merging(more) { $1 }))
  }
}
