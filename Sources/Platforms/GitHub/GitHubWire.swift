internal import Primitives

/// GitHub's JSON, as far as it is read. Everything that GitHub may leave out is optional.
enum GitHubWire {
  struct User: Decodable, Sendable {
    var login: String?
  }

  struct Repository: Decodable, Sendable {
    var id: JSONValue?
    var full_name: String?
  }

  struct Branch: Sendable {
    var ref: String?
    var sha: String?
    var origin: Origin
  }

  /// Where a branch is.
  enum Origin: Sendable {
    case repository(Repository)
    /// The fork has been deleted, which GitHub shows as null.
    case deleted
    /// The answer does not say.
    case unknown
  }

  /// `GET /repos/{owner}/{repo}/pulls/{number}`.
  struct PullRequest: Decodable, Sendable {
    var state: String
    var draft: Bool?
    var title: String?
    var body: String?
    var user: User?
    var base: Branch?
    var head: Branch?
  }

  struct App: Decodable, Sendable {
    var id: Int64
    var client_id: String?
  }

  /// An item of `GET /repos/{owner}/{repo}/issues/{number}/comments`.
  struct IssueComment: Decodable, Sendable {
    var id: Int64
    var body: String?
    var updated_at: JSONValue?
    var performed_via_github_app: App?
  }

  /// An item of `GET /repos/{owner}/{repo}/pulls/{number}/comments`.
  struct ReviewComment: Decodable, Sendable {
    var path: String
    var body: String?
    var user: User?
    /// nil if the comment's line is no longer part of the diff.
    var position: Int?
    var line: Int?
    var original_line: Int?
  }
}

extension GitHubWire.Branch: Decodable {
  private enum CodingKeys: CodingKey { case ref, sha, repo }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    ref = try container.decodeIfPresent(String.self, forKey: .ref)
    sha = try container.decodeIfPresent(String.self, forKey: .sha)
    if let repository = try container.decodeIfPresent(GitHubWire.Repository.self, forKey: .repo) {
      origin = .repository(repository)
    } else {
      origin = container.contains(.repo) ? .deleted : .unknown
    }
  }
}
