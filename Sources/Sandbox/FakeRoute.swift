internal import HTTPTypes

/// What the stand-in can be asked for: the name of a route, as counters and faults use it.
package enum FakeRoute: String, Sendable, CaseIterable, Codable {
  case githubMeta = "github.meta"
  case githubPull = "github.pull"
  case githubIssueComments = "github.issue_comments"
  case githubReviewComments = "github.review_comments"
  case githubFiles = "github.files"
  case githubCommits = "github.commits"
  case githubRepository = "github.repository"
  case githubInstallation = "github.installation"
  case githubInstallationToken = "github.installation_token"
  case githubReaction = "github.reaction"
  case githubCheckRuns = "github.check_runs"
  case githubHookDeliveries = "github.hook_deliveries"
  case githubInstallationRepositories = "github.installation_repositories"
  case githubPulls = "github.pulls"
  case githubPermission = "github.permission"
  case gitlabMergeRequests = "gitlab.merge_requests"
  case gitlabMember = "gitlab.member"
  case gitlabMergeRequest = "gitlab.merge_request"
  case gitlabNotes = "gitlab.notes"
  case gitlabDiscussions = "gitlab.discussions"
  case gitlabDiffs = "gitlab.diffs"
  case gitlabUser = "gitlab.user"
  case gitlabAwardEmoji = "gitlab.award_emoji"
  case gitlabStatus = "gitlab.status"
  case gitlabProjectToken = "gitlab.project_token"
  case gitlabOwnToken = "gitlab.own_token"
  case gitlabTokenRotation = "gitlab.token_rotation"
  case unknown
}

/// A request's meaning.
struct FakeCall: Sendable, Equatable {
  var route: FakeRoute
  /// `owner/name`, or GitLab's path or number.
  var repository = ""
  /// The number of a pull request, an issue or a merge request, or the id of an installation or a token (0 for the caller's).
  var number = 0
  /// Whether the repository was named by its number, which is where a renamed one is redirected to.
  var isByID = false

  /// Reads method and path, which is percent-encoded and without a query.
  init(method: HTTPRequest.Method, path: String) {
    let parts = path.split(separator: "/").map { String($0).percentDecoded }
    let isGet = method == .get
    switch parts.first {
    case "meta" where parts.count == 1 && isGet: self.init(.githubMeta)
    case "repos" where parts.count >= 3:
      self = Self.repository("\(parts[1])/\(parts[2])", Array(parts.dropFirst(3)), isGet: isGet)
    case "repositories" where parts.count >= 2:
      self = Self.repository(parts[1], Array(parts.dropFirst(2)), isGet: isGet)
      isByID = true
    case "app":
      let isToken = parts.count == 4 && parts[1] == "installations" && parts[3] == "access_tokens" && method == .post
      if parts.count >= 3 && parts[1] == "hook" && parts[2] == "deliveries" {
        self = Self(.githubHookDeliveries, number: parts.count == 5 ? Int(parts[3]) : 0)
      } else {
        self = isToken ? Self(.githubInstallationToken, number: Int(parts[2])) : Self(.unknown)
      }
    case "installation":
      self = parts == ["installation", "repositories"] ? Self(.githubInstallationRepositories) : Self(.unknown)
    case "api" where parts.count >= 3 && parts[1] == "v4":
      self = Self.gitlab(Array(parts.dropFirst(2)), isGet: isGet)
    default: self.init(.unknown)
    }
  }

  /// An invalid number makes the call unknown.
  private init(_ route: FakeRoute, _ repository: String = "", number: Int? = 0) {
    self.route = number == nil ? .unknown : route
    self.repository = repository
    self.number = number ?? 0
  }

  private static func repository(_ name: String, _ rest: [String], isGet: Bool) -> Self {
    switch (rest.count, rest.first, rest.last, isGet) {
    case (0, _, _, true): Self(.githubRepository, name)
    case (1, "installation", _, true): Self(.githubInstallation, name)
    case (1, "pulls", _, true): Self(.githubPulls, name)
    case (3, "collaborators", "permission", true): Self(.githubPermission, name)
    case (2, "pulls", _, true): Self(.githubPull, name, number: Int(rest[1]))
    case (3, "pulls", "comments", true): Self(.githubReviewComments, name, number: Int(rest[1]))
    case (3, "pulls", "files", true): Self(.githubFiles, name, number: Int(rest[1]))
    case (3, "pulls", "commits", true): Self(.githubCommits, name, number: Int(rest[1]))
    case (3, "issues", "comments", true): Self(.githubIssueComments, name, number: Int(rest[1]))
    case (3, "issues", "reactions", false): Self(.githubReaction, name, number: Int(rest[1]))
    case (4, "issues", "reactions", false): Self(.githubReaction, name, number: Int(rest[2]))
    case (1, "check-runs", _, false): Self(.githubCheckRuns, name)
    case (2, "check-runs", _, false): Self(.githubCheckRuns, name, number: Int(rest[1]))
    case (3, "commits", "check-runs", true): Self(.githubCheckRuns, name)
    default: Self(.unknown)
    }
  }

  private static func gitlab(_ rest: [String], isGet: Bool) -> Self {
    if rest == ["user"] { return Self(isGet ? .gitlabUser : .unknown) }
    if rest == ["personal_access_tokens", "self"] { return Self(isGet ? .gitlabOwnToken : .unknown) }
    if rest == ["personal_access_tokens", "self", "rotate"] { return Self(isGet ? .unknown : .gitlabTokenRotation) }
    guard rest.count >= 3, rest[0] == "projects" else { return Self(.unknown) }
    let project = rest[1]
    switch (rest.count, rest[2], rest.last, isGet) {
    case (3, "access_tokens", _, false): return Self(.gitlabProjectToken, project)
    case (5, "access_tokens", "rotate", false):
      return Self(.gitlabTokenRotation, project, number: rest[3] == "self" ? 0 : Int(rest[3]))
    case (3, "merge_requests", _, true): return Self(.gitlabMergeRequests, project)
    case (5, "members", _, true): return Self(.gitlabMember, project, number: Int(rest[4]))
    case (4, "merge_requests", _, true): return Self(.gitlabMergeRequest, project, number: Int(rest[3]))
    case (5, "merge_requests", "notes", true): return Self(.gitlabNotes, project, number: Int(rest[3]))
    case (5, "merge_requests", "discussions", true): return Self(.gitlabDiscussions, project, number: Int(rest[3]))
    case (5, "merge_requests", "diffs", true): return Self(.gitlabDiffs, project, number: Int(rest[3]))
    case (5, "merge_requests", "award_emoji", _): return Self(.gitlabAwardEmoji, project, number: Int(rest[3]))
    case (4, "statuses", _, false): return Self(.gitlabStatus, project)
    default: return Self(.unknown)
    }
  }
}

extension String {
  /// The text with `%2F` and the like resolved; a malformed escape stays as it is.
  fileprivate var percentDecoded: String {
    guard utf8.contains(UInt8(ascii: "%")) else { return self }
    var bytes: [UInt8] = []
    var rest = Array(utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), rest.count >= 2,
        let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      {
        bytes.append(value)
        rest.removeFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
