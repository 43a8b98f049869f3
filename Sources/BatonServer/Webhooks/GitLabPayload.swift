internal import FoundationEssentials
internal import HTTPKit
internal import Primitives
internal import ReviewStore
internal import Reviews

/// A webhook of GitLab, as far as it is read: no more of it is stored.
struct GitLabPayload: WebhookPayload {
  struct User: Codable, Sendable {
    var id: JSONValue?
    var username: JSONValue?
  }

  struct Project: Codable, Sendable {
    var id: JSONValue?
    var path_with_namespace: JSONValue?
  }

  struct Commit: Codable, Sendable {
    var id: JSONValue?
  }

  struct MergeRequest: Codable, Sendable {
    var iid: JSONValue?
    var action: JSONValue?
    var state: JSONValue?
    var oldrev: JSONValue?
    var url: JSONValue?
    var title: JSONValue?
    var author_id: JSONValue?
    var draft: JSONValue?
    var work_in_progress: JSONValue?
    var source_branch: JSONValue?
    var target_branch: JSONValue?
    var source_project_id: JSONValue?
    var target_project_id: JSONValue?
    var last_commit: Part<Commit>?
    var updated_at: JSONValue?
    /// The project, in old versions the only place of it.
    var target: Part<Project>?
    // Of a comment.
    var id: JSONValue?
    var note: JSONValue?
    var noteable_type: JSONValue?
    var project_id: JSONValue?
  }

  struct Label: Codable, Sendable {
    var title: JSONValue?
  }

  struct LabelChange: Codable, Sendable {
    var previous: Part<[Label]>?
    var current: Part<[Label]>?
  }

  struct Change: Codable, Sendable {
    var previous: JSONValue?
    var current: JSONValue?
  }

  struct Changes: Codable, Sendable {
    var draft: Part<Change>?
    var work_in_progress: Part<Change>?
    var title: Part<Change>?
    var target_branch: Part<Change>?
    var labels: Part<LabelChange>?
  }

  var object_kind: JSONValue?
  /// Of a hook of the whole instance.
  var event_name: JSONValue?
  var project_id: JSONValue?
  var path_with_namespace: JSONValue?
  var updated_at: JSONValue?
  var user: Part<User>?
  var assignees: Part<[User]>?
  var reviewers: Part<[User]>?
  var project: Part<Project>?
  var object_attributes: Part<MergeRequest>?
  var changes: Part<Changes>?
  var labels: Part<[Label]>?
  /// Of a comment.
  var merge_request: Part<MergeRequest>?

  /// - Throws: `HTTPFault` 400.
  init(json: Data) throws(HTTPFault) {
    do {
      self = try JSONCoding.decode(GitLabPayload.self, from: json, repairingText: true)
    } catch {
      throw .malformed("expected a JSON object", faults: ["not a JSON object"])
    }
    completeProject()
  }

  /// Old versions name the project, or its number, within the merge request alone. It is stored in one place.
  private mutating func completeProject() {
    guard let request = object_attributes?.fields else { return }
    let target = request.target?.fields
    object_attributes?.fields?.target = nil
    guard let path = project?.fields?.path_with_namespace ?? target?.path_with_namespace else { return }
    let id = project?.fields?.id ?? target?.id ?? request.target_project_id
    project = Part(fields: Project(id: id, path_with_namespace: path))
  }

  var repositoryID: String? { project?.fields?.id?.idText }

  var subject: GitLabPayload {
    var subject = self
    (subject.user, subject.assignees, subject.reviewers) = (nil, nil, nil)
    (subject.changes, subject.labels) = (nil, nil)
    subject.object_attributes?.fields = object_attributes?.fields.map { request in
      MergeRequest(iid: request.iid, action: request.action, last_commit: request.last_commit)
    }
    subject.merge_request?.fields = merge_request?.fields.map { request in
      MergeRequest(iid: request.iid, last_commit: request.last_commit)
    }
    return subject
  }

  /// The body itself says of which event it is.
  func isOf(_ name: String) -> Bool { true }

