internal import Primitives

/// GitHub's JSON, as far as it is read. Everything that GitHub may leave out is optional.
enum GitHubWire {
  struct User: Decodable, Sendable {
    var login: String?
  }

  struct Repository: Decodable, Sendable {
    var id: JSONValue?
    var full_name: String
  }

  struct Branch: Decodable, Sendable {
    var ref: String
    var sha: String
    /// nil if a fork was deleted.
    var repo: Repository?
  }

  /// `GET /repos/{owner}/{repo}/pulls/{number}`.
  struct PullRequest: Decodable, Sendable {
    var state: String
    var draft: Bool?
    var title: String
    var body: String?
    var user: User?
    var base: Branch
    var head: Branch
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
