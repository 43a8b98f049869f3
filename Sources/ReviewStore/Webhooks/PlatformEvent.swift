package import FoundationEssentials
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
  case installation(InstallationChange)
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

/// Which reviews are to be done again.
package struct RerunRequest: Sendable, Equatable {
  /// What a person has chosen to have done again.
  package enum Subject: Sendable, Equatable {
    case review(UUID)
    /// Every review of a commit that has a check run: GitHub's "Re-run all checks".
    case commit(String, repository: String)
  }

  package var subject: Subject
  /// Whose reviews they may be.
  package var owner: Owner
  package var platform: Platform
  /// As the history names who asked: `github:alice`.
  package var requester: String

  package init(subject: Subject, owner: Owner, platform: Platform, requester: String) {
    self.subject = subject
    self.owner = owner
    self.platform = platform
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
  /// An installation that no integration has, or whose integration was revoked because it was deleted.
  case created(Owner)
  case repositoriesRemoved([RemovedRepository])
}

/// A repository that an installation may no longer read.
package struct RemovedRepository: Sendable, Equatable {
  package var id: String?
  package var fullName: String

  package init(id: String?, fullName: String) {
    self.id = id
    self.fullName = fullName
  }
}
