import Foundation
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

/// The event's name stands in a header that nothing signs; the body has been signed.
@Suite("Server: a webhook's body has to be that of its event")
struct WebhookShapeTests {
  private static let account = #""installation":{"id":1,"account":{"login":"acme","type":"Organization"}}"#
  private static let comment = #""issue":{"number":2,"pull_request":{}},"comment":{"id":1,"body":"x"}"#

  @Test(
    "a signed body under another event's name does nothing",
    arguments: [
      ("installation", #"{"action":"deleted",\#(comment),"installation":{"id":1}}"#),
      ("installation", #"{"action":"deleted",\#(comment),\#(account)}"#),
      ("installation", #"{"action":"deleted","repository":{"id":186853002},"installation":{"id":1}}"#),
      ("installation", #"{"action":"deleted","label":{"name":"x"},\#(account)}"#),
      (
        "installation_repositories",
        #"{"action":"removed","repositories_removed":[{"id":186853002,"full_name":"Codertocat/Hello-World"}],"issue":{"number":2},"#
          + #""installation":{"id":1}}"#
      ),
      (
        "repository",
        #"{"action":"transferred","issue":{"number":2},"repository":{"id":186853002,"full_name":"x/y"},"installation":{"id":1}}"#
      ),
    ])
  func foreign(event: String, body: String) async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await stack.client.send(.github("opened", push("a", at: 1))).status == 202)
      let reply = try await stack.client.send(.github(event: event, body))
      #expect(reply.status == 200)
      #expect((reply.object["reason"] as? String)?.contains("not that of the event \(event)") == true, "\(reply.body)")
      #expect(try await stack.count("platform_integrations WHERE revoked_at IS NULL") == 1)
      #expect(try await stack.states() == ["aaaa pending 1 -"])
      #expect(try await stack.reviews().map(\.repoFullName) == ["Codertocat/Hello-World"])
    }
  }

  @Test("a push under a check's name, and a comment under a pull request's, begin nothing")
  func otherNames() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      for event in ["check_run", "check_suite", "merge_group", "issue_comment"] {
        let reply = try await stack.client.send(.github("opened", event: event))
        #expect(reply.status == 200)
        #expect((reply.object["reason"] as? String)?.contains("not that of the event") == true, "\(reply.body)")
      }
      #expect(try await stack.count("code_reviews") == 0)
    }
  }

  @Test("the name that a delivery was stored under stays, whatever name it is sent again under")
  func storedName() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      let body = #"{"action":"created",\#(Self.comment),"installation":{"id":1}}"#
      for event in ["issue_comment", "installation", "label"] {
        #expect(try await stack.client.send(.github(event: event, body)).status == 200)
      }
      #expect(try await stack.count("webhook_deliveries WHERE event = 'issue_comment'") == 1)
      #expect(try await stack.count("webhook_deliveries") == 1)
    }
  }

  @Test("of an event that nothing is done for, no text, label or list of repositories is stored")
  func stored() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub(config: nil)
      let gitlab = try await stack.addGitLab()
      let secret = "the text of a person"
      let webhooks: [RecordedWebhook] = [
        .github(
          event: "issue_comment",
          """
          {"action":"created","issue":{"number":17,"state":"open","pull_request":{}},
           "comment":{"id":1,"body":"\(secret)","user":{"login":"ann"}},
           "repository":{"id":9,"full_name":"acme/shop"},"installation":{"id":1}}
          """),
        .github(
          event: "push",
          """
          {"label":{"name":"\(secret)"},"repositories_removed":[{"id":1,"full_name":"\(secret)"}],"installation":{"id":1},
           "pull_request":{"number":17,"title":"\(secret)","labels":[{"name":"\(secret)"}]},
           "repository":{"id":9,"full_name":"acme/shop"}}
          """),
        .gitlab(
          integration: gitlab, event: "Note Hook",
          """
          {"object_kind":"note","project":{"id":9,"path_with_namespace":"acme/shop"},"labels":[{"title":"\(secret)"}],
           "object_attributes":{"id":1,"note":"\(secret)","noteable_type":"MergeRequest"},
           "merge_request":{"iid":17,"title":"\(secret)","state":"opened","last_commit":{"id":"ab"}}}
          """),
      ]
      for webhook in webhooks { #expect(try await stack.client.send(webhook).status == 200) }
      #expect(try await stack.count("webhook_deliveries") == 3)
      #expect(try await stack.count("webhook_deliveries WHERE payload::text LIKE '%\(secret)%'") == 0)
      // What answers the question why a pull request was not reviewed.
      let about = "about_repository = 'acme/shop' AND about_number = 17"
      #expect(try await stack.count("webhook_deliveries WHERE \(about)") == 3)
      #expect(try await stack.count("webhook_deliveries WHERE about_sha = 'ab'") == 1)
    }
  }
}
