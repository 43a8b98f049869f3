import FoundationEssentials
import InMemoryReviewStore
import Primitives
import ReviewStore
import Reviews
import Testing

/// As Postgres: commits that do not wait for the disk are lost from some moment on, and a commit that waits takes those before it along.
@Suite("A crash of the ledger in memory")
struct InMemoryCrashTests {
  private let ledger = InMemoryLedger(clock: { Timestamp(microseconds: 1_700_000_000_000_000) })
  private let holder = Holder(role: "consume", host: "test", processID: 1).id

  private func claim(_ number: Int) async throws -> Claim {
    let review = NewReview(
      owner: Owner(type: .org, id: "acme"), platform: .github, repoFullName: "acme/shop", prNumber: number,
      prUrl: "https://github.com/acme/shop/pull/\(number)", prTitle: "Title", prAuthor: "ada", baseRef: "main",
      headRef: "feature", headSha: "0123abc\(number)")
    _ = try await ledger.submit(review)
    return try #require(try await ledger.claim(limit: 1, ownerLimit: 20, by: holder).first)
  }

  private func row(_ claim: Claim) async throws -> Review { try #require(try await ledger.review(claim.reviewID)) }

  @Test("takes back the claims and publications of its last moment, and no submission")
  func lost() async throws {
    let claim = try await claim(1)
    try await ledger.recordPublished([claim])
    ledger.crash(losing: .seconds(1))
    let row = try await row(claim)
    #expect(row.status == .pending && row.claimedAt == nil && row.publishedAt == nil)
  }

  @Test("takes back nothing that is older than what it loses")
  func old() async throws {
    let claim = try await claim(1)
    ledger.crash(losing: .zero)
    #expect(try await row(claim).status == .queued)
  }

  @Test("takes back no lease, and no claim before one")
  func kept() async throws {
    let (first, second) = (try await claim(1), try await claim(2))
    _ = try await ledger.lease(
      [second.ticket], by: holder, for: .seconds(60), heartbeatTimeout: .seconds(15), failureMax: 8)
    ledger.crash(losing: .seconds(1))
    #expect(try await row(first).status == .queued)
    #expect(try await row(second).leaseOwner == holder.text)
  }

  @Test("locks nothing again that was unlocked before it")
  func locks() async throws {
    let first = try await claim(1)
    ledger.lock([first.reviewID])
    _ = try await claim(2)
    ledger.unlock()
    ledger.crash(losing: .seconds(1))
    let answer = try await ledger.cancel(first.reviewID, code: .cancelledByUser, reason: "test", actor: nil)
    #expect(answer == .done(.cancelled, attempt: 1))
  }
}
