internal import AsyncHTTPClient
internal import FoundationEssentials
internal import Logging
internal import NIOHTTP1
internal import Reviews

/// Reads merge requests from GitLab's REST API, version 4.
struct GitLabSource: PullRequestSource {
  static let name = "GitLab"

  /// How a review's project is read.
  struct Access: Sendable {
    /// The instance's address, without `/api/v4`.
    var instance: APIBase
    var client: APIClient
    /// `/projects/{id}/merge_requests/{iid}`, encoded.
    var mergeRequest: String
    var token: Secret?
  }

  let hosts: GitLabHosts
  let cipher: TokenCipher
  let httpClient: HTTPClient
  let timeout: Duration
  let now: @Sendable () -> Date
  let logger: Logger

  func access(for review: LeasedReview) throws(PreparationError) -> Access {
    let instance = try instance(of: review)
    guard let project = Self.project(of: review) else {
      throw .permanent(.pullRequestMissing, message: "\"\(review.repoFullName)\" is not a GitLab project's path.")
    }
    var token: Secret?
    if let integration = review.integration, let ciphertext = integration.tokenCiphertext {
      token = try cipher.openToken(ciphertext, of: integration)
    }
    let client = APIClient(
      base: instance.appending(path: "/api/v4"), httpClient: httpClient, timeout: timeout, now: now)
    return Access(
      instance: instance, client: client, mergeRequest: "/projects/\(project)/merge_requests/\(review.prNumber)",
      token: token)
  }

  func target(of access: Access) -> String { access.instance.authority }

  func collect(
    _ review: LeasedReview, _ access: Access, lifetime: Duration
  ) async throws(CollectFailure) -> CollectedPullRequest {
    try await read(review, access)
  }

  /// Personal, project and group access tokens have a header of their own; everything else is OAuth's.
  static func headers(_ token: Secret?) -> HTTPHeaders {
    var headers: HTTPHeaders = ["accept": "application/json", "user-agent": "baton"]
    guard let token else { return headers }
    if token.reveal().hasPrefix("glpat-") {
      headers.add(name: "private-token", value: token.reveal())
    } else {
      headers.add(name: "authorization", value: "Bearer \(token.reveal())")
    }
    return headers
  }

  /// The integration's instance; without one, where the merge request's own address lies.
  private func instance(of review: LeasedReview) throws(PreparationError) -> APIBase {
    let address = review.integration?.instanceUrl ?? Self.origin(of: review.prUrl)
    guard let instance = APIBase(address) else {
      throw .permanent(.platformRefused, message: "The integration's instance_url is not an http or https address.")
    }
    guard hosts.contains(instance) else {
      throw .permanent(
        .platformRefused,
        message:
          "\(instance.authority) is not a GitLab host that may be called; BATON_GITLAB_HOSTS allows: \(hosts.list).")
    }
    guard instance.scheme == "https" || instance.isLoopback else {
      throw .permanent(
        .platformRefused,
        message: "\(instance.authority) would be called without TLS: give the instance an https address.")
    }
    return instance
  }

  private static func origin(of url: String) -> String {
    guard var components = URLComponents(string: url) else { return "" }
    (components.path, components.query, components.fragment) = ("", nil, nil)
    return components.string ?? ""
  }

  /// The project's number or its path as one encoded segment; nil where the path is none.
  private static func project(of review: LeasedReview) -> String? {
    if let id = review.platformProjectId { return String(id) }
    let parts = review.repoFullName.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count >= 2, parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else { return nil }
    return review.repoFullName.percentEncoded
  }
}
