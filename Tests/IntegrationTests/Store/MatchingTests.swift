import FoundationEssentials
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Search and matching")
struct MatchingTests {
  /// Ids that begin alike, and one that does not.
  private func insertKnown(_ test: TestStore) async throws -> [UUID] {
    let ids = try await test.insert(3)
    let known = [
      "abcd1234-0000-4000-8000-000000000001", "abcd1234-0000-4000-8000-000000000002",
      "00ff0000-0000-4000-8000-000000000003",
    ]
    for (id, new) in zip(ids, known) { try await test.sql("UPDATE code_reviews SET id = '\(new)' WHERE id = '\(id)'") }
    return known.compactMap { UUID(uuidString: $0) }
  }

  private func prefix(_ text: String) throws -> IDPrefix { try #require(IDPrefix(text)) }

  @Test("the start of an id names one review, several, or none; a whole id is taken as it is")
  func identify() async throws {
    try await withTestStore { test in
      let ids = try await insertKnown(test)
      #expect(try await test.store.identify(try prefix("00ff")) == .one(ids[2]))
      #expect(try await test.store.identify(try prefix("ABCD1234-0000-4000-8000-000000000002")) == .one(ids[1]))
      #expect(try await test.store.identify(try prefix("abcd12340000400080000000000000")) != .unknown)
      guard case .several(let candidates) = try await test.store.identify(try prefix("abcd"))
      else { return #expect(Bool(false), "two ids begin so") }
      #expect(candidates.map(\.id) == Array(ids[..<2]))
      #expect(try await test.store.identify(try prefix("ffff")) == .unknown)
      let unknown = UUID()
      #expect(try await test.store.identify(try prefix(unknown.lowercase)) == .one(unknown))
    }
  }

  @Test(
    "a filter matches by status, code, owner, repository and creation; what was cancelled is retried only on demand")
  func filters() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(6)
      let other = try await test.insert(1, owner: "other")
      try await test.sql(
        """
        UPDATE code_reviews SET status = 'failed', error_code = CASE WHEN pr_number < 3 THEN 'worker_lost' ELSE 'agent_failed' END
         WHERE pr_number <= 4
        """)
      _ = try await test.store.cancel(ids[4])
      try await test.sql("UPDATE code_reviews SET created_at = now() - interval '3 days' WHERE id = '\(ids[0])'")
      try await test.sql("UPDATE code_reviews SET repo_full_name = 'x/y' WHERE id = '\(ids[1])'")
      let now = try await test.store.now()
      func match(
        _ filter: ReviewFilter, _ statuses: [ReviewStatus] = ReviewOperation.retry.defaultStatuses,
        _ operation: ReviewOperation = .retry
      ) async throws -> Set<UUID> {
        Set(try await test.store.matching(filter, statuses: statuses, for: operation).map(\.id))
      }
      #expect(try await match(ReviewFilter()) == Set(ids[..<4] + other))
      #expect(try await match(ReviewFilter(errorCode: "worker_lost")) == Set(ids[..<2] + other))
      #expect(try await match(ReviewFilter(owner: Owner(type: .org, id: "acme"))) == Set(ids[..<4]))
      #expect(try await match(ReviewFilter(repository: "x/y")) == [ids[1]])
      let hour = Timestamp(microseconds: now.microseconds - 3_600_000_000)
      #expect(try await match(ReviewFilter(since: hour)) == Set(ids[1..<4] + other))
      #expect(try await match(ReviewFilter(until: hour)) == [ids[0]])
      #expect(try await match(ReviewFilter(), [.failed, .cancelled]) == Set(ids[..<5] + other))
      #expect(try await match(ReviewFilter(), ReviewOperation.cancel.defaultStatuses, .cancel) == [ids[5]])
      // What is due cannot be released.
      #expect(try await match(ReviewFilter(), [.pending], .release).isEmpty)
      try await test.sql("UPDATE code_reviews SET available_at = 'infinity' WHERE id = '\(ids[5])'")
      #expect(try await match(ReviewFilter(), [.pending], .release) == [ids[5]])
    }
  }

