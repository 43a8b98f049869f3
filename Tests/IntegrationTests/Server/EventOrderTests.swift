import Foundation
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

/// GitHub delivers late, twice and in any order; what has happened to an installation or a repository has one order.
@Suite("Server: events of installations and repositories have a place in the order")
struct EventOrderTests {
  /// - Parameter second: of `installation.updated_at`; GitHub gives the event that restores an installation the time of the one that suspended it.
  private func installation(_ action: String, at second: Int?, delivery: String? = nil) -> RecordedWebhook {
    let time = second.map { ",\"updated_at\":\"2026-01-01T10:00:0\($0).000-04:00\"" } ?? ""
    let suspendedAt =
      action == "suspend" ? second.map { ",\"suspended_at\":\"2026-01-01T14:00:0\($0)Z\"" } ?? "" : ""
    return .github(
      event: "installation",
      """
      {"action":"\(action)","installation":{"id":1,"account":{"login":"acme","type":"Organization"}\(time)\(suspendedAt)},
       "sender":{"login":"alice"}}
      """, delivery: delivery)
  }

  private func repositories(_ action: String, at second: Int) -> RecordedWebhook {
    let (added, removed) = action == "added" ? (Self.listed, "") : ("", Self.listed)
    return .github(
      event: "installation_repositories",
      """
      {"action":"\(action)","installation":{"id":1,"account":{"login":"acme","type":"Organization"},
       "updated_at":"2026-01-01T10:00:0\(second)Z"},"repositories_added":[\(added)],"repositories_removed":[\(removed)],
       "sender":{"login":"alice"}}
      """)
  }

  private static let listed = #"{"id":186853002,"full_name":"Codertocat/Hello-World"}"#

  private func renamed(_ name: String, at second: Int?) throws -> RecordedWebhook {
    try .github(
      "opened",
      [
        "action": "\"renamed\"", "repository.full_name": "\"Codertocat/\(name)\"", "pull_request": "null",
        "repository.updated_at": second.map { "\"2026-01-01T10:00:0\($0)Z\"" } ?? "null",
      ], event: "repository")
  }

  private func isRevoked(_ stack: ServerStack) async throws -> Bool {
    try await stack.count("platform_integrations WHERE revoked_at IS NOT NULL") == 1
  }

  private func reason(_ stack: ServerStack, _ webhook: RecordedWebhook) async throws -> String {
    let reply = try await stack.client.send(webhook)
    #expect(reply.status == 200, "\(reply.body)")
    return reply.object["reason"] as? String ?? ""
  }

