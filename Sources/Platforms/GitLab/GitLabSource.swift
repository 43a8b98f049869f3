internal import Logging
internal import NIOHTTP1
internal import Primitives
internal import Reviews

/// Reads merge requests from GitLab's REST API, version 4.
struct GitLabSource: PullRequestSource {
  typealias Access = GitLabProject

  static let name = "GitLab"

  let api: GitLabAPI
  let logger: Logger

  func access(for review: LeasedReview) throws(PreparationError) -> GitLabProject {
    let project: GitLabProject?
    do {
      project = try api.project(
        review.platformProjectId, path: review.repoFullName, mergeRequest: review.prUrl,
        integration: review.integration)
    } catch {
      throw error.preparationError
    }
    guard let project else {
      throw .permanent(.pullRequestMissing, message: "\"\(review.repoFullName)\" is not a GitLab project's path.")
    }
    return project
  }

  func target(of project: GitLabProject) -> String { project.instance.base.authority }

  func collect(
    _ review: LeasedReview, _ project: GitLabProject, lifetime: Duration, until deadline: ContinuousClock.Instant?
  ) async throws(CollectFailure) -> CollectedPullRequest {
    try await project.withToken(for: lifetime) { grant throws(CollectFailure) in
      try await read(review, project, grant, until: deadline)
    }
  }

  /// Personal, project and group access tokens have a header of their own; everything else is OAuth's.
  static func caller(_ token: Secret?) -> APICaller {
    var headers: HTTPHeaders = ["accept": "application/json", "user-agent": "baton"]
    guard let token else { return APICaller(headers: headers, token: nil) }
    if token.reveal().hasPrefix("glpat-") {
      headers.add(name: "private-token", value: token.reveal())
    } else {
      headers.add(name: "authorization", value: "Bearer \(token.reveal())")
    }
    return APICaller(headers: headers, token: token)
  }
}

extension GitLabHosts.Fault {
  /// A host that is not allowed is a matter of this process's setting: another consumer may have it, and no review fails for that. The others
  /// are faults of the integration or of the review.
  var preparationError: PreparationError {
    switch self {
    case .notAllowed: .transient(message: "\(self)", retryAfter: GitLabHosts.retryDelay)
    case .noAddress, .withoutTLS: .permanent(.platformRefused, message: "\(self)")
    }
  }
}
