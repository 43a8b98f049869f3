import FoundationEssentials
import Platforms
import Primitives
import ReviewStore
import Reviews
import WorkerAPI

@testable import Dispatching

extension LeasedReview {
  /// A review as a lease brings it.
  static func sample(
    id: UUID = UUID(), failures: Int = 0, leaseLosses: Int = 0, ambiguousStarts: Int = 0
  ) -> LeasedReview {
    LeasedReview(
      id: id, attempt: 1, owner: Owner(type: .org, id: "acme"), platform: .github, repoFullName: "acme/app",
      prNumber: 1,
      prUrl: "https://github.com/acme/app/pull/1", prTitle: "Title", prAuthor: "ada", baseRef: "main", headRef: "topic",
      headSha: "abc", claimedAt: Timestamp(microseconds: 1), leasedAt: Timestamp(microseconds: 2),
      leasedUntil: Timestamp(microseconds: 3), dispatchFailures: failures, leaseLosses: leaseLosses,
      unclearStarts: ambiguousStarts, configuration: nil)
  }
}

extension Attempt {
  static func sample(
    failures: Int = 0, leaseLosses: Int = 0, ambiguousStarts: Int = 0, leasedAt: ContinuousClock.Instant = .now
  ) -> Attempt {
    let review = LeasedReview.sample(
      failures: failures, leaseLosses: leaseLosses, ambiguousStarts: ambiguousStarts)
    let ticket = Ticket(reviewID: review.id, attempt: 1, claimedAt: review.claimedAt)
    return Attempt(
      lease: Lease(ticket, holder: Holder.ID(), until: review.leasedUntil), review: review,
      trace: TraceContext(of: review.id), leasedAt: leasedAt)
  }

  /// What the worker knows of this attempt, or of another one.
  func run(_ status: RunState, attempt: Int = 1) -> RunStatus {
    RunStatus(reviewId: lease.reviewID, attempt: attempt, status: status)
  }
}

extension PreparedPayload {
  static let sample = PreparedPayload(body: [1, 2, 3], agentVersion: "v1")
}
