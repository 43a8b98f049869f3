package import FoundationEssentials
package import Primitives
package import Reviews

/// What a webhook says besides "this pull request is at this commit" and "it was closed".
package enum PlatformEvent: Sendable, Equatable {
  /// A person asks for another attempt.
  case rerun(RerunRequest)
  /// A person asks for a review of a pull request as it is now, whether it would be reviewed by itself or not.
  case requested(PullRequestPush, by: String)
  /// The same, by a comment: who may ask and at which commit the pull request is, the platform has to say first.
  case asked(PlatformTask.ReviewRequest, key: String)
  /// A group of pull requests is about to be merged.
  case mergeGroup(MergeGroup)
  case installation(InstallationEvent)
  /// A pull request that is not to be reviewed: an older review of it ends, and a gate is opened.
  case excluded(PullRequestPush, reason: String, check: PlatformTask.Check?)
  /// Whether a pull request is to be reviewed depends on the files that it changes, which the platform has to say first.
  case pathsNeeded(PullRequestPush, PlatformTask.PathsRequest)

  /// The commit that a pull request is at, if it says so.
  var push: PullRequestPush? {
    switch self {
    case .requested(let push, _), .excluded(let push, _, _), .pathsNeeded(let push, _): push
    case .rerun, .asked, .mergeGroup, .installation: nil
    }
  }
}

/// The place of an event that is about no pull request, among those of its subject.
package struct EventOrder: Sendable, Equatable {
  /// The same for all events that are compared with each other.
  package var subject: String
  package var time: Timestamp
}

/// Which reviews are to be done again.
package struct RerunRequest: Sendable, Equatable {
  /// What a person has chosen to have done again.
  package enum Subject: Sendable, Equatable {
    /// - Parameter attempt: whose check it is: a check of an earlier attempt asks for nothing; nil if the check does not say.
    case review(UUID, attempt: Int?)
    /// Every review of a commit that has a check run: GitHub's "Re-run all checks".
    case commit(String, repository: String, repositoryID: Int64?)
  }

  package var subject: Subject
  /// Whose reviews they may be.
  package var owner: Owner
  package var platform: Platform
  /// That the event came to: the new attempt is made with it.
  package var integrationID: UUID
  /// As the history names who asked: `github:alice`.
  package var requester: String

  package init(subject: Subject, owner: Owner, platform: Platform, integrationID: UUID, requester: String) {
    self.subject = subject
    self.owner = owner
    self.platform = platform
    self.integrationID = integrationID
    self.requester = requester
  }
}

/// A merge group of GitHub's merge queue: a commit that is made of the target branch and pull requests in turn.
package struct MergeGroup: Sendable, Equatable {
  /// The pull request for which the group was made: the last one in it. Those before it have groups of their own.
  package var pullRequest: PullRequestKey
  /// The commit that the check belongs to.
  package var headSha: String
  package var check: PlatformTask.Check

  package init(pullRequest: PullRequestKey, headSha: String, check: PlatformTask.Check) {
    self.pullRequest = pullRequest
    self.headSha = headSha
    self.check = check
  }
}

/// What has happened to a GitHub installation.
package enum InstallationChange: Sendable, Equatable {
  case deleted(by: String)
  case suspended(by: String)
  case restored
  /// Nothing follows from it, but that an older event which removes them has no effect.
  case repositoriesAdded(Int)
  case repositoriesRemoved([RemovedRepository])
}

/// What has happened to a GitHub installation, and when.
package struct InstallationEvent: Sendable, Equatable {
  package var change: InstallationChange
  package var order: EventOrder

  /// - Parameters:
  ///   - change: what has happened.
  ///   - integration: that has the installation.
  ///   - time: of the event, as GitHub says it; nil if it does not.
  ///   - receivedAt: when the event came.
  package init(_ change: InstallationChange, of integration: UUID, at time: Timestamp?, receivedAt: Timestamp) {
    self.change = change
    let id = integration.lowercase
    let time = time ?? receivedAt
    switch change {
    case .repositoriesAdded, .repositoriesRemoved:
      order = EventOrder(subject: "github repositories of \(id)", time: time)
    case .suspended: order = EventOrder(subject: "github installation of \(id)", time: time)
    // GitHub gives it the time of the suspension that it ends.
    case .restored:
      order = EventOrder(subject: "github installation of \(id)", time: time.moved(by: .microseconds(1)))
    // The last one, whatever comes after it: a new installation has another number. It names the time of the event before it.
    case .deleted: order = EventOrder(subject: "github installation of \(id)", time: max(time, receivedAt))
    }
  }
}

/// A repository that an installation may no longer read. It is known by its number, and by its name where that is not known.
package struct RemovedRepository: Sendable, Equatable {
  package var id: Int64?
  package var fullName: String

  package init(id: Int64?, fullName: String) {
    self.id = id
    self.fullName = fullName
  }
}
