internal import FoundationEssentials
internal import Primitives
internal import Reviews

/// Pull requests as the APIs list them, brought into the form of the platform's own webhook, so that one place reads and judges both. Only what is
/// read is taken over: the event is stored.
enum EventShape {
  /// A pull request of GitHub's API as the event `pull_request`, action `opened`.
  static func github(_ pull: JSONValue, installation: String?) -> JSONValue {
    let repository = pull["base"]?["repo"]
    var event: [String: JSONValue] = [
      "action": .string("opened"),
      "repository": picked(repository, ["id", "full_name"]),
      "pull_request": picked(
        pull, ["number", "html_url", "title", "draft", "updated_at", "state"],
        [
          "user": picked(pull["user"], ["login", "type"]),
          "base": picked(pull["base"], ["ref", "sha"], ["repo": picked(repository, ["id", "full_name"])]),
          "head": picked(pull["head"], ["ref", "sha"], ["repo": picked(pull["head"]?["repo"], ["id", "full_name"])]),
          "labels": list(pull["labels"]) { picked($0, ["name"]) },
        ]),
    ]
    if let id = installation.flatMap({ Int64($0) }) { event["installation"] = .object(["id": .integer(id)]) }
    return .object(event)
  }

  /// A merge request of GitLab's API as the event `merge_request`, action `open`.
  /// - Parameter path: of the project.
  static func gitlab(_ request: JSONValue, project id: Int64?, path: String) -> JSONValue {
    let draft = request["draft"] ?? request["work_in_progress"] ?? .bool(false)
    return .object([
      "object_kind": .string("merge_request"),
      "user": picked(request["author"], ["username"]),
      "project": .object([
        "id": id.map { .integer($0) } ?? request["target_project_id"] ?? .null, "path_with_namespace": .string(path),
      ]),
      "object_attributes": picked(
        request,
        ["iid", "title", "source_branch", "target_branch", "source_project_id", "target_project_id", "updated_at"],
        [
          "action": .string("open"), "url": request["web_url"] ?? .null, "draft": draft,
          "last_commit": .object(["id": request["sha"] ?? .null]),
        ]),
      "labels": list(request["labels"]) { .object(["title": $0["name"] ?? $0]) },
    ])
  }

  /// The path of a merge request's project, out of `group/project!7`; before version 12.7 only its address has it.
  static func projectPath(_ request: JSONValue) -> String? {
    if let full = request["references"]?["full"]?.string, let mark = full.lastIndex(of: "!"), mark != full.startIndex {
      return String(full[..<mark])
    }
    guard let url = request["web_url"]?.string, let scheme = url.firstRange(of: "://"),
      let slash = url[scheme.upperBound...].firstIndex(of: "/"),
      let end = url.firstRange(of: "/-/merge_requests/") ?? url.firstRange(of: "/merge_requests/"),
      slash < end.lowerBound
    else { return nil }
    let path = url[url.index(after: slash)..<end.lowerBound]
    return path.contains("/") ? String(path) : nil
  }

  private static func picked(
    _ value: JSONValue?, _ names: [String], _ more: [String: JSONValue] = [:]
  ) -> JSONValue {
    guard case .object(let fields)? = value else { return .null }
    return .object(fields.filter { names.contains($0.key) }.merging(more) { $1 })
  }

  private static func list(_ value: JSONValue?, _ item: (JSONValue) -> JSONValue) -> JSONValue {
    guard case .array(let items)? = value else { return .array([]) }
    return .array(items.prefix(100).map(item))
  }
}
