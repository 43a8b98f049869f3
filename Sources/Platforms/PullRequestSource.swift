internal import Logging
internal import Primitives
internal import Reviews

/// A platform that pull requests are read from.
protocol PullRequestSource: Sendable {
  /// What is known before the first call: where to call, and with which right.
  associatedtype Access: Sendable

  /// The platform's name, for messages.
  static var name: String { get }

  var logger: Logger { get }

  /// Decides where and with which right a review's pull request is read. Makes no call.
  func access(for review: LeasedReview) throws(PreparationError) -> Access

  /// The host that will be called.
  func target(of access: Access) -> String

  /// Reads the pull request.
  /// - Parameters:
  ///   - lifetime: how long the token is needed at the least.
  ///   - deadline: when the preparation ends; nil for never.
  func collect(
    _ review: LeasedReview, _ access: Access, lifetime: Duration, until deadline: ContinuousClock.Instant?
  ) async throws(CollectFailure) -> CollectedPullRequest
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
  /// To be tried again after a while; no party is at fault.
  case wait(message: String, for: Duration)
  /// This process lacks the key of the stored token.
  case keyMissing(message: String)
  /// A call failed in a way that is not for the source to judge.
  /// - Parameter hint: what is special about it; empty or a sentence.
  case call(APIFault, hint: String = "")
}

extension PullRequestSource {
  /// Reads what is a help and not a condition, within half of the time that is left: where a platform is slow, the review goes on without it,
  /// and does not use up its attempts.
  /// - Parameters:
  ///   - what: is read, for the log.
  ///   - review: whose preparation it is.
  ///   - client: reads.
  ///   - deadline: when the preparation ends; nil for never.
  ///   - read: ends soon when it is cancelled.
  func optional<Value: Sendable>(
    _ what: String, of review: LeasedReview, by client: APIClient, until deadline: ContinuousClock.Instant?,
    _ read: @escaping @Sendable () async -> Result<Value, APIFault>
  ) async -> Result<Value, APIFault> {
    let result = await client.run(untilHalfOf: deadline, read)
    if case .failure(let fault) = result, fault != .cancelled {
      logger.notice(
        "\(Self.name)'s \(what) could not be read; the review goes on without them",
        metadata: ["review": "\(review.id.lowercase)", "fault": "\(fault)"])
    }
    return result
  }

  /// The comments, or nil if reading them failed; a rate limit is thrown.
  static func unlessRateLimited<Value>(_ result: Result<Value, APIFault>) throws(CollectFailure) -> Value? {
    switch result {
    case .success(let value): return value
    case .failure(.rateLimited(let delay)): throw .call(.rateLimited(retryAfter: delay))
    case .failure: return nil
    }
  }

  /// The repository's name at present, as a platform reports it; the review's own if that is no name.
  static func repository(_ reported: String?, of review: LeasedReview) -> String {
    reported.flatMap { OutsideName.repositoryFault($0) == nil ? $0 : nil } ?? review.repoFullName
  }

  /// A branch at present, as a platform reports it: it may have been renamed, and a pull request may have got another base. The review's own
  /// if that is no branch.
  static func ref(_ reported: String?, of known: String) -> String {
    reported.flatMap { OutsideName.refFault($0) == nil ? $0 : nil } ?? known
  }

  /// What it means that a pull request could not be served. If the host has answered about the comments, it is this one pull request,
  /// whose tries are counted. If it has not, the host is unavailable, and no review fails because of that.
  static func failing(_ review: LeasedReview, _ message: String, othersAnswered: [Bool]) -> CollectFailure {
    guard othersAnswered.contains(true) else { return .call(.failing(message: message)) }
    return .retry(message: "\(name) could not serve \(review.pullRequestName): \(message).")
  }
}

extension Result where Failure == APIFault {
  /// Whether the host answered the call, whatever it said.
  var isAnswered: Bool {
    switch self {
    case .success, .failure(.missing), .failure(.unauthorized), .failure(.refused), .failure(.malformed): true
    case .failure(.failing), .failure(.unreachable), .failure(.cancelled), .failure(.rateLimited): false
    }
  }
}

extension LeasedReview {
  /// The pull request as people write it: `acme/shop#3` or, on GitLab, `acme/shop!3`.
  var pullRequestName: String { "\(repoFullName)\(platform == .github ? "#" : "!")\(prNumber)" }
}
