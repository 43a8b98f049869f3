import BatonServer
import Foundation
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: re-runs, merge groups and installations")
struct PlatformEventTests {
  private func end(_ stack: ServerStack, _ id: UUID, attempt: Int = 1, _ body: String) async throws {
    _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
    #expect(try await stack.callback(id, "{\"attempt\":\(attempt),\(body)}").status == 200)
  }

  private func rerequest(_ external: String, app: Int = 5, installation: Int = 1) -> RecordedWebhook {
    .github(
      event: "check_run",
      """
      {"action":"rerequested","check_run":{"id":4,"external_id":"\(external)","head_sha":"ec26","app":{"id":\(app)}},
       "repository":{"id":1,"full_name":"Codertocat/Hello-World"},"sender":{"login":"alice"},
       "installation":{"id":\(installation)}}
      """)
  }

  private func installation(_ action: String, id: Int = 1, event: String = "installation") -> RecordedWebhook {
    .github(
      event: event,
      """
      {"action":"\(action)","installation":{"id":\(id),"account":{"login":"octo","type":"Organization"}},
       "repositories_removed":[{"id":186853002,"full_name":"codertocat/hello-world"}],"sender":{"login":"alice"}}
      """)
  }

  private func review(_ stack: ServerStack, config: String = "{}") async throws -> UUID {
    try await stack.addGitHub(config: config)
    #expect(try await stack.client.send(.github("opened")).status == 202)
    return try #require(try await stack.reviews().first?.id)
  }

