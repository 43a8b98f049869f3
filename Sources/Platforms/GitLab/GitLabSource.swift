internal import Logging
internal import NIOHTTP1
internal import Reviews

/// Reads merge requests from GitLab's REST API, version 4.
struct GitLabSource: PullRequestSource {
  static let name = "GitLab"

  /// How a review's project is read.
  struct Access: Sendable {
    var instance: GitLabInstance
    /// Of the instance's API.
    var client: APIClient
    /// The project's number or path, plain.
    var project: String
    /// nil where the review has no integration.
    var integration: Integration?
  }

  let hosts: GitLabHosts
  /// Of another host; its limits and answers are shared.
  let client: APIClient
  let tokens: GitLabTokens
  let logger: Logger

  func access(for review: LeasedReview) throws(PreparationError) -> Access {
    let instance: GitLabInstance
    do {
      instance = try hosts.instance(of: review.integration, mergeRequest: review.prUrl)
    } catch {
      throw .permanent(.platformRefused, message: "\(error)")
    }
    guard let project = Self.project(of: review) else {
      throw .permanent(.pullRequestMissing, message: "\"\(review.repoFullName)\" is not a GitLab project's path.")
    }
    return Access(
      instance: instance, client: instance.api(client), project: project, integration: review.integration)
  }

  func target(of access: Access) -> String { access.instance.base.authority }

  /// A token may have been renewed or withdrawn since it was found good: on the first 401 it is looked at again.
  func collect(
    _ review: LeasedReview, _ access: Access, lifetime: Duration
  ) async throws(CollectFailure) -> CollectedPullRequest {
    let grant = try await grant(access, lifetime)
    do {
      return try await read(review, access, grant)
    } catch .call(.unauthorized, _) where grant != nil {
      if let grant { tokens.doubt(grant, in: access.project) }
      return try await read(review, access, try await self.grant(access, lifetime))
    }
  }

  private func grant(_ access: Access, _ lifetime: Duration) async throws(CollectFailure) -> GitLabTokens.Grant? {
    guard let integration = access.integration else { return nil }
    let calls = GitLabTokenCalls(client: access.client, project: access.project.percentEncoded)
    let place = GitLabTokens.Place(integration: integration, project: access.project, calls: calls)
    return try await tokens.grant(for: place, lifetime: lifetime)
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

  /// The project's number or its path; nil where the path is none.
  private static func project(of review: LeasedReview) -> String? {
    if let id = review.platformProjectId { return String(id) }
    let parts = review.repoFullName.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count >= 2, parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else { return nil }
    return review.repoFullName
  }
}
