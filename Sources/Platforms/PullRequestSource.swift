internal import Reviews

/// A platform that pull requests are read from.
protocol PullRequestSource: Sendable {
  /// What is known before the first call: where to call, and with which right.
  associatedtype Access: Sendable

  /// The platform's name, for messages.
  static var name: String { get }

  /// Decides where and with which right a review's pull request is read. Calls nobody.
  func access(for review: LeasedReview) throws(PreparationError) -> Access

  /// The host that will be called.
  func target(of access: Access) -> String

  /// Reads the pull request.
  /// - Parameter lifetime: how long the token is needed at the least.
  func collect(_ review: LeasedReview, _ access: Access, lifetime: Duration) async throws(CollectFailure)
    -> CollectedPullRequest
}

/// What was read, and the token it was read with, which the agent uses as well.
struct CollectedPullRequest: Sendable, Equatable {
  var facts: PullRequestFacts
  var token: Secret?
}

/// Why a pull request could not be read.
enum CollectFailure: Error, Sendable, Equatable {
  /// The answer decides against the review.
  case permanent(ErrorCode, message: String)
  /// Not the review's fault and no outage of the host: to be tried again.
  case retry(message: String)
  /// A call failed in a way that is not for the source to judge.
  /// - Parameter hint: what is special about it; empty or a sentence.
  case call(APIFault, hint: String = "")
}

extension LeasedReview {
  /// The pull request as people write it: `acme/shop#3` or, on GitLab, `acme/shop!3`.
  var pullRequestName: String { "\(repoFullName)\(platform == .github ? "#" : "!")\(prNumber)" }
}
