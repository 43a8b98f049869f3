import FoundationEssentials
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Previous review")
struct PreviousReviewTests {
  /// A completed review of a pull request, `ago` minutes old.
  private func addCompleted(
    _ test: TestStore, sha: String, session: String?, minutesAgo: Int, number: Int = 1, owner: String = "acme",
    repository: String = "acme/shop", status: String = "completed", platform: Platform = .github, url: String = "u",
    repositoryID: Int? = nil
  ) async throws {
    try await test.pool.withTransaction { connection in
      for sql in [
        "SET LOCAL session_replication_role = replica",
        """
        INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                  base_ref, head_ref, head_sha, status, session_id, completed_at, platform_repository_id)
        VALUES ('org', '\(owner)', '\(platform.rawValue)', '\(repository)', \(number), '\(url)', 't', 'ada', 'main', 'f', '\(sha)',
                '\(status)', \(session.map { "'\($0)'" } ?? "NULL"), now() - interval '\(minutesAgo) minutes',
                \(repositoryID.map { "\($0)" } ?? "NULL"))
        """,
      ] { _ = try await connection.query(PostgresStatement(unprepared: sql)) }
    }
  }

  /// Leases the only review that is due.
  private func leased(_ test: TestStore) async throws -> LeasedReview {
    let ticket = try await test.claim()[0].ticket
    guard case .leased(let review) = try await test.lease([ticket])[0] else { throw NotLeased() }
    return review
  }

  private struct NotLeased: Error {}

  @Test("the completed review of the same pull request that ended last gives commit and session")
  func newest() async throws {
    try await withTestStore { test in
      try await addCompleted(test, sha: "aaaa", session: "first", minutesAgo: 30)
      try await addCompleted(test, sha: "bbbb", session: "second", minutesAgo: 20)
      try await addCompleted(test, sha: "cccc", session: "failed", minutesAgo: 10, status: "failed")
      try await addCompleted(test, sha: "dddd", session: "other number", minutesAgo: 1, number: 2)
      try await addCompleted(test, sha: "eeee", session: "other owner", minutesAgo: 1, owner: "other")
      try await addCompleted(test, sha: "ffff", session: "other repository", minutesAgo: 1, repository: "acme/till")
      _ = try await test.insert(1)
      let review = try await leased(test)
      #expect(review.previousHeadSha == "bbbb" && review.previousSessionId == "second")
    }
  }

  @Test("the first review of a pull request, and one whose own commit alone was reviewed, have none")
  func none() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await addCompleted(test, sha: "aaaa", session: "other number", minutesAgo: 1, number: 2)
      let review = try await leased(test)
      #expect(review.id == id && review.previousHeadSha == nil && review.previousSessionId == nil)
    }
  }

  @Test("another repository that had the name, or has it at another instance, gives neither commit nor session")
  func otherRepository() async throws {
    func address(_ host: String) -> String { "https://\(host)/acme/shop/-/merge_requests/1" }
    try await withTestStore { test in
      for (sha, host, id) in [
        ("aaaa", "GitLab.example.com", 7), ("bbbb", "gitlab.com", 7), ("cccc", "gitlab.example.com", 8),
      ] {
        try await addCompleted(
          test, sha: sha, session: "of \(sha)", minutesAgo: id == 7 ? 20 : 10, platform: .gitlab, url: address(host),
          repositoryID: id)
      }
      try await test.sql(
        """
        INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author, base_ref,
                                  head_ref, head_sha, platform_repository_id)
        VALUES ('org', 'acme', 'gitlab', 'acme/shop', 1, '\(address("gitlab.example.com"))', 't', 'ada', 'main', 'f', 'dddd', 7)
        """)
      let review = try await leased(test)
      #expect(review.previousHeadSha == "aaaa" && review.previousSessionId == "of aaaa")
    }
  }

  @Test("a session that the row names itself wins, with the commit that was reviewed in it")
  func explicit() async throws {
    try await withTestStore { test in
      try await addCompleted(test, sha: "aaaa", session: "first", minutesAgo: 30)
      try await addCompleted(test, sha: "bbbb", session: "second", minutesAgo: 20)
      _ = try await test.insert(1)
      try await test.sql("UPDATE code_reviews SET previous_session_id = 'first' WHERE status = 'pending'")
      let review = try await leased(test)
      #expect(review.previousSessionId == "first" && review.previousHeadSha == "aaaa")
    }
  }

  @Test("a session from elsewhere is passed on, without a commit that was not reviewed in it")
  func foreignSession() async throws {
    try await withTestStore { test in
      try await addCompleted(test, sha: "aaaa", session: "first", minutesAgo: 30)
      _ = try await test.insert(1)
      try await test.sql("UPDATE code_reviews SET previous_session_id = 'elsewhere' WHERE status = 'pending'")
      let review = try await leased(test)
      #expect(review.previousSessionId == "elsewhere" && review.previousHeadSha == nil)
    }
  }

  @Test("a completed review without a session gives its commit alone")
  func noSession() async throws {
    try await withTestStore { test in
      try await addCompleted(test, sha: "aaaa", session: nil, minutesAgo: 30)
      _ = try await test.insert(1)
      let review = try await leased(test)
      #expect(review.previousSessionId == nil && review.previousHeadSha == "aaaa")
    }
  }
}
