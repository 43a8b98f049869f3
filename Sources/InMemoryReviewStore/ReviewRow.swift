internal import FoundationEssentials
internal import Primitives
internal import ReviewStore
internal import Reviews

/// A row as it is stored. It is replaced and never changed: so neither a look at one column nor a copy of the tables copies rows.
final class StoredRow: Sendable {
  let row: ReviewRow

  init(_ row: ReviewRow) { self.row = row }
}

/// A row of `code_reviews`, with the columns that a ``Review`` does not show.
struct ReviewRow: Sendable {
  var review: Review
  var claimedBy: Holder.ID?
  var reconciledAt: Timestamp?
  var unclearStarts = 0
  /// By which a pending review has its turn, once it was postponed.
  var placeAt: Timestamp?
  var traceparent: String?
  var pastSessionIDs: [String] = []

  var owner: Owner { review.owner }

  var trace: TraceContext {
    traceparent.flatMap { TraceContext(traceparent: $0) } ?? TraceContext(of: review.id)
  }

  /// A claim of it, as it is now.
  var claim: Claim? {
    review.claimedAt.map { Claim(reviewID: review.id, attempt: review.attempt, claimedAt: $0, trace: trace) }
  }

  var place: Timestamp { placeAt ?? review.availableAt }

  func isDue(at now: Timestamp) -> Bool { review.status == .pending && review.availableAt <= now }

  /// A claim whose ticket no consumer has used yet.
  var isOwed: Bool {
    review.status == .queued && review.publishedAt == nil && review.leaseOwner == nil && review.leaseExpiresAt == nil
      && review.dispatchedAt == nil
  }

  /// Whether a claim of it may be given back: no consumer has it, and none can have called the worker.
  var mayGoBack: Bool {
    review.status == .queued && review.dispatchedAt == nil && review.leaseOwner == nil && review.leaseExpiresAt == nil
      && unclearStarts == 0
  }

  /// Whether a lease is the one that the row has, and not used yet.
  func has(_ lease: Lease) -> Bool {
    review.attempt == lease.attempt && review.leaseOwner == lease.holder.text && review.leaseExpiresAt == lease.until
      && review.status == .queued && review.dispatchedAt == nil
  }

  mutating func becomeDue(at time: Timestamp, keepingPlace: Bool) {
    placeAt = keepingPlace ? place : nil
    review.availableAt = time
  }

  mutating func endLease() {
    review.leaseOwner = nil
    review.leaseExpiresAt = nil
  }

  /// Claims it anew, to be published again.
  mutating func claimAnew(by holder: Holder.ID, at now: Timestamp) {
    review.claimedAt = now
    claimedBy = holder
    review.publishedAt = nil
    review.republishCount += 1
    endLease()
    review.updatedAt = now
  }

  /// What a new status implies for the other columns.
  mutating func followStatus(_ old: ReviewRow, at now: Timestamp) {
    switch review.status {
    case .pending:
      review.claimedAt = nil
      claimedBy = nil
      review.publishedAt = nil
      review.republishCount = 0
      endLease()
      review.preparedAt = nil
      review.dispatchedAt = nil
      review.gateResult = nil
      unclearStarts = 0
      if !old.review.status.isActive { beginAttempt(after: old, at: now) }
    case .queued: review.claimedAt = review.claimedAt ?? now
    case .running: review.startedAt = old.review.startedAt ?? now
    case .completed, .failed, .cancelled: review.completedAt = now
    }
    review.updatedAt = now
  }

  /// A retry: a new attempt, which starts with nothing of the old one.
  private mutating func beginAttempt(after old: ReviewRow, at now: Timestamp) {
    review.attempt = old.review.attempt + 1
    if review.availableAt == old.review.availableAt { review.availableAt = now }
    placeAt = nil
    if let session = old.review.sessionId { pastSessionIDs.append(session) }
    reconciledAt = nil
    review.leaseLosses = 0
    review.dispatchFailures = 0
    review.sessionId = nil
    review.cliSessionId = nil
    review.agentVersion = nil
    review.errorCode = nil
    review.errorMessage = nil
    review.startedAt = nil
    review.completedAt = nil
    review.checkRunId = nil
    review.model = nil
    review.totalTokensIn = nil
    review.totalTokensOut = nil
    review.totalCostMicrousd = nil
  }
}