  @Test("Re-run begins a completed review again, and the history names who asked")
  func rerun() async throws {
    try await withServerStack { stack in
      let id = try await review(stack, config: #"{"gate_threshold":"all"}"#)
      #expect(try await stack.client.send(rerequest("\(id.lowercase)/1")).object["outcome"] as? String == "unchanged")
      try await end(stack, id, #""status":"completed","gateResult":"fail","sessionId":"s1""#)
      let webhook = rerequest("\(id.lowercase)/1")
      let reply = try await stack.client.send(webhook)
      #expect(reply.status == 202)
      #expect(reply.object["attempt"] as? Int == 2)
      let row = try #require(try await stack.store.review(id))
      #expect(row.status == .pending)
      #expect(row.gateResult == nil)
      let about = WebhookFilter(repository: row.repoFullName, number: row.prNumber)
      #expect(try await stack.store.webhooks(about, limit: 1).webhooks.map(\.event) == ["check_run"])
      let last = try #require(try await stack.store.transitions(of: id).last)
      #expect(last.fromStatus == .completed)
      #expect(last.actor == "github:alice")
      // Delivered again it is the same wish.
      try await end(stack, id, attempt: 2, #""status":"failed""#)
      #expect(try await stack.client.send(webhook).object["outcome"] as? String == "repeated")
      // Also when the first delivery is not known any more: a check asks for its own attempt to be done again.
      try await stack.run("DELETE FROM webhook_deliveries")
      #expect(try await stack.client.send(webhook).object["outcome"] as? String == "unchanged")
      #expect(try await stack.store.review(id)?.attempt == 2)
      #expect(try await stack.client.send(rerequest("\(id.lowercase)/2")).object["attempt"] as? Int == 3)
    }
  }

  @Test("Re-run after the app was installed again goes by the new installation")
  func rerunAfterReinstallation() async throws {
    try await withServerStack { stack in
      let id = try await review(stack, config: #"{"gate_threshold":"all"}"#)
      try await end(stack, id, #""status":"completed""#)
      try await stack.run("UPDATE platform_integrations SET revoked_at = now()")
      let again = try await stack.addGitHub(config: nil, installation: 7)
      #expect(try await stack.client.send(rerequest("\(id.lowercase)/1", installation: 7)).status == 202)
      let row = try #require(try await stack.store.review(id))
      #expect(row.status == .pending)
      #expect(row.platformIntegrationId == again)
    }
  }

  @Test("a completed review begins again for no other reason")
  func completedStays() async throws {
    try await withServerStack { stack in
      let id = try await review(stack)
      try await end(stack, id, #""status":"completed""#)
      await #expect(throws: (any Error).self) {
        try await stack.run("UPDATE code_reviews SET status = 'pending'")
      }
      #expect(try await stack.store.retry(id) == .conflict(.completed))
    }
  }

  @Test("a check of another owner, an unknown one and one of another app begin nothing")
  func foreignChecks() async throws {
    try await withServerStack { stack in
      let id = try await review(stack)
      try await end(stack, id, #""status":"failed""#)
      try await stack.run(
        """
        INSERT INTO platform_integrations (owner_type, owner_id, platform, installation_id)
        VALUES ('org', 'other', 'github', '2')
        """)
      var foreign = rerequest("\(id.lowercase)/1")
      let body = String(decoding: foreign.body, as: UTF8.self).replacing(
        "\"installation\":{\"id\":1}", with: "\"installation\":{\"id\":2}")
      foreign = .github(event: "check_run", body)
      #expect(try await stack.client.send(foreign).status == 200)
      #expect(try await stack.client.send(rerequest("\(UUID())/1")).status == 200)
      #expect(try await stack.client.send(rerequest("")).status == 200)
      #expect(try await stack.store.review(id)?.attempt == 1)
    }
  }

  @Test("Re-run all checks begins the commit's reviews again that have a check")
  func suite() async throws {
    try await withServerStack { stack in
      let id = try await review(stack, config: #"{"gate_threshold":"all"}"#)
      try await end(stack, id, #""status":"failed""#)
      let sha = try #require(try await stack.store.review(id)?.headSha)
      let body = """
        {"action":"rerequested","check_suite":{"head_sha":"\(sha)","app":{"id":5}},"sender":{"login":"bob"},
         "repository":{"full_name":"codertocat/hello-world"},"installation":{"id":1}}
        """
      #expect(try await stack.client.send(.github(event: "check_suite", body)).status == 200)
      try await stack.run("UPDATE code_reviews SET check_run_id = 9")
      #expect(try await stack.client.send(.github(event: "check_suite", body)).status == 202)
      #expect(try await stack.store.transitions(of: id).last?.actor == "github:bob")
    }
  }

  @Test("Re-run all checks knows the repository by its number, whatever its name is by then")
  func suiteOfRenamed() async throws {
    try await withServerStack { stack in
      let id = try await review(stack, config: #"{"gate_threshold":"all"}"#)
      try await end(stack, id, #""status":"failed""#)
      try await stack.run("UPDATE code_reviews SET check_run_id = 9")
      let sha = try #require(try await stack.store.review(id)?.headSha)
      func send(_ repository: String) async throws -> Int {
        try await stack.client.send(
          .github(
            event: "check_suite",
            """
            {"action":"rerequested","check_suite":{"head_sha":"\(sha)","app":{"id":5}},"sender":{"login":"bob"},
             "repository":\(repository),"installation":{"id":1}}
            """)
        ).status
      }
      // Another repository that has the name now.
      #expect(try await send(#"{"id":77,"full_name":"Codertocat/Hello-World"}"#) == 200)
      #expect(try await send(#"{"id":186853002,"full_name":"codertocat2/hello-world"}"#) == 202)
      #expect(try await stack.store.review(id)?.attempt == 2)
    }
  }

  @Test("an old commit's check begins nothing after a newer commit has come")
  func oldCommit() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      _ = try await stack.client.send(.github("opened", push("a", at: 1)))
      _ = try await stack.client.send(.github("synchronize", push("b", at: 2, before: "a")))
      let old = try #require(try await stack.reviews().first { $0.headSha.hasPrefix("a") })
      #expect(try await stack.client.send(rerequest("\(old.id.lowercase)/1")).status == 200)
      #expect(try await stack.states() == ["aaaa cancelled 1 superseded", "bbbb pending 1 -"])
    }
  }

  @Test(
    "a merge group gets a verdict at once, that of its pull request's newest review",
    arguments: [
      (#""status":"completed","gateResult":"pass""#, "success"),
      (#""status":"completed","gateResult":"fail""#, "failure"), (#""status":"completed""#, "neutral"),
      (#""status":"failed""#, "neutral"), (#""status":"running""#, "neutral"),
    ])
  func mergeGroup(_ callback: String, _ conclusion: String) async throws {
    try await withServerStack { stack in
      let id = try await review(stack, config: #"{"gate_threshold":"all"}"#)
      try await end(stack, id, callback)
      let sent = try await stack.client.send(
        .github(
          event: "merge_group",
          """
          {"action":"checks_requested","installation":{"id":1},"repository":{"full_name":"Codertocat/Hello-World"},
           "merge_group":{"head_sha":"\(String(repeating: "c", count: 40))",
                          "head_ref":"refs/heads/gh-readonly-queue/main/pr-2-\(String(repeating: "b", count: 40))"}}
          """))
      #expect(sent.status == 200)
      let task = try #require(try await stack.store.takeTasks(limit: 9).first)
      guard case .check(let check) = task.kind else { return #expect(Bool(false)) }
      #expect(check.conclusion.rawValue == conclusion)
      #expect(check.sha == String(repeating: "c", count: 40))
      let about = WebhookFilter(repository: "codertocat/hello-world", number: 2)
      #expect(try await stack.store.webhooks(about, limit: 1).webhooks.map(\.event) == ["merge_group"])
    }
  }

  @Test("a suspended installation fails what waits, and comes back")
  func suspended() async throws {
    try await withServerStack { stack in
      let id = try await review(stack)
      #expect(try await stack.client.send(installation("suspend")).status == 200)
      let failed = try #require(try await stack.store.review(id))
      #expect(failed.status == .failed)
      #expect(failed.errorCode == "integration_revoked")
      #expect(failed.errorMessage?.contains("suspended by github:alice") == true)
      #expect(try await stack.client.send(.github("opened", push("a", at: 9))).status == 200)
      #expect(try await stack.client.send(installation("unsuspend")).status == 200)
      #expect(try await stack.count("platform_integrations WHERE revoked_at IS NULL AND revoked_reason IS NULL") == 1)
      #expect(try await stack.client.send(.github("opened", push("b", at: 10))).status == 202)
    }
  }

  @Test("what an operator has revoked comes back with no event")
  func operatorRevoked() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub(revoked: true)
      for action in ["suspend", "unsuspend", "created"] {
        #expect(try await stack.client.send(installation(action)).status == 200)
      }
      #expect(try await stack.count("platform_integrations WHERE revoked_at IS NOT NULL") == 1)
    }
  }

  @Test("a deleted installation fails what waits, and a run that was started goes on")
  func deleted() async throws {
    try await withServerStack { stack in
      let id = try await review(stack)
      try await end(stack, id, #""status":"running","sessionId":"s""#)
      try await stack.run("UPDATE code_reviews SET dispatched_at = now()")
      _ = try await stack.client.send(.github("opened", ["pull_request.number": "3", "number": "3"]))
      #expect(try await stack.client.send(installation("deleted")).status == 200)
      #expect(try await stack.store.review(id)?.status == .running)
      #expect(try await stack.count("code_reviews WHERE error_code = 'integration_revoked'") == 1)
    }
  }

  @Test("an installation that no integration has is no error, and is provisioned only if a setting says so")
  func created() async throws {
    try await withServerStack { stack in
      for action in ["created", "deleted", "suspend", "new_permissions_accepted"] {
        let status = try await stack.client.send(installation(action, id: 55)).status
        #expect(status == 200)
      }
      let integrations = try await stack.count("platform_integrations")
      #expect(integrations == 0)
    }
    try await withServerStack(webhookPolicy: WebhookPolicy(provisioning: .account)) { stack in
      for _ in 0..<2 {
        let status = try await stack.client.send(installation("created", id: 55)).status
        #expect(status == 200)
      }
      let provisioned = try await stack.count(
        "platform_integrations WHERE installation_id = '55' AND owner_type = 'org' AND owner_id = 'octo'")
      let configurations = try await stack.count("agent_configs WHERE owner_id = 'octo' AND is_enabled")
      #expect(provisioned == 1 && configurations == 1)
    }
  }

  @Test(
    "an account that has taken a free login gets no owner of the account before; a new installation of the same account does"
  )
  func takenLogin() async throws {
    try await withServerStack(webhookPolicy: WebhookPolicy(provisioning: .account)) { stack in
      func install(_ id: Int, account: Int) async throws -> String {
        let reply = try await stack.client.send(
          .github(
            event: "installation",
            """
            {"action":"created","installation":{"id":\(id),"account":{"id":\(account),"login":"octo","type":"Organization"}}}
            """))
        #expect(reply.status == 200)
        return reply.object["reason"] as? String ?? ""
      }
      #expect(try await install(11, account: 1).hasPrefix("provisioned"))
      try await stack.run("UPDATE platform_integrations SET revoked_at = now()")
      #expect(try await install(22, account: 2).contains("belongs to another account"))
      #expect(try await stack.count("platform_integrations") == 1)
      #expect(try await install(33, account: 1).hasPrefix("provisioned"))
      #expect(try await stack.count("platform_integrations WHERE owner_id = 'octo' AND account_id = '1'") == 2)
      // Of an integration that was added by hand the account is not known.
      try await stack.run("UPDATE platform_integrations SET account_id = NULL")
      #expect(try await install(44, account: 2).hasPrefix("provisioned"))
    }
  }

  @Test("removed repositories end their reviews, and their next push begins again")
  func removed() async throws {
    try await withServerStack { stack in
      let id = try await review(stack)
      #expect(try await stack.client.send(installation("removed", event: "installation_repositories")).status == 200)
      let cancelled = try #require(try await stack.store.review(id))
      #expect(cancelled.status == .cancelled)
      #expect(cancelled.errorCode == "repository_removed")
      #expect(
        try await stack.client.send(
          .github("opened", ["action": "\"reopened\"", "pull_request.updated_at": "\"2030-01-01T00:00:00Z\""])
        ).status
          == 202)
    }
  }

  @Test("removed repositories are known by their number, and by their name where a review has no number")
  func removedByNumber() async throws {
    try await withServerStack { stack in
      let id = try await review(stack)
      func remove(_ repository: String) async throws {
        let sent = try await stack.client.send(
          .github(
            event: "installation_repositories",
            """
            {"action":"removed","installation":{"id":1,"account":{"login":"octo"}},"repositories_removed":[\(repository)],
             "sender":{"login":"alice"}}
            """))
        #expect(sent.status == 200)
      }
      try await remove(#"{"id":77,"full_name":"Codertocat/Hello-World"}"#)
      #expect(try await stack.store.review(id)?.status == .pending)
      try await remove(#"{"id":186853002,"full_name":"codertocat2/hello-world"}"#)
      #expect(try await stack.store.review(id)?.status == .cancelled)
      let other = try await stack.submit("abcdef1")
      try await stack.run("UPDATE code_reviews SET platform_integration_id = (SELECT id FROM platform_integrations)")
      try await remove(#"{"id":78,"full_name":"Acme/Shop"}"#)
      #expect(try await stack.store.review(other)?.status == .cancelled)
    }
  }
}
