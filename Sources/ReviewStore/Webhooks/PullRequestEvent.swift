package import FoundationEssentials
package import Primitives
package import Reviews

/// What a delivery means.
package enum DeliveryVerdict: Sendable, Equatable {
  /// Nothing is to be done, and why.
  case ignored(String)
  /// The pull request is at this commit, which is to be reviewed.
  case pushed(PullRequestPush)
  /// The pull request was closed or merged.
  case closed(PullRequestKey, updatedAt: Timestamp)

  /// Where it stands among the events of its pull request.
  var place: (key: PullRequestKey, updatedAt: Timestamp, previousSha: String?)? {
    switch self {
    case .ignored: nil
    case .pushed(let push): (push.pullRequest, push.updatedAt, push.previousSha)
    case .closed(let key, let updatedAt): (key, updatedAt, nil)
    }
  }
}

/// A pull request of an owner.
package struct PullRequestKey: Sendable, Hashable {
  package var owner: Owner
  package var platform: Platform
  package var repoFullName: String
  package var prNumber: Int

  package init(owner: Owner, platform: Platform, repoFullName: String, prNumber: Int) {
    self.owner = owner
    self.platform = platform
    self.repoFullName = repoFullName
    self.prNumber = prNumber
  }

  /// One text for one pull request: a repository's name has no space, and the owner's id comes last.
  var text: String { "\(platform.rawValue) \(prNumber) \(repoFullName) \(owner)" }
}

/// A pull request at a commit.
package struct PullRequestPush: Sendable, Equatable {
  package var review: NewReview
  /// The pull request's own time: older events never win over newer ones.
  package var updatedAt: Timestamp
  /// The commit that this one replaced, if the event says so: decides between two events of the same second.
  package var previousSha: String?

  package init(review: NewReview, updatedAt: Timestamp, previousSha: String? = nil) {
    self.review = review
    self.updatedAt = updatedAt
    self.previousSha = previousSha
  }

  var pullRequest: PullRequestKey {
    PullRequestKey(
      owner: review.owner, platform: review.platform, repoFullName: review.repoFullName, prNumber: review.prNumber)
  }
}

/// The outcome of a delivery.
package enum DeliveryOutcome: Sendable, Equatable {
  /// A review is pending because of it.
  case pending(UUID, attempt: Int, TraceContext)
  /// Nothing had to be done, and why; the review that is there already, if that is the reason.
  case unchanged(String, UUID?)
  /// Reviews were cancelled because the pull request was closed.
  case cancelled(Int)
  /// It was processed before, or another process is doing it now.
  case repeated

  /// For `webhook_deliveries.outcome`.
  package var text: String {
    switch self {
    case .pending(let id, let attempt, _): "pending: \(id.lowercase), attempt \(attempt)"
    case .unchanged(let reason, _): reason
    case .cancelled(let count): "closed: \(count) cancelled"
    case .repeated: "repeated"
    }
  }
}

/// A review of the same pull request, locked.
struct RelatedReview: Sendable, Equatable {
  var id: UUID
  var status: ReviewStatus
  var errorCode: String?
  /// Whether it is of the very commit that the event names.
  var isSameCommit: Bool
  /// The newest event that it has had; nil if an application has inserted it.
  var updatedAt: Timestamp?
}

/// What a push does to the review of its commit.
enum PushDecision: Sendable, Equatable {
  /// A newer event has been seen: nothing at all.
  case outdated
  case insert
  /// A new attempt of a review that ended without a result.
  case restart(UUID)
  /// The review stays as it is, and why.
  case keep(UUID, String)

  /// - Parameters:
  ///   - newest: the newest time that any event of the pull request had.
  ///   - isReplaced: whether an event of the same time says that its commit replaced this one.
  init(updatedAt: Timestamp, newest: Timestamp?, isReplaced: Bool, same: RelatedReview?) {
    if isReplaced || newest.map({ updatedAt < $0 }) == true {
      self = .outdated
      return
    }
    guard let same else {
      self = .insert
      return
    }
    switch same.status {
    case .pending, .queued, .running: self = .keep(same.id, "this commit's review is \(same.status.rawValue)")
    case .completed: self = .keep(same.id, "this commit has been reviewed")
    case .failed:
      // A repetition of the event that began it, under any delivery id, does not ask for another attempt.
      let isNews = same.updatedAt.map { updatedAt > $0 } ?? true
      self = isNews ? .restart(same.id) : .keep(same.id, "this commit's review has failed, and this event came before")
    case .cancelled:
      // By us, because it was not wanted then: it is wanted now. What a person has cancelled stays so.
      let isOurs = [ErrorCode.superseded, .pullRequestClosed].contains { $0.rawValue == same.errorCode }
      self = isOurs ? .restart(same.id) : .keep(same.id, "this commit's review was cancelled by a user")
    }
  }
}