  func event(_ name: String, in context: WebhookContext) throws(HTTPFault) -> WebhookEvent {
    if ["project_rename", "project_transfer"].contains(event_name?.string) {
      return context.named(project_id, path_with_namespace, at: updated_at)
    }
    if isOther(context.policy) { return .other }
    guard object_kind?.string == "merge_request" else {
      return .ignored("nothing is done for the event \(object_kind?.string?.prefix(40) ?? "without an object_kind")")
    }
    let request = object_attributes?.fields
    switch request?.action?.string {
    case "open", "reopen", "update":
      guard request?.last_commit?.fields?.id?.string != nil else {
        return fields.isDraft ? .ignored("the merge request is a draft") : .ignored("the merge request has no commit")
      }
      var fields = fields
      if request?.action?.string == "update" { fields.cause = updateCause }
      return try fields.push(in: context)
    case "close", "merge": return try fields.closed(in: context)
    case let other: return .ignored("nothing is done for merge_request \(other?.prefix(40) ?? "without an action")")
    }
  }

  /// An update is also sent for a label, an approval, a description. Which fields name what has changed depends on the version; so a commit
  /// without a review is taken for one whose event was missed.
  private var updateCause: PullRequestPush.Cause {
    if changes?.fields?.target_branch?.fields?.current != nil { return .base }
    return object_attributes?.fields?.oldrev?.string != nil || isReady ? .commit : .change
  }

  /// Before version 16.3 only the title shows that a merge request is no draft any more.
  private var isReady: Bool {
    let changes = changes?.fields
    if let now = changes?.draft?.fields?.current ?? changes?.work_in_progress?.fields?.current {
      return now == .bool(false)
    }
    guard let title = changes?.title?.fields else { return false }
    return Self.isDraft(title: title.previous) && !Self.isDraft(title: title.current)
  }

  /// The marks that GitLab has had.
  private static func isDraft(title: JSONValue?) -> Bool {
    let text = (title?.string ?? "").lowercased().drop { $0.isWhitespace }
    return ["draft:", "draft -", "[draft]", "(draft)", "wip:", "[wip]"].contains { text.hasPrefix($0) }
  }

  private static let names = [
    "repoFullName": "project.path_with_namespace", "platformProjectId": "project.id",
    "prNumber": "object_attributes.iid", "prUrl": "object_attributes.url", "prTitle": "object_attributes.title",
    "prAuthor": "user.username", "baseRef": "object_attributes.target_branch",
    "headRef": "object_attributes.source_branch", "headSha": "object_attributes.last_commit.id",
  ]

  private var fields: PullRequestFields {
    let request = object_attributes?.fields
    var fields = PullRequestFields(names: Self.names, updatedAt: request?.updated_at)
    fields.repositoryID = project?.fields?.id
    fields.isDraft =
      request?.draft?.bool ?? request?.work_in_progress?.bool ?? Self.isDraft(title: request?.title)
    fields.isOpen = !["closed", "merged"].contains(request?.state?.string)
    fields.values["repoFullName"] = project?.fields?.path_with_namespace
    fields.values["platformProjectId"] = project?.fields?.id
    fields.values["prNumber"] = request?.iid
    fields.values["prUrl"] = request?.url
    fields.values["prTitle"] = request?.title
    (fields.values["prAuthor"], fields.isAuthorKnown) = author
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

  /// Who wrote the merge request: GitLab names that person by number alone, and with a name the one who caused the event.
  private var author: (name: JSONValue?, isKnown: Bool) {
    let id = object_attributes?.fields?.author_id
    let people = [user?.fields].compactMap { $0 } + (assignees?.fields ?? []) + (reviewers?.fields ?? [])
    if let id, let name = people.first(where: { $0.id == id })?.username { return (name, true) }
    let name = user?.fields?.username ?? .string("ghost")
    if id == nil || object_attributes?.fields?.action?.string == "open" { return (name, true) }
    return (id?.idText.map { .string("user \($0)") } ?? name, false)
  }
}
