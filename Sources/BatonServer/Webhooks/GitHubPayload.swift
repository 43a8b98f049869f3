internal import FoundationEssentials
internal import HTTPKit
internal import Primitives
internal import ReviewStore
internal import Reviews

/// A webhook of GitHub, as far as it is read: no more of it is stored.
struct GitHubPayload: WebhookPayload {
  struct Installation: Codable, Sendable {
    var id: JSONValue?
    // Of an event about the installation itself; others name it by its id alone.
    var account: Part<User>?
    var updated_at: JSONValue?
    var suspended_at: JSONValue?
  }

  struct Repository: Codable, Sendable {
    var id: JSONValue?
    var full_name: JSONValue?
    /// Of the event's own repository.
    var updated_at: JSONValue?
  }

  struct User: Codable, Sendable {
    var login: JSONValue?
    var type: JSONValue?
  }

  struct Branch: Encodable, Sendable {
    var ref: JSONValue?
    var sha: JSONValue?
    /// Without fields if it is null, because the fork has been deleted; nil if nothing is said of it.
    var repo: Part<Repository>?
  }

  struct PullRequest: Codable, Sendable {
    var number: JSONValue?
    var html_url: JSONValue?
    var title: JSONValue?
    var state: JSONValue?
    var draft: JSONValue?
    var user: Part<User>?
    var base: Part<Branch>?
    var head: Part<Branch>?
    var updated_at: JSONValue?
    var labels: Part<[Label]>?
  }

  /// What an edit has changed.
  struct Changes: Codable, Sendable {
    var base: JSONValue?
  }

  var action: JSONValue?
  var before: JSONValue?
  var changes: Part<Changes>?
  var installation: Part<Installation>?
  var repository: Part<Repository>?
  var pull_request: Part<PullRequest>?
  var check_run: Part<Check>?
  var check_suite: Part<Check>?
  var merge_group: Part<MergeGroup>?
  var issue: Part<Issue>?
  var comment: Part<Comment>?
  var label: Part<Label>?
  var sender: Part<User>?
  var repositories_added: Part<[Repository]>?
  var repositories_removed: Part<[Repository]>?

  /// - Throws: `HTTPFault` 400.
  init(json: Data) throws(HTTPFault) {
    do {
      self = try JSONCoding.decode(GitHubPayload.self, from: json, repairingText: true)
    } catch {
      throw .malformed(
        "expected a JSON object: give the webhook the content type application/json", faults: ["not a JSON object"])
    }
  }

  var installationID: Int64? {
    if case .integer(let id)? = installation?.fields?.id { id } else { nil }
  }

  var repositoryID: String? { repository?.fields?.id?.idText }

  var subject: GitHubPayload {
    var subject = self
    (subject.before, subject.changes, subject.sender) = (nil, nil, nil)
    (subject.comment, subject.label) = (nil, nil)
    (subject.repositories_added, subject.repositories_removed) = (nil, nil)
    subject.installation?.fields = installation?.fields.map { Installation(id: $0.id) }
    subject.repository?.fields = repository?.fields.map { Repository(id: $0.id, full_name: $0.full_name) }
    subject.issue?.fields = issue?.fields.map { Issue(number: $0.number) }
    subject.pull_request?.fields = pull_request?.fields.map { pull in
      PullRequest(number: pull.number, head: pull.head.map { Part(fields: Branch(sha: $0.fields?.sha)) })
    }
    subject.check_run?.fields = check_run?.fields.map { Check(head_sha: $0.head_sha) }
    subject.check_suite?.fields = check_suite?.fields.map { Check(head_sha: $0.head_sha) }
    return subject
  }

  /// - Parameter name: `X-GitHub-Event`.
  func event(_ name: String, in context: WebhookContext) throws(HTTPFault) -> WebhookEvent {
    if isOther(name, context.policy) { return .other }
    switch (name, action?.string) {
    case ("repository", "renamed"), ("repository", "transferred"):
      let repository = repository?.fields
      return context.named(repository?.id, repository?.full_name, at: repository?.updated_at)
    case ("pull_request", "opened"), ("pull_request", "synchronize"), ("pull_request", "reopened"),
      ("pull_request", "ready_for_review"):
      return try fields.push(in: context)
    case ("pull_request", "edited") where changes?.fields?.base != nil:
      var fields = fields
      fields.cause = .base
      return try fields.push(in: context)
    case ("pull_request", "converted_to_draft"):
      return fields.withheld("the pull request is a draft since converted_to_draft", in: context)
    case ("pull_request", "closed"): return try fields.closed(in: context)
    case ("pull_request", let action):
      return .ignored("nothing is done for pull_request \(action?.prefix(40) ?? "without an action")")
    default: return .ignored("nothing is done for the event \(name)")
    }
  }

  private static let names = [
    "repoFullName": "repository.full_name", "prNumber": "pull_request.number", "prUrl": "pull_request.html_url",
    "prTitle": "pull_request.title", "prAuthor": "pull_request.user.login", "baseRef": "pull_request.base.ref",
    "headRef": "pull_request.head.ref", "headSha": "pull_request.head.sha",
  ]

  private var fields: PullRequestFields {
    let pull = pull_request?.fields
    let head = pull?.head?.fields
    var fields = PullRequestFields(names: Self.names, updatedAt: pull?.updated_at)
    fields.repositoryID = repository?.fields?.id
    fields.isDraft = pull?.draft?.bool ?? false
    fields.isOpen = pull?.state?.string != "closed"
    fields.values["repoFullName"] = repository?.fields?.full_name
    fields.values["prNumber"] = pull?.number
    fields.values["prUrl"] = pull?.html_url
    fields.values["prTitle"] = pull?.title
    // The account may have been deleted, which GitHub shows as its user "ghost".
    fields.values["prAuthor"] = pull?.user?.fields == nil ? .string("ghost") : pull?.user?.fields?.login
    fields.values["baseRef"] = pull?.base?.fields?.ref
    fields.values["headRef"] = head?.ref
    fields.values["headSha"] = head?.sha
    fields.previousSha = action?.string == "synchronize" ? before?.string : nil
    // A branch of a fork is not in the repository itself; there GitHub shows it under this name.
    if head?.ref != nil, let origin = head?.repo, isFork(origin.fields), case .integer(let number)? = pull?.number {
      fields.values["headRef"] = .string("refs/pull/\(number)/head")
    }
    return fields
  }

  private func isFork(_ head: Repository?) -> Bool {
    guard let head, head.full_name == repository?.fields?.full_name else { return true }
    // A fork may have taken the name that its origin had.
    return head.id != nil && repository?.fields?.id != nil && head.id != repository?.fields?.id
  }
}

extension GitHubPayload.Branch: Decodable {
  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    ref = try container.decodeIfPresent(JSONValue.self, forKey: .ref)
    sha = try container.decodeIfPresent(JSONValue.self, forKey: .sha)
    guard container.contains(.repo) else { return }
    repo = try container.decodeIfPresent(Part.self, forKey: .repo) ?? Part(fields: nil)
  }
}