  @Test(
    "a suspension that comes after the event that ended it revokes nothing",
    arguments: [(1, 2), (1, 1)] as [(Int, Int)])
  func lateSuspension(suspended: Int, restored: Int) async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await stack.client.send(.github("opened", push("a", at: 1))).status == 202)
      _ = try await reason(stack, installation("unsuspend", at: restored))
      #expect(try await reason(stack, installation("suspend", at: suspended)).contains("newer event"))
      #expect(try await !isRevoked(stack))
      #expect(try await stack.states() == ["aaaa pending 1 -"])
      // What is really newer counts.
      _ = try await reason(stack, installation("suspend", at: 3))
      #expect(try await isRevoked(stack))
      _ = try await reason(stack, installation("unsuspend", at: 3))
      #expect(try await !isRevoked(stack))
    }
  }

  @Test(
    "a suspension that is delivered again, under any id, revokes nothing once more",
    arguments: [(1, 2), (1, 1), (nil, nil)] as [(Int?, Int?)])
  func repeatedSuspension(suspended: Int?, restored: Int?) async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      _ = try await reason(stack, installation("suspend", at: suspended))
      #expect(try await isRevoked(stack))
      _ = try await reason(stack, installation("unsuspend", at: restored))
      #expect(try await !isRevoked(stack))
      for delivery in ["another", "a third"] {
        let again = installation("suspend", at: suspended, delivery: delivery)
        #expect(try await stack.client.send(again).object["outcome"] as? String == "repeated")
        #expect(try await !isRevoked(stack))
      }
      guard suspended != nil else { return }
      // The deliveries are kept for some days, the order always.
      try await stack.run("DELETE FROM webhook_deliveries")
      _ = try await reason(stack, installation("suspend", at: suspended))
      #expect(try await !isRevoked(stack))
    }
  }

  @Test("what a deleted installation sent before restores nothing")
  func deleted() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      _ = try await reason(stack, installation("deleted", at: 2))
      #expect(try await isRevoked(stack))
      for second in [1, 2] { _ = try await reason(stack, installation("unsuspend", at: second)) }
      #expect(try await isRevoked(stack))
    }
  }

  @Test("an operator's word counts, whatever events come before and after it")
  func operatorRevoked() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub(revoked: true)
      _ = try await reason(stack, installation("suspend", at: 1))
      _ = try await reason(stack, installation("unsuspend", at: 2))
      #expect(try await isRevoked(stack))
      try await stack.run("UPDATE platform_integrations SET revoked_at = NULL")
      _ = try await reason(stack, installation("suspend", at: 1, delivery: "late"))
      #expect(try await !isRevoked(stack))
    }
  }

  @Test("a repository's removal that comes after it was added again, or comes twice, cancels nothing")
  func removed() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await stack.client.send(.github("opened", push("a", at: 1))).status == 202)
      _ = try await reason(stack, repositories("added", at: 3))
      _ = try await reason(stack, repositories("removed", at: 2))
      #expect(try await stack.states() == ["aaaa pending 1 -"])
      _ = try await reason(stack, repositories("removed", at: 4))
      #expect(try await stack.states() == ["aaaa cancelled 1 repository_removed"])
      _ = try await reason(stack, repositories("added", at: 5))
      #expect(try await stack.client.send(.github("ready_for_review", push("a", at: 6))).status == 202)
      #expect(try await stack.client.send(repositories("removed", at: 4)).object["outcome"] as? String == "repeated")
      #expect(try await stack.states() == ["aaaa pending 2 -"])
    }
  }

  @Test("a repository's older name, that comes late or twice, is not taken")
  func renames() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await stack.client.send(.github("opened", push("a", at: 1))).status == 202)
      func names() async throws -> [String] { try await stack.reviews().map { String($0.repoFullName.dropFirst(11)) } }
      let first = try renamed("One", at: 2)
      #expect(try await reason(stack, first).contains("1 reviews"))
      #expect(try await names() == ["One"])
      #expect(try await reason(stack, renamed("Three", at: 4)).contains("1 reviews"))
      #expect(try await reason(stack, renamed("Two", at: 3)).contains("newer event"))
      #expect(try await stack.client.send(first).object["outcome"] as? String == "repeated")
      // A pull request's event from before.
      _ = try await stack.client.send(
        .github("ready_for_review", push("a", at: 3).merging(["repository.full_name": "\"Codertocat/Two\""]) { $1 }))
      #expect(try await names() == ["Three"])
      // Without a time, in the order in which they come.
      for name in ["Four", "Five"] {
        #expect(try await reason(stack, renamed(name, at: nil)).contains("1 reviews"))
        #expect(try await names() == [name])
      }
    }
  }

  @Test("an older name of a GitLab project, that comes late, is not taken")
  func renamedProject() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      #expect(try await stack.client.send(.gitlab(integration: id)).status == 202)
      for (name, second) in [("three", 3), ("two", 2)] {
        let reply = try await stack.client.send(
          .gitlab(
            integration: id, event: "System Hook",
            """
            {"event_name":"project_rename","project_id":1,"path_with_namespace":"gitlabhq/\(name)",
             "updated_at":"2026-01-01T10:00:0\(second)Z"}
            """))
        #expect(reply.status == 200)
      }
      #expect(try await stack.reviews().map(\.repoFullName) == ["gitlabhq/three"])
    }
  }

  @Test("a name of a GitLab project says nothing about the project with the same number at another instance")
  func renamedAtInstance() async throws {
    try await withServerStack { stack in
      let (first, second) = (try await stack.addGitLab(), try await stack.addGitLab())
      try await stack.run(
        "UPDATE platform_integrations SET instance_url = 'https://git.example.com' WHERE id = '\(second.uuidString)'")
      for (id, host, sha) in [(first, "gitlab.com", "a"), (second, "git.example.com", "b")] {
        let reply = try await stack.client.send(
          .gitlab(
            integration: id,
            [
              "object_attributes.url": "\"https://\(host)/gitlabhq/gitlab-test/merge_requests/1\"",
              "object_attributes.last_commit.id": "\"\(String(repeating: sha, count: 40))\"", "project.id": "7",
            ]))
        #expect(reply.status == 202)
      }
      func rename(_ id: UUID, _ name: String, at second: Int) async throws -> [String] {
        _ = try await stack.client.send(
          .gitlab(
            integration: id, event: "System Hook",
            """
            {"event_name":"project_rename","project_id":7,"path_with_namespace":"gitlabhq/\(name)",
             "updated_at":"2026-01-01T10:00:0\(second)Z"}
            """))
        return try await stack.reviews().map { "\($0.headSha.prefix(1)) \($0.repoFullName.dropFirst(9))" }.sorted()
      }
      // The first integration does not say which instance it is of: its reviews do.
      #expect(try await rename(first, "moon", at: 5) == ["a moon", "b gitlab-test"])
      // Of two instances the later name is not the only one.
      #expect(try await rename(second, "sun", at: 3) == ["a moon", "b sun"])
      #expect(try await rename(second, "star", at: 2) == ["a moon", "b sun"])
    }
  }
}
