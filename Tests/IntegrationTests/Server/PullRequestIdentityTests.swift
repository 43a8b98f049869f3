import Foundation
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: a repository is known by its number")
struct PullRequestIdentityTests {
  private static let renamed = ["repository.full_name": "\"Codertocat/Hello-Moon\""]

  private func names(_ stack: ServerStack) async throws -> [String] {
    try await stack.reviews().map { "\($0.headSha.prefix(1)) \($0.repoFullName) \($0.status)" }.sorted()
  }

  private func insert(_ stack: ServerStack, _ repository: String, _ sha: Character) async throws {
    try await stack.run(
      """
      INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                base_ref, head_ref, head_sha)
      VALUES ('org', 'acme', 'github', '\(repository)', 2, 'https://github.com/x', 't', 'ada', 'main', 'f',
              '\(String(repeating: sha, count: 40))')
      """)
  }

  @Test("a push after a rename supersedes the review from before it, and the same commit is reviewed once")
  func renamedRepository() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await stack.client.send(.github("opened", push("a", at: 1))).status == 202)
      let pushed = push("b", at: 2).merging(Self.renamed) { $1 }
      #expect(try await stack.client.send(.github("synchronize", pushed)).status == 202)
      #expect(
        try await names(stack) == ["a Codertocat/Hello-Moon cancelled", "b Codertocat/Hello-Moon pending"])
      // A late event with the old name.
      #expect(try await stack.client.send(.github("ready_for_review", push("b", at: 3))).status == 200)
      #expect(try await stack.count("code_reviews") == 2)
      let closed = push("b", at: 4).merging(Self.renamed) { $1 }
      #expect(try await stack.client.send(.github("closed", closed)).object["outcome"] as? String == "closed")
      #expect(try await stack.count("code_reviews WHERE status = 'pending'") == 0)
    }
  }

  @Test("names follow a rename and a transfer, for all reviews of the repository")
  func namesFollow() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      for number in 1...3 {
        let fields = ["pull_request.number": "\(number)", "number": "\(number)"].merging(push("a", at: 1)) { $1 }
        #expect(try await stack.client.send(.github("opened", fields)).status == 202)
      }
      for (action, name) in [("renamed", "Codertocat/Hello-Moon"), ("transferred", "luna/Hello-Moon")] {
        let fields = ["action": "\"\(action)\"", "repository.full_name": "\"\(name)\""]
        #expect(try await stack.client.send(.github("opened", fields, event: "repository")).status == 200)
        #expect(Set(try await stack.reviews().map(\.repoFullName)) == [name])
      }
      #expect(try await stack.count("code_reviews WHERE status = 'pending'") == 3)
    }
  }

  @Test("letter case never matters: for inserts, submissions, events and searches")
  func letterCase() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      try await insert(stack, "codertocat/HELLO-world", "a")
      await #expect(throws: (any Error).self) { try await insert(stack, "CODERTOCAT/hello-WORLD", "a") }
      try await insert(stack, "CODERTOCAT/hello-WORLD", "b")
      #expect(Set(try await stack.reviews().map(\.repoFullName)) == ["codertocat/HELLO-world"])
      // The webhook brings the number and the name as it is; it is the same commit.
      #expect(try await stack.client.send(.github("opened", push("b", at: 1))).status == 200)
      #expect(
        try await names(stack) == ["a Codertocat/Hello-World cancelled", "b Codertocat/Hello-World pending"])
      #expect(try await stack.count("code_reviews WHERE platform_repository_id = 186853002") == 2)
      for name in ["codertocat/hello-world", "CODERTOCAT/Hello-World"] {
        let found = try await stack.store.page(ReviewFilter(repository: name), limit: 10)
        #expect(found.reviews.count == 2)
      }
    }
  }

  @Test(
    "a submission with the repository's number finds the review under another name; without it, under the same name")
  func submitted() async throws {
    try await withServerStack { stack in
      func submit(_ repository: String, _ sha: String, id: Int64?) async throws -> Submission {
        try await stack.store.submit(
          NewReview(
            owner: Owner(type: .org, id: "acme"), platform: .github, platformRepositoryId: id,
            repoFullName: repository, prNumber: 2, prUrl: "https://github.com/\(repository)/pull/2", prTitle: "t",
            prAuthor: "ada", baseRef: "main", headRef: "f", headSha: sha))
      }
      let first = try await submit("acme/shop", "0a", id: 5)
      #expect(first.isNew)
      #expect(try await submit("acme/store", "0a", id: 5).id == first.id)
      #expect(try await submit("ACME/Shop", "0a", id: nil).id == first.id)
      #expect(try await submit("acme/shop", "0b", id: nil).isNew)
      #expect(try await submit("Acme/Shop", "0b", id: nil).isNew == false)
    }
  }

  @Test(
    "a repository that has taken another's name is another one: the same number and commit are reviewed anew",
    arguments: ["Codertocat/Hello-World", "codertocat/hello-world"])
  func takenName(_ name: String) async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await stack.client.send(.github("opened", push("a", at: 5))).status == 202)
      for status in ["queued", "completed"] { try await stack.run("UPDATE code_reviews SET status = '\(status)'") }
      let id = try #require(try await stack.reviews().first?.id)
      // Older than the other repository's events, which say nothing about it.
      let repository = ["repository.id": "77", "repository.full_name": "\"\(name)\""]
      let reply = try await stack.client.send(.github("opened", push("a", at: 1).merging(repository) { $1 }))
      #expect(reply.status == 202)
      #expect(try await stack.states() == ["aaaa pending 2 -"])
      #expect(try await stack.store.review(id)?.platformRepositoryId == 77)
      // Sent once more, and by the repository that had the name.
      #expect(try await stack.client.send(.github("closed", push("a", at: 9))).status == 200)
      #expect(try await stack.states() == ["aaaa pending 2 -"])
      #expect(
        try await stack.client.send(.github("ready_for_review", push("a", at: 2).merging(repository) { $1 })).status
          == 200)
      #expect(try await stack.count("code_reviews") == 1)
      #expect(
        try await stack.client.send(.github("synchronize", push("b", at: 3).merging(repository) { $1 })).status == 202)
      #expect(try await stack.states() == ["aaaa cancelled 2 superseded", "bbbb pending 1 -"])
    }
  }

  @Test("events at one GitLab instance say nothing about the same path and number at another")
  func instancesInTime() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      for (host, project, sha, second) in [("gitlab.com", 7, "a", 9), ("git.example.com", 8, "b", 1)] {
        let reply = try await stack.client.send(
          .gitlab(
            integration: id,
            [
              "object_attributes.url": "\"https://\(host)/gitlabhq/gitlab-test/merge_requests/1\"",
              "object_attributes.last_commit.id": "\"\(String(repeating: sha, count: 40))\"",
              "object_attributes.updated_at": "\"2026-01-01 10:00:0\(second) UTC\"", "project.id": "\(project)",
            ]))
        #expect(reply.status == 202)
      }
      #expect(try await stack.states() == ["aaaa pending 1 -", "bbbb pending 1 -"])
    }
  }

  @Test("two GitLab instances are apart, whatever the numbers of their projects")
  func instances() async throws {
    try await withServerStack { stack in
      let id = try await stack.addGitLab()
      func send(_ host: String, _ sha: Character, _ second: Int) async throws -> Int {
        try await stack.client.send(
          .gitlab(
            integration: id,
            [
              "object_attributes.url": "\"https://\(host)/gitlabhq/gitlab-test/merge_requests/1\"",
              "object_attributes.last_commit.id": "\"\(String(repeating: sha, count: 40))\"",
              "object_attributes.updated_at": "\"2026-01-01 10:00:0\(second) UTC\"",
            ])
        ).status
      }
      #expect(try await send("gitlab.com", "a", 1) == 202)
      #expect(try await send("git.example.com", "b", 2) == 202)
      #expect(try await stack.states() == ["aaaa pending 1 -", "bbbb pending 1 -"])
      #expect(try await send("gitlab.com", "c", 3) == 202)
      #expect(try await stack.states() == ["aaaa cancelled 1 superseded", "bbbb pending 1 -", "cccc pending 1 -"])
    }
  }

  @Test("statements of the release before, which name the old unique key, still find their rows")
  func oldStatements() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await stack.client.send(.github("opened", push("a", at: 1))).status == 202)
      try await stack.run(
        """
        INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                  base_ref, head_ref, head_sha)
        VALUES ('org', 'acme', 'github', 'codertocat/hello-world', 2, 'u', 't', 'ada', 'main', 'f', repeat('a', 40))
        ON CONFLICT (owner_type, owner_id, platform, repo_full_name, pr_number, head_sha) DO NOTHING
        """)
      #expect(try await stack.count("code_reviews") == 1)
    }
  }
}
