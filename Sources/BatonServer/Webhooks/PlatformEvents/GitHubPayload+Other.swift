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
