package import FoundationEssentials
package import Primitives
package import Reviews

/// What a delivery means.
package enum WebhookVerdict: Sendable, Equatable {
  /// Nothing is to be done, and why.
  case ignored(String)
  /// The pull request is at this commit, which is to be reviewed.
  case pushed(PullRequestPush)
  /// The pull request is at this commit, which is not to be reviewed, and why: reviews of older commits are not wanted any more.
  case withheld(PullRequestPlace, String)
  /// The pull request was closed or merged.
  case closed(PullRequestPlace)
  /// A repository has this name now.
  case named(RepositoryName)
  /// Something else that a platform reports, or that a person asks for.
  case platform(PlatformEvent)

  /// Where it stands among the events of its pull request.
  var place: PullRequestPlace? {
    switch self {
    case .ignored, .named: nil
    case .pushed(let push): push.place
    case .withheld(let place, _), .closed(let place): place
    case .platform(let event): event.push?.place
    }
  }

  /// Where it stands among the events of its installation or repository.
  var order: EventOrder? {
    switch self {
    case .named(let name): name.order
    case .platform(.installation(let event)): event.order
    default: nil
    }
  }

  /// The pull request's number, of an event that has its own way to name it.
  var number: Int? {
    guard case .platform(.mergeGroup(let group)) = self else { return nil }
    return group.pullRequest.prNumber
  }
}

/// A repository of an owner, and its name.
package struct RepositoryName: Sendable, Hashable {
  package var owner: Owner
  package var platform: Platform
  /// Which has reported the name.
  package var integrationID: UUID
  /// The host of the GitLab instance; empty at GitHub, and if it is not known.
  package var instance: String
  package var repositoryID: Int64
  package var fullName: String
  /// Since when it has the name: older names never win over newer ones.
  package var namedAt: Timestamp

  package init(
    owner: Owner, platform: Platform, integrationID: UUID, instance: String, repositoryID: Int64, fullName: String,
    namedAt: Timestamp
  ) {
    self.owner = owner
    self.platform = platform
    self.integrationID = integrationID
    self.instance = instance
    self.repositoryID = repositoryID
    self.fullName = fullName
    self.namedAt = namedAt
  }

  /// What the events about a repository's name have in common.
  static func subject(of repositoryID: Int64, at instance: String, _ owner: Owner, _ platform: Platform) -> String {
    "\(platform.rawValue) name of \(repositoryID)\(instance.isEmpty ? "" : "@\(instance)") \(owner)"
  }

  var order: EventOrder {
    EventOrder(subject: Self.subject(of: repositoryID, at: instance, owner, platform), time: namedAt)
  }
}

/// A pull request of an owner. Its repository is known by its number, if the platform has named it, and by its name otherwise.
package struct PullRequestKey: Sendable, Hashable {
  package var owner: Owner
  package var platform: Platform
  /// The host of the GitLab instance; empty at GitHub, and if it is not known.
  package var instance: String
  package var repositoryID: Int64?
  package var repoFullName: String
  package var prNumber: Int

  /// - Parameters:
  ///   - owner: of its reviews.
  ///   - platform: where the pull request is.
  ///   - url: the pull request's address.
  ///   - repositoryID: the platform's number, which a rename does not change.
  ///   - repoFullName: its path, such as `acme/shop`.
  ///   - prNumber: of the pull request.
  package init(
    owner: Owner, platform: Platform, url: String = "", repositoryID: Int64? = nil, repoFullName: String, prNumber: Int
  ) {
    self.owner = owner
    self.platform = platform
    instance = platform == .gitlab ? Self.instance(at: url) : ""
    self.repositoryID = repositoryID
    self.repoFullName = repoFullName
    self.prNumber = prNumber
  }

  /// The host of an address, as `Fragment.instance(of:)` has it.
  package static func instance(at url: String) -> String {
    guard let scheme = url.firstRange(of: "://") else { return "" }
    return url[scheme.upperBound...].prefix { !"/?#".contains($0) }.lowercased()
  }

  /// One text for one pull request: a repository's name has no space, and the owner's id comes last.
  var text: String { "\(platform.rawValue) \(prNumber) \(repoFullName) \(owner)" }

  /// What the events about its repository's name have in common, also those of an integration that does not say which instance it is of; none
  /// if the repository's number is not known.
  var nameSubjects: [String] {
    guard let repositoryID else { return [] }
    return Set([instance, ""]).map { RepositoryName.subject(of: repositoryID, at: $0, owner, platform) }
  }

  /// The same by the repository's number; nil if that is not known.
  var idText: String? { repositoryID.map { "\(platform.rawValue) \(prNumber) \($0)@\(instance) \(owner)" } }
}

/// Where a pull request stood when an event was sent.
package struct PullRequestPlace: Sendable, Equatable {
  package var pullRequest: PullRequestKey
  /// The pull request's own time: older events never win over newer ones.
  package var updatedAt: Timestamp
  /// The commit; nil if the event is about none.
  package var headSha: String?
  /// The commit that this one replaced, where the event says so: decides between two events of the same second.
  package var previousSha: String?

  package init(
    pullRequest: PullRequestKey, updatedAt: Timestamp, headSha: String? = nil, previousSha: String? = nil
  ) {
    self.pullRequest = pullRequest
    self.updatedAt = updatedAt
    self.headSha = headSha
    self.previousSha = previousSha
  }
}

/// A pull request at a commit that is to be reviewed.
package struct PullRequestPush: Sendable, Equatable {
  /// Why a review is asked for.
  package enum Cause: String, Sendable, Codable {
    /// A commit has come, or is wanted again.
    case commit
    /// The pull request is to be merged into another branch.
    case base
    /// Something else has changed, and the commit may be one whose event was missed.
    case change
  }

  package var review: NewReview
  package var place: PullRequestPlace
  package var cause: Cause
  /// Whether the review's author is the pull request's; otherwise the one of an earlier review counts.
  package var isAuthorKnown: Bool

  package init(review: NewReview, place: PullRequestPlace, cause: Cause = .commit, isAuthorKnown: Bool = true) {
    self.review = review
    self.place = place
    self.cause = cause
    self.isAuthorKnown = isAuthorKnown
  }
}

/// The outcome of a delivery.
package enum WebhookOutcome: Sendable, Equatable {
  /// A review is pending because of it.
  case reviewMadePending(UUID, attempt: Int, TraceContext)
  /// Nothing had to be done, and why; the review that is there already, if that is the reason.
  case unchanged(String, UUID?)
  /// Reviews were cancelled because the pull request was closed.
  case cancelled(Int)
  /// It was processed before, or another process is processing it now.
  case repeated

  /// The review that it is about; nil if it is about none, or about several.
  var reviewID: UUID? {
    switch self {
    case .reviewMadePending(let id, _, _): id
    case .unchanged(_, let id): id
    case .cancelled, .repeated: nil
    }
  }

  /// For `webhook_deliveries.outcome`.
  package var text: String {
    switch self {
    case .reviewMadePending(let id, let attempt, _): "pending: \(id.lowercase), attempt \(attempt)"
    case .unchanged(let reason, _): reason
    case .cancelled(let count): "closed: \(count) cancelled"
    case .repeated: "repeated"
    }
  }
}