  @Test("a number and the start of an id are found at any age, words of a title among the newest; pages go on")
  func search() async throws {
    try await withTestStore { test in
      let ids = try await insertKnown(test)
      func find(_ text: String, _ filter: ReviewFilter = ReviewFilter()) async throws -> [UUID] {
        let search: ReviewSearch = try #require(ReviewSearch(text))
        return try await test.store.browse(filter, search: search, limit: 10).reviews.map(\.id)
      }
      #expect(try await find("#2") == [ids[1]])
      #expect(try await find("2") == [ids[1]])
      #expect(Set(try await find("abcd1234")) == Set(ids[..<2]))
      #expect(try await find("title 3") == [ids[2]])
      #expect(Set(try await find("ACME/shop")) == Set(ids))
      #expect(try await find("title 3", ReviewFilter(status: .failed)).isEmpty)
      #expect(try await find("title 3", ReviewFilter(status: .pending)) == [ids[2]])
      // No id and no number, but a word: the text is looked for.
      try await test.sql("UPDATE code_reviews SET pr_title = 'decade of facade' WHERE id = '\(ids[0])'")
      #expect(try await find("facade") == [ids[0]])
      let search = try #require(ReviewSearch("abcd1234"))
      let first = try await test.store.browse(ReviewFilter(), search: search, limit: 1)
      let second = try await test.store.browse(ReviewFilter(), search: search, limit: 1, after: first.next)
      #expect(Set((first.reviews + second.reviews).map(\.id)) == Set(ids[..<2]) && second.next == nil)
    }
  }

  @Test("what has the number or the id comes first, of any age, and what has it in its words follows, page by page")
  func keysAndWords() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(5)
      for (id, number, age) in zip(ids, [404, 1, 2, 404, 3]).enumerated().map({ ($1.0, $1.1, $0) }) {
        try await test.sql(
          "UPDATE code_reviews SET pr_number = \(number), created_at = now() - interval '\(age) hours' WHERE id = '\(id)'"
        )
      }
      try await test.sql(
        "UPDATE code_reviews SET pr_title = 'Answer 404' WHERE id IN ('\(ids[0])', '\(ids[1])', '\(ids[4])')")
      let expected = [ids[0], ids[3], ids[1], ids[4]]
      let search = try #require(ReviewSearch("404"))
      for limit in 1...5 {
        var (found, cursor): ([UUID], ReviewCursor?) = ([], nil)
        repeat {
          let page = try await test.store.browse(ReviewFilter(), search: search, limit: limit, after: cursor)
          #expect(page.reviews.count <= limit)
          found += page.reviews.map(\.id)
          // As a program gives it back.
          cursor = try page.next.map { try #require(ReviewCursor($0.description)) }
        } while cursor != nil
        #expect(found == expected, "\(limit) a page")
      }
      let live = try await test.store.browse(ReviewFilter(status: .pending), search: search, limit: 10)
      #expect(live.reviews.map(\.id) == expected)
    }
  }

  @Test("a number that many reviews have is looked for among the newest, page by page")
  func commonNumber() async throws {
    try await withTestStore { test in
      _ = try await test.insert(ReviewStore.numberSpan + 1)
      try await test.sql(
        "UPDATE code_reviews SET pr_number = 7, head_sha = md5(id::text), created_at = now() - interval '1 day'")
      _ = try await test.insert(ReviewStore.browseSpan + 10)
      let search = try #require(ReviewSearch("#7"))
      let first = try await test.store.browse(ReviewFilter(), search: search, limit: 10)
      #expect(first.reviews.map(\.prNumber).allSatisfy { $0 == 7 } && first.reviews.count <= 1 && first.isCutShort)
      let second = try await test.store.browse(ReviewFilter(), search: search, limit: 10, after: first.next)
      #expect(second.reviews.map(\.prNumber) == Array(repeating: 7, count: 10) && second.next != nil)
    }
  }

  @Test("a review that is available later is not claimed before")
  func availableLater() async throws {
    try await withTestStore { test in
      _ = try await test.insert(1)
      let now = try await test.store.now()
      let later = Timestamp(microseconds: now.microseconds + 3_600_000_000)
      var review = NewReview(
        owner: Owner(type: .org, id: "acme"), platform: .github, repoFullName: "acme/shop", prNumber: 70,
        prUrl: "https://github.com/acme/shop/pull/70", prTitle: "t", prAuthor: "a", baseRef: "main", headRef: "h",
        headSha: "abc", availableAt: later)
      let one = try await test.store.submit(review)
      review.prNumber = 71
      let many = try await test.store.submit([review])
      #expect(try await test.row(one.id).availableAt == later)
      #expect(try await test.row(many[0].id).availableAt == later)
      #expect(try await test.claim().count == 1)
    }
  }
}
