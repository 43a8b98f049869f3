import FoundationEssentials
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Row counts")
struct RowCountTests {
  /// How many rows of each end there are, as the database counts them, and as they are.
  private func expectExact(_ test: TestStore, _ place: SourceLocation = #_sourceLocation) async throws {
    let counted = try await test.store.stats(heartbeatTimeout: .seconds(15)).counts
    for status in [ReviewStatus.completed, .failed, .cancelled] {
      let rows = try await test.sql("SELECT count(*) FROM code_reviews WHERE status = '\(status.rawValue)'")
      #expect(counted[status] == Int(try rows[0].decode(0, as: Int64.self)), "\(status)", sourceLocation: place)
    }
  }

  @Test("ended rows are counted as they come, go and start again, whichever program writes them")
  func exact() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(6)
      try await expectExact(test)
      try await test.claim()
      for id in ids[..<3] { _ = try await test.store.report(id, RunReport(status: .completed, attempt: 1)) }
      _ = try await test.store.report(ids[3], RunReport(status: .failed, attempt: 1))
      _ = try await test.store.cancel(ids[4])
      try await expectExact(test)
      _ = try await test.store.retry(ids[3])
      _ = try await test.store.retry(ids[4])
      try await expectExact(test)
      // By hand: many at once, an ended row, and a deletion.
      try await test.sql("UPDATE code_reviews SET status = 'cancelled' WHERE status IN ('pending', 'queued')")
      try await test.sql(
        """
        INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                  base_ref, head_ref, head_sha, status)
        SELECT 'org', 'acme', 'github', 'acme/old', g, 'https://h/' || g, 't', 'a', 'main', 'f', 'abc', 'failed'
          FROM generate_series(1, 5) g
        """)
      try await expectExact(test)
      try await test.sql("DELETE FROM code_reviews WHERE pr_number <= 2")
      try await expectExact(test)
      _ = try await test.store.pruneReviews(endedFor: .zero, after: nil, limit: 2)
      try await expectExact(test)
    }
  }

  @Test("rows from before the counts are added once, whatever was counted in between")
  func backfill() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(4)
      try await test.claim()
      for id in ids[..<2] { _ = try await test.store.report(id, RunReport(status: .completed, attempt: 1)) }
      try await test.sql("DELETE FROM baton_counts WHERE what = 'rows'")
      // Since the step that counts, and before the step that adds what there was.
      _ = try await test.store.report(ids[2], RunReport(status: .completed, attempt: 1))
      try await test.sql("DELETE FROM code_reviews WHERE id = '\(ids[0])'")
      let step = try #require(Migrator.migrations.first { $0.name == "row counts" })
      try await test.sql(step.sql)
      try await expectExact(test)
    }
  }
}
