import FoundationEssentials
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Operate")
struct OperateTests {
  private func review(_ number: Int, sha: String = "0123abcd") -> NewReview {
    NewReview(
      owner: Owner(type: .org, id: "acme"), platform: .github, repoFullName: "acme/shop", prNumber: number,
      prUrl: "https://github.com/acme/shop/pull/\(number)", prTitle: "Title", prAuthor: "ada", baseRef: "main",
      headRef: "feature", headSha: sha)
  }

  @Test("the same pull request and commit is one review, however often and however concurrently it is submitted")
  func duplicates() async throws {
    try await withTestStore { test in
      let submissions = try await withThrowingTaskGroup(of: Submission.self) { group in
        for _ in 0..<8 { group.addTask { try await test.store.submit(review(1)) } }
        return try await group.reduce(into: [Submission]()) { $0.append($1) }
      }
      #expect(Set(submissions.map(\.id)).count == 1)
      #expect(submissions.filter(\.isNew).count == 1)
      let batch = try await test.store.submit([review(1), review(2), review(2)])
      #expect(batch.map(\.isNew) == [false, true, false])
      #expect(batch[1].id == batch[2].id)
    }
  }

  @Test("a list is newest first, and its pages neither skip nor repeat while rows come")
  func pages() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(7)
      var seen: [UUID] = []
      var cursor: ReviewCursor?
      repeat {
        let page = try await test.store.page(ReviewFilter(), limit: 3, after: cursor)
        seen += page.reviews.map(\.id)
        cursor = page.next
        _ = try await test.store.submit(review(100 + seen.count))
      } while cursor != nil
      #expect(Set(seen) == Set(ids))
      #expect(seen.count == 7)
      #expect(try await test.store.page(ReviewFilter(status: .failed), limit: 3).reviews.isEmpty)
      let other = ReviewFilter(owner: Owner(type: .user, id: "acme"))
      #expect(try await test.store.page(other, limit: 3).reviews.isEmpty)
    }
  }

  @Test("cancel and retry say what they did, and a retry starts with nothing of the old attempt")
  func cancelAndRetry() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      #expect(try await test.store.retry(id) == .conflict(.pending))
      try await test.claim()
      _ = try await test.store.report(
        id, RunReport(status: .running, attempt: 1, sessionId: "s1", model: "m", totalTokensIn: 5))
      #expect(try await test.store.cancel(id) == .done(.cancelled, attempt: 1))
      #expect(try await test.store.cancel(id) == .conflict(.cancelled))
      #expect(try await test.store.cancel(UUID()) == .unknownReview)
      #expect(try await test.store.retry(id) == .done(.pending, attempt: 2))
      let row = try await test.row(id)
      #expect(row.sessionId == nil && row.startedAt == nil && row.completedAt == nil && row.model == nil)
      #expect(row.errorCode == nil && row.dispatchedAt == nil && row.claimedAt == nil && row.totalTokensIn == nil)
      #expect(try await test.claim().map(\.attempt) == [2])
    }
  }

  @Test("a review that waits for a time, or is held, is due once it is released, and its attempt stays")
  func release() async throws {
    try await withTestStore { test in
      let ids = try await test.insert(3)
      try await test.sql("UPDATE code_reviews SET available_at = now() + interval '1 hour' WHERE id = '\(ids[0])'")
      try await test.sql("UPDATE code_reviews SET available_at = 'infinity' WHERE id = '\(ids[1])'")
      #expect(try await test.claim().map(\.reviewID) == [ids[2]])
      for id in ids[..<2] { #expect(try await test.store.release(id, actor: "ann") == .done(.pending, attempt: 1)) }
      #expect(try await test.row(ids[0]).statusReason == "released by a user")
      #expect(try await test.store.release(ids[0]) == .conflict(.pending))
      #expect(try await test.store.release(ids[2]) == .conflict(.queued))
      #expect(try await test.store.release(UUID()) == .unknownReview)
      // The release itself brings the producer.
      #expect(Set(try await test.claim().map(\.reviewID)) == Set(ids[..<2]))
    }
  }

  /// A review whose attempt had a session, and was retried.
  private func retried(_ test: TestStore, _ id: UUID, session: String, attempt: Int) async throws {
    try await test.claim()
    let report = RunReport(status: .failed, attempt: attempt, sessionId: session)
    #expect(try await test.store.report(id, report) == .applied)
    #expect(try await test.store.retry(id) == .done(.pending, attempt: attempt + 1))
  }

  @Test("a late word that names no attempt, from a session of an earlier one, leaves a retried review alone")
  func lateSessions() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await retried(test, id, session: "one", attempt: 1)
      try await retried(test, id, session: "two", attempt: 2)
      func expectIgnored(_ status: ReviewStatus) async throws {
        for session in ["one", "two"] {
          for end in [ReviewStatus.running, .failed, .cancelled, .completed] {
            #expect(
              try await test.store.report(id, RunReport(status: end, sessionId: session)) == .ignored(status),
              "\(session) \(end)")
          }
        }
      }
      try await expectIgnored(.pending)
      try await test.claim()
      try await expectIgnored(.queued)
      try await test.sql("UPDATE code_reviews SET dispatched_at = now()")
      try await expectIgnored(.queued)
      #expect(try await test.store.report(id, RunReport(status: .running, sessionId: "three")) == .applied)
      try await expectIgnored(.running)
      #expect(try await test.row(id).sessionId == "three")
      // What names the attempt is believed, whatever session it has.
      #expect(try await test.store.report(id, RunReport(status: .completed, attempt: 3, sessionId: "one")) == .applied)
    }
  }

  @Test("an early word of a new session counts before its dispatch is recorded")
  func earlySession() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await retried(test, id, session: "one", attempt: 1)
      try await test.claim()
      #expect(try await test.store.report(id, RunReport(status: .completed, sessionId: "two")) == .applied)
      let row = try await test.row(id)
      #expect(row.status == .completed && row.sessionId == "two" && row.dispatchedAt != nil)
    }
  }

  @Test("a word with neither attempt nor session counts for a first attempt, and for a later one once it is dispatched")
  func nameless() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      try await test.claim()
      #expect(try await test.store.report(id, RunReport(status: .failed)) == .applied)
      _ = try await test.store.retry(id)
      try await test.claim()
      #expect(try await test.store.report(id, RunReport(status: .failed)) == .ignored(.queued))
      try await test.sql("UPDATE code_reviews SET dispatched_at = now()")
      #expect(try await test.store.report(id, RunReport(status: .running)) == .applied)
      #expect(try await test.store.report(id, RunReport(status: .completed)) == .applied)
    }
  }

  @Test("callbacks compare and set: old attempts, other sessions, pending and ended rows stay as they are")
  func callbacks() async throws {
    try await withTestStore { test in
      let id = try await test.insert(1)[0]
      #expect(try await test.store.report(id, RunReport(status: .running)) == .ignored(.pending))
      #expect(try await test.store.report(UUID(), RunReport(status: .running)) == .unknownReview)
      try await test.claim()
      #expect(try await test.store.report(id, RunReport(status: .running, attempt: 1, sessionId: "a")) == .applied)
      let started = try await test.row(id).startedAt
      #expect(started != nil)
      #expect(try await test.store.report(id, RunReport(status: .completed, sessionId: "b")) == .ignored(.running))
      #expect(try await test.store.report(id, RunReport(status: .completed, attempt: 2)) == .ignored(.running))
      #expect(try await test.store.report(id, RunReport(status: .running, attempt: 1, cliSessionId: "c")) == .applied)
      #expect(try await test.row(id).startedAt == started)
      let end = RunReport(status: .failed, attempt: 1, errorMessage: "out of tokens", totalCostMicrousd: 7)
      #expect(try await test.store.report(id, end) == .applied)
      #expect(try await test.store.report(id, RunReport(status: .running, attempt: 1)) == .ignored(.failed))
      let row = try await test.row(id)
      #expect(row.errorCode == "agent_failed" && row.errorMessage == "out of tokens")
      #expect(row.totalCostMicrousd == 7 && row.cliSessionId == "c" && row.sessionId == "a")
    }
  }

  @Test("the live figures count rows, ages and what consumers hold")
  func stats() async throws {
    try await withTestStore { test in
      try await test.signOn(test.holder)
      _ = try await test.insert(5)
      let claims = try await test.claim(2)
      _ = try await test.store.report(claims[0].reviewID, RunReport(status: .completed, attempt: 1))
      #expect(try await test.store.heartbeat(test.holder.id, Holder.Report(unleasedTickets: 1, inFlight: 2)).isKnown)
      let stats = try await test.store.stats(heartbeatTimeout: .seconds(86_400))
      #expect(stats.counts == [.pending: 3, .queued: 1, .running: 0, .completed: 1, .failed: 0, .cancelled: 0])
      #expect(stats.unacknowledged == 3 && stats.consumers == 1)
      #expect(stats.oldestPending != nil && stats.oldestQueued != nil)
    }
  }

  @Test("an unknown owner is neither paused nor made by it")
  func unknownOwner() async throws {
    try await withTestStore { test throws in
      #expect(try await !test.store.setPaused(true, Owner(type: .org, id: "unknown")))
      #expect(try await test.store.owners(limit: 5).isEmpty)
    }
  }
}
