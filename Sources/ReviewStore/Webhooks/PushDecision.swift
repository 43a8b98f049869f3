internal import FoundationEssentials
internal import Primitives
internal import Reviews

/// A review of the same pull request, locked.
struct RelatedReview: Sendable, Equatable {
  var id: UUID
  var status: ReviewStatus
  var attempt = 1
  var errorCode: String?
  /// Whether it is of the very commit that the event names.
  var isSameCommit: Bool
  /// The newest event that it has had; nil where an application has inserted it.
  var updatedAt: Timestamp?
  var baseRef = ""
  /// Whether it is another repository's, which had this name before or has it at another instance: no event of this one says anything about it.
  var isOtherRepository = false
}

extension [RelatedReview] {
  /// The review of the very commit; of two under two names the one that has not been given up.
  var ofSameCommit: RelatedReview? {
    let same = filter { $0.isSameCommit && !$0.isOtherRepository }
    return same.first { $0.status != .cancelled } ?? same.first ?? first { $0.isSameCommit }
  }

  /// Those of the pull request itself.
  var own: [RelatedReview] { filter { !$0.isOtherRepository } }
}

/// What a push does to the review of its commit.
enum PushDecision: Sendable, Equatable {
  /// A newer event has been seen: nothing at all.
  case outdated
  case insert
  /// A new attempt of a review that ended without a result.
  case restart(UUID)
  /// A new attempt of a review that is running or completed: it was made for another base.
  case retarget(UUID)
  /// A new attempt, in the row of another repository's review of the same name, number and commit: the name is this repository's now.
  case takeOver(UUID)
  /// A review that has not begun gets another base.
  case rebase(UUID)
  /// The review stays as it is, and why.
  case keep(UUID, String)

  /// - Parameters:
  ///   - newest: the newest time that any event of the pull request had.
  ///   - isReplaced: whether an event of the same time says that its commit replaced this one.
  ///   - cause: why the event asks for a review.
  ///   - baseRef: the base that the event names; nil if it is not to be compared.
  init(
    updatedAt: Timestamp, newest: Timestamp?, isReplaced: Bool, same: RelatedReview?,
    cause: PullRequestPush.Cause = .commit, baseRef: String? = nil
  ) {
    if isReplaced || newest.map({ updatedAt < $0 }) == true {
      self = .outdated
      return
    }
    guard let same else {
      self = .insert
      return
    }
    guard !same.isOtherRepository else {
      self = .takeOver(same.id)
      return
    }
    // The event that began it, sent once more under any name, is no wish for another attempt.
    let isNews = same.updatedAt.map { updatedAt > $0 }
    let hasOtherBase =
      baseRef.map { Self.branch($0) != Self.branch(same.baseRef) } == true && (cause == .base || isNews == true)
    switch same.status {
    case .pending where hasOtherBase: self = .rebase(same.id)
    case .queued where hasOtherBase, .running where hasOtherBase, .completed where hasOtherBase:
      self = .retarget(same.id)
    case .pending, .queued, .running: self = .keep(same.id, "this commit's review is \(same.status.rawValue)")
    case .completed: self = .keep(same.id, "this commit has been reviewed")
    case .failed where same.errorCode == ErrorCode.integrationRevoked.rawValue: self = .restart(same.id)
    case .failed where cause == .change && !hasOtherBase: self = .keep(same.id, "this commit's review has failed")
    case .failed:
      self =
        isNews ?? true
        ? .restart(same.id) : .keep(same.id, "this commit's review has failed, and this event came before")
    case .cancelled:
      // By us, because it was not wanted then: it is wanted now. What a person has cancelled stays so.
      let isOurs = [ErrorCode.superseded, .pullRequestClosed, .repositoryRemoved].contains {
        $0.rawValue == same.errorCode
      }
      self = isOurs ? .restart(same.id) : .keep(same.id, "this commit's review was cancelled by a user")
    }
  }

  private static func branch(_ ref: String) -> Substring {
    let folder = "refs/heads/"
    return ref.hasPrefix(folder) ? ref.dropFirst(folder.count) : ref[...]
  }
}

/// The way of a pull request from commit to commit within one second: which of several events of the same time is the newest.
enum PushChain {
  /// An event's step from one commit to the next.
  struct Step: Sendable, Equatable {
    var from: String
    /// nil: stored by a release that did not keep it.
    var to: String?
    /// Whether it was received after the event in question.
    var isLater: Bool
  }

  /// Whether the pull request has moved on from a commit. If the steps lead back to it, as of a force-push there and back, the order in which
  /// they were received decides.
  static func isReplaced(_ sha: String, by steps: [Step]) -> Bool {
    let leaving = steps.filter { $0.from == sha && $0.to != sha }
    guard !leaving.isEmpty else { return false }
    var reached = Set(leaving.compactMap(\.to))
    var front = reached
    while !front.isEmpty {
      front = Set(steps.filter { front.contains($0.from) }.compactMap(\.to)).subtracting(reached)
      reached.formUnion(front)
    }
    return reached.contains(sha) ? leaving.contains(where: \.isLater) : true
  }
}
