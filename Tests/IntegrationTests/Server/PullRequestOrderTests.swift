import Foundation
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: a pull request's events, in any order")
struct PullRequestOrderTests {
  private func send(
    _ stack: ServerStack, _ name: String, _ sha: Character, at second: Int, before: Character? = nil
  ) async throws -> Int {
    try await stack.client.send(.github(name, push(sha, at: second, before: before))).status
  }

  @Test("a new push cancels the older reviews of its pull request, whatever their status, and the worker is notified")
  func supersede() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await send(stack, "opened", "a", at: 1) == 202)
      _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      let first = try #require(try await stack.reviews().first)
      #expect(try await stack.callback(first.id, #"{"status":"running","attempt":1}"#).status == 200)
      // An application has submitted one as well, which is pending.
      try await stack.run(
        """
        INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                  base_ref, head_ref, head_sha)
        SELECT owner_type, owner_id, platform, repo_full_name, n, pr_url, pr_title, pr_author, base_ref, head_ref,
               repeat('b', 40)
          FROM code_reviews, unnest(ARRAY[2, 3]) n
        """)
      #expect(try await send(stack, "synchronize", "c", at: 2) == 202)
      #expect(
        try await stack.states() == [
          "aaaa cancelled 1 superseded", "bbbb cancelled 1 superseded", "bbbb pending 1 -", "cccc pending 1 -",
        ])
      #expect(try await stack.count("baton_outbox WHERE kind = 'worker_cancel' AND review_id = '\(first.id)'") == 1)
      #expect(try await stack.count("baton_outbox") == 1)
    }
  }

  @Test("pushes delivered out of order leave the newest, whichever comes last")
  func outOfOrder() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await send(stack, "synchronize", "c", at: 3) == 202)
      #expect(try await send(stack, "synchronize", "b", at: 2) == 200)
      #expect(try await send(stack, "opened", "a", at: 1) == 200)
      #expect(try await stack.states() == ["cccc pending 1 -"])
      #expect(try await send(stack, "synchronize", "d", at: 4) == 202)
      #expect(try await stack.states() == ["cccc cancelled 1 superseded", "dddd pending 1 -"])
    }
  }

  @Test("of two pushes of the same second the one that replaced the other is the newer")
  func sameSecond() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await send(stack, "synchronize", "b", at: 1, before: "a") == 202)
      #expect(try await send(stack, "opened", "a", at: 1) == 200)
      #expect(try await send(stack, "synchronize", "c", at: 1, before: "b") == 202)
      #expect(try await stack.states() == ["bbbb cancelled 1 superseded", "cccc pending 1 -"])
    }
  }

  @Test("pushes that come at once leave exactly one review that has not ended: the newest")
  func concurrent() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      try await withThrowingTaskGroup(of: Int.self) { group in
        for (index, sha) in "123456789abc".enumerated() {
          group.addTask { try await send(stack, "synchronize", sha, at: index) }
        }
        for try await status in group { #expect([200, 202].contains(status)) }
      }
      let open = try await stack.reviews().filter { !$0.status.isTerminal }
      #expect(open.map { $0.headSha.first } == ["c"])
    }
  }

  @Test("closing cancels, and reopening with the same commit starts a new attempt")
  func reopen() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await send(stack, "opened", "a", at: 1) == 202)
      #expect(try await send(stack, "closed", "a", at: 3) == 200)
      #expect(try await stack.states() == ["aaaa cancelled 1 pull_request_closed"])
      // Delivered late: the pull request has been closed since.
      #expect(try await send(stack, "synchronize", "b", at: 2) == 200)
      #expect(try await stack.states() == ["aaaa cancelled 1 pull_request_closed"])
      let reopened = ["action": "\"reopened\""].merging(push("a", at: 4)) { $1 }
      let reply = try await stack.client.send(.github("opened", reopened))
      #expect(reply.status == 202)
      #expect(reply.object["attempt"] as? Int == 2)
      #expect(try await stack.states() == ["aaaa pending 2 -"])
    }
  }

  @Test("closed before opened was delivered: nothing starts")
  func closedFirst() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await send(stack, "closed", "a", at: 5) == 200)
      #expect(try await send(stack, "opened", "a", at: 1) == 200)
      #expect(try await stack.count("code_reviews") == 0)
    }
  }

  @Test("a force push back to an older commit starts its review again; what a person has cancelled stays so")
  func forcePush() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await send(stack, "opened", "a", at: 1) == 202)
      #expect(try await send(stack, "synchronize", "b", at: 2) == 202)
      #expect(try await send(stack, "synchronize", "a", at: 3) == 202)
      #expect(try await stack.states() == ["aaaa pending 2 -", "bbbb cancelled 1 superseded"])
      let id = try #require(try await stack.reviews().first { $0.headSha.hasPrefix("a") }?.id)
      _ = try await stack.store.cancel(id)
      let again = ["action": "\"reopened\""].merging(push("a", at: 4)) { $1 }
      #expect(try await stack.client.send(.github("opened", again)).status == 200)
      #expect(try await stack.states() == ["aaaa cancelled 2 cancelled_by_user", "bbbb cancelled 1 superseded"])
    }
  }

  @Test(
    "a failed review starts again when its commit comes again, a completed one does not; `POST /api/reviews` never does"
  )
  func ended() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      #expect(try await send(stack, "opened", "a", at: 1) == 202)
      let id = try #require(try await stack.reviews().first?.id)
      _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      #expect(try await stack.callback(id, #"{"status":"failed","attempt":1,"gateResult":"fail"}"#).status == 200)
      #expect(try await stack.count("code_reviews WHERE gate_result = 'fail'") == 1)
      #expect(try await send(stack, "ready_for_review", "a", at: 2) == 202)
      #expect(try await stack.states() == ["aaaa pending 2 -"])
      #expect(try await stack.count("code_reviews WHERE gate_result IS NULL") == 1)
      _ = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      #expect(try await stack.callback(id, #"{"status":"completed","attempt":2}"#).status == 200)
      #expect(try await send(stack, "ready_for_review", "a", at: 3) == 200)
      let submitted = try await stack.submit("abcdef1")
      _ = try await stack.store.cancel(submitted)
      let reply = try await stack.client.send("POST", "/api/reviews", body: ServerStack.review("abcdef1"))
      #expect(reply.status == 200)
      #expect(reply.object["status"] as? String == "cancelled")
    }
  }
}
