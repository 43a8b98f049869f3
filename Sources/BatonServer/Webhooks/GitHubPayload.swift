internal import FoundationEssentials
internal import Primitives
internal import ReviewStore
internal import Reviews

/// A webhook of GitHub, as far as it is read.
struct GitHubPayload: Decodable, Sendable {
  struct Installation: Decodable, Sendable {
    var id: JSONValue?
  }

  struct Repository: Decodable, Sendable {
    var id: JSONValue?
    var full_name: JSONValue?
  }

  struct User: Decodable, Sendable {
    var login: JSONValue?
  }

  struct Branch: Decodable, Sendable {
    var ref: JSONValue?
    var sha: JSONValue?
    /// null if the fork has been deleted.
    var repo: Part<Repository>?
  }

  struct PullRequest: Decodable, Sendable {
    var number: JSONValue?
    var html_url: JSONValue?
    var title: JSONValue?
    var draft: JSONValue?
    var user: Part<User>?
    var base: Part<Branch>?
    var head: Part<Branch>?
    var updated_at: JSONValue?
  }

  var action: JSONValue?
  var before: JSONValue?
  var installation: Part<Installation>?
  var repository: Part<Repository>?
  var pull_request: Part<PullRequest>?

  /// - Throws: `HTTPFault` 400.
  init(json: Data) throws(HTTPFault) {
    do {
      self = try JSONCoding.decode(GitHubPayload.self, from: json)
    } catch {
      throw .malformed(
        "expected a JSON object: give the webhook the content type application/json", faults: ["not a JSON object"])
    }
  }

  var installationID: Int64? {
    if case .integer(let id)? = installation?.fields?.id { id } else { nil }
  }

  /// - Parameter name: `X-GitHub-Event`.
  func event(_ name: String, owner: Owner, integrationID: UUID) throws(HTTPFault) -> WebhookEvent {
    guard name == "pull_request" else { return .ignored("nothing is done for the event \(name)") }
    switch action?.string {
    case "opened", "synchronize", "reopened", "ready_for_review":
      return try fields.push(
        owner: owner, platform: .github, integrationID: integrationID, repositoryID: repository?.fields?.id?.idText,
        isDraft: pull_request?.fields?.draft?.bool ?? false)
    case "closed":
      let (key, updatedAt) = try fields.key(owner: owner, platform: .github)
      return .closed(key, updatedAt: updatedAt)
    case let other: return .ignored("nothing is done for pull_request \(other?.prefix(40) ?? "without an action")")
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
    var fields = PullRequestFields(names: Self.names, updatedAt: ("pull_request.updated_at", pull?.updated_at))
    fields.values["repoFullName"] = repository?.fields?.full_name
    fields.values["prNumber"] = pull?.number
    fields.values["prUrl"] = pull?.html_url
    fields.values["prTitle"] = pull?.title
    // The account may have been deleted, which GitHub shows as its user "ghost".
    fields.values["prAuthor"] = pull?.user == nil ? .string("ghost") : pull?.user?.fields?.login
    fields.values["baseRef"] = pull?.base?.fields?.ref
    fields.values["headRef"] = head?.ref
    fields.values["headSha"] = head?.sha
    fields.previousSha = action?.string == "synchronize" ? before?.string : nil
    // A branch of a fork is not in the repository itself; there GitHub shows it under this name.
    if head?.ref != nil, head?.repo?.fields?.full_name != repository?.fields?.full_name,
      case .integer(let number)? = pull?.number
    {
      fields.values["headRef"] = .string("refs/pull/\(number)/head")
    }
    return fields
  }
}
