internal import Primitives

// The parts of GitHub's events that are no pull request's.
extension GitHubPayload {
  struct Label: Codable, Sendable {
    var name: JSONValue?
  }

  struct App: Codable, Sendable {
    var id: JSONValue?
    var client_id: JSONValue?
  }

  /// A check run or a check suite.
  struct Check: Codable, Sendable {
    var id: JSONValue?
    var external_id: JSONValue?
    var head_sha: JSONValue?
    /// Of a suite.
    var head_branch: JSONValue?
    /// Of a run.
    var check_suite: Part<Suite>?
    var app: Part<App>?
  }

  struct Suite: Codable, Sendable {
    var head_branch: JSONValue?
  }

  struct MergeGroup: Codable, Sendable {
    var head_sha: JSONValue?
    var head_ref: JSONValue?
  }

  struct Link: Codable, Sendable {
    var url: JSONValue?
  }

  struct Issue: Codable, Sendable {
    var number: JSONValue?
    var state: JSONValue?
    /// Missing if it is no pull request.
    var pull_request: Part<Link>?
  }

  struct Comment: Codable, Sendable {
    var id: JSONValue?
    var body: JSONValue?
    var user: Part<User>?
  }

  /// The events that something is done for.
  static let events: Set = PlatformWebhook.githubEvents.union(["pull_request"])

  /// Whether the body is one of the event, if something is done for the event: the body is signed, the name is a header, which is not. So a
  /// comment cannot become the end of an installation.
  func isOf(_ name: String) -> Bool {
    let parts: [(String, Bool)] = [
      ("check_run", check_run != nil), ("check_suite", check_suite != nil), ("merge_group", merge_group != nil),
      ("issue", issue != nil), ("comment", comment != nil), ("pull_request", pull_request != nil),
      ("label", label != nil),
    ]
    let found = Set(parts.filter { $0.1 }.map { $0.0 })
    switch name {
    case "installation", "installation_repositories":
      return found.isEmpty && repository == nil
    case "repository": return found.isSubset(of: ["pull_request"])
    case "check_run", "check_suite", "merge_group": return found == [name]
    case "issue_comment": return found == ["issue", "comment"]
    case "pull_request": return found.isSubset(of: ["pull_request", "label"])
    default: return true
    }
  }

  /// Whether ``PlatformWebhook`` reads the event.
  func isOther(_ name: String, _ policy: WebhookPolicy) -> Bool {
    switch (name, action?.string) {
    case ("check_run", "rerequested"), ("check_suite", "rerequested"), ("merge_group", "checks_requested"): true
    case ("installation", "deleted"), ("installation", "suspend"), ("installation", "unsuspend"): true
    case ("installation_repositories", "removed"), ("installation_repositories", "added"): true
    case ("issue_comment", "created"):
      issue?.fields?.pull_request?.fields != nil && policy.isCommand(comment?.fields?.body?.string ?? "")
    case ("pull_request", "labeled"): policy.isLabel(label?.fields?.name?.string)
    default: false
    }
  }
}
