internal import FoundationEssentials
internal import HTTPKit
internal import Primitives
internal import ReviewStore
internal import Reviews

/// A webhook of GitLab, as far as it is read.
struct GitLabPayload: Decodable, Sendable {
  struct User: Decodable, Sendable {
    var username: JSONValue?
  }

  struct Project: Decodable, Sendable {
    var id: JSONValue?
    var path_with_namespace: JSONValue?
  }

  struct Commit: Decodable, Sendable {
    var id: JSONValue?
  }

  struct MergeRequest: Decodable, Sendable {
    var iid: JSONValue?
    var action: JSONValue?
    var oldrev: JSONValue?
    var url: JSONValue?
    var title: JSONValue?
    var draft: JSONValue?
    var work_in_progress: JSONValue?
    var source_branch: JSONValue?
    var target_branch: JSONValue?
    var source_project_id: JSONValue?
    var target_project_id: JSONValue?
    var last_commit: Part<Commit>?
    var updated_at: JSONValue?
  }

  struct Change: Decodable, Sendable {
    var current: JSONValue?
  }

  struct Changes: Decodable, Sendable {
    var draft: Part<Change>?
    var work_in_progress: Part<Change>?
  }

  var object_kind: JSONValue?
  var user: Part<User>?
  var project: Part<Project>?
  var object_attributes: Part<MergeRequest>?
  var changes: Part<Changes>?

  /// - Throws: `HTTPFault` 400.
  init(json: Data) throws(HTTPFault) {
    do {
      self = try JSONCoding.decode(GitLabPayload.self, from: json)
    } catch {
      throw .malformed("expected a JSON object", faults: ["not a JSON object"])
    }
  }

  func event(owner: Owner, integrationID: UUID) throws(HTTPFault) -> WebhookEvent {
    guard object_kind?.string == "merge_request" else {
      return .ignored("nothing is done for the event \(object_kind?.string?.prefix(40) ?? "without an object_kind")")
    }
    let request = object_attributes?.fields
    switch request?.action?.string {
    case "open", "reopen": break
    // Also sent for a new title, a label, an approval: only new commits, and the end of being a draft, count.
    case "update" where request?.oldrev?.string != nil || isReady: break
    case "update": return .ignored("the update brings no new commits")
    case "close", "merge":
      let (key, updatedAt) = try fields.key(owner: owner, platform: .gitlab)
      return .closed(key, updatedAt: updatedAt)
    case let other: return .ignored("nothing is done for merge_request \(other?.prefix(40) ?? "without an action")")
    }
    return try fields.push(
      owner: owner, platform: .gitlab, integrationID: integrationID, repositoryID: project?.fields?.id?.idText,
      isDraft: request?.draft?.bool ?? request?.work_in_progress?.bool ?? false)
  }

  private var isReady: Bool {
    (changes?.fields?.draft?.fields?.current ?? changes?.fields?.work_in_progress?.fields?.current) == .bool(false)
  }

  private static let names = [
    "repoFullName": "project.path_with_namespace", "platformProjectId": "project.id",
    "prNumber": "object_attributes.iid", "prUrl": "object_attributes.url", "prTitle": "object_attributes.title",
    "prAuthor": "user.username", "baseRef": "object_attributes.target_branch",
    "headRef": "object_attributes.source_branch", "headSha": "object_attributes.last_commit.id",
  ]

  private var fields: PullRequestFields {
    let request = object_attributes?.fields
    var fields = PullRequestFields(names: Self.names, updatedAt: ("object_attributes.updated_at", request?.updated_at))
    fields.values["repoFullName"] = project?.fields?.path_with_namespace
    fields.values["platformProjectId"] = project?.fields?.id
    fields.values["prNumber"] = request?.iid
    fields.values["prUrl"] = request?.url
    fields.values["prTitle"] = request?.title
    // Who caused the event: GitLab names the author by number only.
    fields.values["prAuthor"] = user?.fields?.username
    fields.values["baseRef"] = request?.target_branch
    fields.values["headRef"] = request?.source_branch
    fields.values["headSha"] = request?.last_commit?.fields?.id
    fields.previousSha = request?.oldrev?.string
    // A branch of a fork is not in the project itself; there GitLab shows it under this name.
    if request?.source_branch != nil, request?.source_project_id != request?.target_project_id,
      case .integer(let number)? = request?.iid
    {
      fields.values["headRef"] = .string("refs/merge-requests/\(number)/head")
    }
    return fields
  }
}
