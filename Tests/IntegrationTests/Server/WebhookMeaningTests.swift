import Crypto
import Foundation
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

/// What platforms send besides what their documentation shows.
@Suite("Server: webhooks as they really are")
struct WebhookMeaningTests {
  @Test("an instance with a time zone of its own, and one whose times cannot be read, have their events taken")
  func times() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      #expect(try await stack.sendGitLab(id, "open", at: "\"2026-01-01 02:00:00 +0200\"").status == 202)
      #expect(try await stack.count("code_reviews WHERE pr_updated_at = '2026-01-01T00:00:00Z'") == 1)
      // Half an hour later, in another spelling; then one that was sent before, in a spelling that sorts after it.
      #expect(try await stack.sendGitLab(id, "reopen", sha: "b", at: "\"2026-01-01T00:30:00.000Z\"").status == 202)
      #expect(try await stack.sendGitLab(id, "reopen", sha: "c", at: "\"2026-01-01 02:15:00 +0200\"").status == 200)
      #expect(try await stack.states() == ["aaaa cancelled 1 superseded", "bbbb pending 1 -"])
      for (sha, time) in [("d", "\"nonsense\""), ("e", "null")] as [(Character, String)] {
        #expect(try await stack.sendGitLab(id, "reopen", sha: sha, at: time).status == 202)
      }
      #expect(
        try await stack.count("code_reviews WHERE status = 'pending' AND pr_updated_at > now() - interval '1 min'") == 1
      )
      try await stack.addGitHub()
      #expect(try await stack.client.send(.github("opened", ["pull_request.updated_at": "null"])).status == 202)
    }
  }

  @Test("what is not relevant is never answered with a fault", arguments: ["true", "false"])
  func relevance(draft: String) async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      let reply = try await stack.sendGitLab(
        id, "open", at: "\"2026-01-01 00:00:00 UTC\"",
        ["object_attributes.last_commit": "null", "object_attributes.draft": draft])
      #expect(reply.status == 200, "\(reply.body)")
      #expect((reply.object["reason"] as? String)?.isEmpty == false)
      try await stack.addGitHub()
      let odd = ["pull_request.draft": draft, "pull_request.base": "null", "pull_request.state": "\"closed\""]
      #expect(try await stack.client.send(.github("opened", odd)).status == 200)
    }
  }

  @Test("nothing is wrong with an event of an owner or repository for which nothing is done")
  func notEnabled() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      func reply(_ branch: String = "null") async throws -> HTTPReply {
        try await stack.sendGitLab(
          id, "open", at: "\"2026-01-01 00:00:00 UTC\"", ["object_attributes.source_branch": branch])
      }
      #expect(try await reply().status == 422)
      for (sql, reason) in [
        (#"UPDATE agent_configs SET config = '{"repository_selection_mode":"selected"}'"#, "not selected"),
        ("UPDATE agent_configs SET is_enabled = false", "not enabled for org:acme"),
        ("UPDATE platform_integrations SET revoked_at = now()", "revoked"),
      ] {
        try await stack.run(sql)
        let answer = try await reply()
        #expect(answer.status == 200, "\(answer.body)")
        #expect((answer.object["reason"] as? String)?.contains(reason) == true, "\(answer.body)")
      }
      #expect(try await stack.count("webhook_deliveries WHERE outcome LIKE '%revoked%'") == 1)
      try await stack.addGitHub(revoked: true, installation: 9)
      #expect(
        try await stack.client.send(.github("opened", ["installation.id": "9", "pull_request.base": "null"])).status
          == 200)
    }
  }

  @Test("a name that is too long is refused like any other: no fault of the sender")
  func longNames() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      let part = String(repeating: "a", count: 200)
      let long = "\"\(part)/\(part)/\(part)\""
      #expect(try await stack.sendGitLab(id, "open", at: "\"2026-01-01 00:00:00 UTC\"").status == 202)
      let branch = try await stack.sendGitLab(
        id, "update", sha: "b", at: "\"2026-01-01 00:00:01 UTC\"", ["object_attributes.source_branch": long])
      #expect(branch.status == 200)
      #expect((branch.object["reason"] as? String)?.contains("object_attributes.source_branch: 602 bytes") == true)
      #expect(try await stack.states() == ["aaaa cancelled 1 superseded"])
      let huge = "\"x/\(String(repeating: "b", count: 10_000))\""
      for action in ["open", "update", "close"] {
        for path in [long, huge] {
          let reply = try await stack.sendGitLab(
            id, action, sha: "c", at: "\"2026-01-01 00:00:02 UTC\"", ["project.path_with_namespace": path])
          #expect(reply.status == 200, "\(reply.body)")
          #expect((reply.object["reason"] as? String)?.contains("project.path_with_namespace: ") == true)
        }
      }
      #expect(try await stack.count("webhook_deliveries WHERE processed_at IS NULL") == 0)
    }
  }

  @Test("an event that nothing is done for is answered 200, however much is in it")
  func manyValues() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      let files = Array(repeating: "\"a\"", count: 200_001).joined(separator: ",")
      for (event, kind) in [("Push Hook", "push"), ("System Hook", "push"), ("Pipeline Hook", "pipeline")] {
        let body = "{\"object_kind\":\"\(kind)\",\"commits\":[{\"added\":[\(files)]}]}"
        let reply = try await stack.client.send(.gitlab(integration: id, event: event, body))
        #expect(reply.status == 200, "\(reply.body)")
      }
      for (event, kind) in [("Merge Request Hook", "merge_request"), ("System Hook", "merge_request")] {
        let body = "{\"object_kind\":\"\(kind)\",\"x\":[\(files)]}"
        #expect(try await stack.client.send(.gitlab(integration: id, event: event, body)).status == 400)
      }
      try await stack.addGitHub()
      let push = "{\"installation\":{\"id\":1},\"commits\":[{\"added\":[\(files)]}]}"
      #expect(try await stack.client.send(.github(event: "push", push)).status == 200)
      #expect(try await stack.client.send(.github(event: "pull_request", push)).status == 400)
    }
  }

  @Test("NUL and half of a character, in texts that are read and in others, lose no event")
  func brokenText() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      for (number, text) in [#"a\u0000b"#, #"a\ud83d"#, #"\udc00\ud83dx"#].enumerated() {
        var webhook = try RecordedWebhook.github(
          "opened",
          ["pull_request.number": "\(number + 1)", "pull_request.title": "\"TITLE\"", "pull_request.body": "\"BODY\""])
        webhook.body = Array(
          String(decoding: webhook.body, as: UTF8.self).replacing("TITLE", with: text).replacing("BODY", with: text)
            .utf8)
        webhook.headers.removeAll { $0.0 == "X-Hub-Signature-256" }
        webhook.headers.append(
          ("X-Hub-Signature-256", RecordedWebhook.signature(of: webhook.body, secret: RecordedWebhook.webhookSecret)))
        let reply = try await stack.client.send(webhook)
        #expect(reply.status == 202, "\(reply.body)")
      }
      #expect(try await stack.reviews().allSatisfy { $0.prTitle.contains("\u{FFFD}") })
    }
  }

  @Test("events that start nothing supersede, and keep their place in the order")
  func withheld() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      let draft = ["pull_request.draft": "true"]
      #expect(try await stack.client.send(.github("opened", push("a", at: 1))).status == 202)
      // The commit is under review, and goes on being so.
      #expect(
        try await stack.client.send(.github("converted_to_draft", push("a", at: 2).merging(draft) { $1 })).status == 200
      )
      #expect(try await stack.states() == ["aaaa pending 1 -"])
      #expect(
        try await stack.client.send(.github("synchronize", push("b", at: 3, before: "a").merging(draft) { $1 })).status
          == 200)
      #expect(try await stack.states() == ["aaaa cancelled 1 superseded"])
      // Delivered late, it was sent before the draft's push.
      #expect(try await stack.client.send(.github("ready_for_review", push("a", at: 2))).status == 200)
      #expect(try await stack.states() == ["aaaa cancelled 1 superseded"])
      #expect(try await stack.client.send(.github("ready_for_review", push("b", at: 4))).status == 202)
      for config in [nil, #"{"repository_selection_mode":"selected","selected_repository_ids":[5]}"#] {
        try await stack.run("UPDATE agent_configs SET is_enabled = \(config != nil)")
        if let config {
          try await stack.store.setConfiguration(config, of: Owner(type: .org, id: "acme"), platform: .github)
        }
        let sha: Character = config == nil ? "c" : "d"
        #expect(try await stack.client.send(.github("synchronize", push(sha, at: config == nil ? 5 : 6))).status == 200)
      }
      #expect(try await stack.states() == ["aaaa cancelled 1 superseded", "bbbb cancelled 1 superseded"])
    }
  }

  @Test("a name that is refused starts nothing, and ends the reviews of older commits")
  func refusedName() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await stack.client.send(.github("opened", push("a", at: 1))).status == 202)
      let refused = push("b", at: 2).merging(["pull_request.head.ref": "\"-x\""]) { $1 }
      #expect(try await stack.client.send(.github("synchronize", refused)).status == 200)
      #expect(try await stack.states() == ["aaaa cancelled 1 superseded"])
    }
  }

  @Test("there and back within one second leaves the first commit, as it came last")
  func circle() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await stack.client.send(.github("opened", push("a", at: 1))).status == 202)
      #expect(try await stack.client.send(.github("synchronize", push("b", at: 1, before: "a"))).status == 202)
      #expect(try await stack.client.send(.github("synchronize", push("a", at: 1, before: "b"))).status == 202)
      #expect(try await stack.states() == ["aaaa pending 2 -", "bbbb cancelled 1 superseded"])
    }
  }

  @Test("another base is a new attempt, whatever the review has come to; a new title is none")
  func retargeted() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      func edited(_ base: String, at second: Int, changes: String) async throws -> HTTPReply {
        try await stack.client.send(
          .github(
            "opened",
            push("a", at: second).merging([
              "action": "\"edited\"", "pull_request.base.ref": "\"\(base)\"", "changes": changes,
            ]) { $1 }))
      }
      let isBase = #"{"base":{"ref":{"from":"x"},"sha":{"from":"y"}}}"#
      #expect(try await stack.client.send(.github("opened", push("a", at: 1))).status == 202)
      #expect(try await edited("master", at: 2, changes: #"{"title":{"from":"x"}}"#).status == 200)
      // It has not begun: it begins with the other base.
      #expect(try await edited("one", at: 3, changes: isBase).status == 202)
      #expect(try await stack.states() == ["aaaa pending 1 -"])
      _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      let id = try #require(try await stack.reviews().first?.id)
      #expect(try await stack.callback(id, #"{"status":"running","attempt":1}"#).status == 200)
      #expect(try await edited("two", at: 4, changes: isBase).object["attempt"] as? Int == 2)
      #expect(try await stack.count("baton_outbox WHERE kind = 'worker_cancel' AND attempt = 1") == 1)
      _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      #expect(try await stack.callback(id, #"{"status":"completed","attempt":2}"#).status == 200)
      #expect(try await edited("three", at: 5, changes: isBase).object["attempt"] as? Int == 3)
      #expect(try await edited("three", at: 5, changes: isBase).status == 200)
      #expect(try await stack.states() == ["aaaa pending 3 -"])
      #expect(try await stack.reviews().map(\.baseRef) == ["three"])
    }
  }

  @Test("a completed review is started again by its pull request alone")
  func completed() async throws {
    try await withServerStack { stack in
      let id = try await stack.submit("abcdef1")
      _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      #expect(try await stack.callback(id, #"{"status":"completed","attempt":1}"#).status == 200)
      await #expect(throws: (any Error).self) { try await stack.run("UPDATE code_reviews SET status = 'pending'") }
    }
  }

  @Test("an event means the same if the files of its pull request are looked at first")
  func withPaths() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab(config: #"{"paths":["src/**"]}"#)
      let bob = [
        "user": #"{"id":8,"username":"bob"}"#, "object_attributes.author_id": "7", "assignees": "[]", "reviewers": "[]",
      ]
      let ann = ["user": #"{"id":7,"username":"ann"}"#, "object_attributes.author_id": "7"]
      func decided(_ sha: Character, _ second: Int, _ more: [String: String]) async throws -> WebhookOutcome {
        let reply = try await stack.sendGitLab(
          id, "update", sha: sha, at: "\"2026-01-01 10:00:0\(second) UTC\"", more)
        #expect(reply.status == 200 && reply.body.contains("which files"), "\(reply.body)")
        let task = try #require(try await stack.store.takeTasks(limit: 1).first)
        guard case .paths(let request) = task.kind else { throw CocoaError(.featureUnsupported) }
        let outcome = try await stack.store.decide(request, exclusion: nil, of: task)
        try await stack.store.endTask(task, outcome: outcome.text)
        return outcome
      }
      _ = try await decided("a", 1, ann)
      _ = try await decided("b", 2, bob)
      #expect(try await stack.reviews().map(\.prAuthor) == ["ann", "ann"])
      try await stack.run(
        "UPDATE code_reviews SET status = 'failed', error_code = 'worker_lost' WHERE head_sha LIKE 'b%'")
      // A title, say.
      let outcome = try await decided("b", 3, bob)
      #expect(outcome.text.contains("this commit's review has failed"), "\(outcome)")
      #expect(try await stack.reviews().map(\.attempt) == [1, 1])
    }
  }

  @Test("a stored request of an earlier release is one of a commit whose author is known")
  func formerRequest() throws {
    let review = try NewReview(
      json: JSONValue(
        json: #"{"owner":{"type":"org","id":"acme"},"platform":"github","repoFullName":"acme/shop","prNumber":1,"#
          + #""prUrl":"https://github.com/acme/shop/pull/1","prTitle":"T","prAuthor":"ada","baseRef":"main","#
          + #""headRef":"f","headSha":"0123abcd"}"#))
    let key = PullRequestKey(owner: review.owner, platform: .github, repoFullName: "acme/shop", prNumber: 1)
    var push = PullRequestPush(
      review: review,
      place: PullRequestPlace(
        pullRequest: key, updatedAt: Timestamp(microseconds: 1), headSha: review.headSha, previousSha: "0123abce"),
      cause: .base, isAuthorKnown: false)
    let json = try JSONEncoder().encode(PlatformTask.PathsRequest(push, check: nil))
    #expect(try JSONCoding.decode(PlatformTask.PathsRequest.self, from: json).push == push)
    guard case .object(var fields) = try JSONValue(json: json) else { throw CocoaError(.coderInvalidValue) }
    (fields["cause"], fields["isAuthorKnown"]) = (nil, nil)
    (push.cause, push.isAuthorKnown) = (.commit, true)
    let former = try JSONEncoder().encode(JSONValue.object(fields))
    #expect(try JSONCoding.decode(PlatformTask.PathsRequest.self, from: former).push == push)
  }

  @Test("of an event, only what is read is stored, and little more than the reason where nothing is done")
  func stored() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await stack.client.send(.github("opened")).status == 202)
      #expect(try await stack.client.send(.github("labeled")).status == 200)
      #expect(
        try await stack.client.send(
          .github("opened", ["action": "\"created\"", "pull_request": "null"], event: "check_run")
        ).status == 200)
      #expect(try await stack.count("webhook_deliveries WHERE octet_length(payload::text) < 1500") == 3)
      #expect(
        try await stack.count("webhook_deliveries WHERE event = 'check_run' AND octet_length(payload::text) < 200") == 1
      )
      #expect(try await stack.count("webhook_deliveries WHERE processed_at IS NOT NULL AND outcome <> ''") == 3)
    }
  }
}
