import FoundationEssentials
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("A row that this version cannot handle")
struct OddRowTests {
  /// Values of a newer version, as during a rolling upgrade.
  private func makeUnreadable(_ id: UUID, _ test: TestStore) async throws {
    try await test.sql("ALTER TABLE code_reviews DROP CONSTRAINT IF EXISTS code_reviews_platform_check")
    try await test.sql("UPDATE code_reviews SET platform = 'gitea' WHERE id = '\(id)'")
  }

  @Test("one that this version cannot read is leased by itself and given back; the others of its batch go on")
  func unreadable() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(3)
      try await test.signOn(test.holder)
      let tickets = try await test.claim().map(\.ticket)
      try await makeUnreadable(ids[1], test)
      let verdicts = try await test.lease(tickets)
      #expect(verdicts.filter { if case .leased = $0 { true } else { false } }.count == 2)
      let odd = verdicts.compactMap {
        if case .unreadable(let lease, let reason, mayBeRunning: false) = $0 { (lease, reason) } else { nil }
      }
      let (lease, reason) = try #require(odd.first)
      #expect(lease.reviewID == ids[1] && reason.contains("platform") && reason.contains("gitea"))
      #expect(try await test.store.postpone(lease, reason: reason, for: .seconds(30)) == .pending)
    }
  }

  @Test("a list leaves it out, and its pages follow each other without a gap")
  func list() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(5)
      let newest = try await test.store.page(ReviewFilter(), limit: 5).reviews.map(\.id)
      try await makeUnreadable(newest[1], test)
      var (page, cursor) = try await test.store.page(ReviewFilter(), limit: 2)
      var seen = page.map(\.id)
      while let next = cursor {
        (page, cursor) = try await test.store.page(ReviewFilter(), limit: 2, after: next)
        seen += page.map(\.id)
      }
      #expect(seen == newest.filter { $0 != newest[1] })
      #expect(try await test.store.reviews(ids).count == 4)
      #expect(try await test.store.browse(ReviewFilter(), limit: 10).reviews.count == 4)
    }
  }

  @Test("a configuration over the limit cannot be stored; one from before is not read, and its size is known")
  func largeConfiguration() async throws {
    try await withTestStore { test in
      _ = try await test.insert(1)
      let large = "UPDATE agent_configs SET config = jsonb_build_object('custom_instructions', repeat('x', 6000000))"
      let error = await #expect(throws: PostgresError.self) { try await test.sql(large) }
      #expect(error?.constraint == "agent_configs_size")
      try await test.sql("ALTER TABLE agent_configs DROP CONSTRAINT agent_configs_size")
      try await test.sql(large)
      try await test.signOn(test.holder)
      guard case .leased(let review) = try await test.lease(try await test.claim().map(\.ticket))[0] else {
        Issue.record("not leased")
        return
      }
      #expect(review.configuration == nil && review.configurationByteCount == 6_000_027)
    }
  }

  @Test("a title over the limit cannot be inserted, and one from before can be leased after the upgrade")
  func largeTitle() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      let large = "UPDATE code_reviews SET pr_title = repeat('ü', 5000)"
      let error = await #expect(throws: PostgresError.self) { try await test.sql(large) }
      #expect(error?.constraint == "code_reviews_size")
      // As before the step of the schema that brought the limit.
      for sql in [
        "ALTER TABLE code_reviews DROP CONSTRAINT code_reviews_size", large,
        "ALTER TABLE agent_configs DROP CONSTRAINT agent_configs_size, DROP COLUMN config_bytes",
        "ALTER TABLE platform_integrations DROP CONSTRAINT platform_integrations_size",
        "DELETE FROM baton_migrations WHERE version >= 15",
      ] { try await test.sql(sql) }
      let sizes = try #require(Migrator.migrations.first { $0.name == "sizes" })
      try await test.pool.withConnection { try await $0.execute(script: sizes.sql) }
      #expect(try await test.row(id).prTitle.utf8.count == 4_000)
      try await test.signOn(test.holder)
      _ = try await test.take(try await test.claim()[0].ticket)
    }
  }

  @Test("a second lease of the same process is another lease: the first one's writes match no row, its dispatch counts")
  func secondLease() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await test.signOn(test.holder)
      let ticket = try await test.claim()[0].ticket
      let first = try await test.take(ticket)
      try await test.sql("UPDATE code_reviews SET lease_expires_at = now() - interval '1 second'")
      let second = try await test.take(ticket)
      let store = test.store
      #expect(try await store.stillLeased([first, second], by: test.holder.id) == [false, true])
      #expect(try await store.postpone(first, reason: "late", for: .zero) == nil)
      #expect(try await store.retryLater(first, message: "late", after: .zero, failureMax: 1) == nil)
      #expect(try await store.fail(first, code: .configMissing, message: "late") == nil)
      #expect(try await store.leaveQueued(first, message: "", for: .zero, isCounted: true, failureMax: 1) == nil)
      try await store.drop(first)
      #expect(try await test.lease([ticket]) == [.mine(second)])
      // The worker has it: the second attempt must not make it start again.
      let record = DispatchRecord(reviewID: id, attempt: 1, agentVersion: nil)
      #expect(try await store.recordDispatched([record], by: test.holder.id) == [.recorded])
      #expect(try await store.stillLeased([second], by: test.holder.id) == [false])
    }
  }
}
