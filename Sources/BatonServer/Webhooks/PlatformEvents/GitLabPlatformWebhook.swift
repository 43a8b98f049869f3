internal import FoundationEssentials
internal import HTTPKit
internal import Primitives
internal import ReviewStore
internal import Reviews

extension PlatformWebhook {
  /// GitLab's comments and labels.
  func gitlabVerdict() throws(HTTPFault) -> WebhookVerdict? {
    switch json["object_kind"]?.string {
    case "note": return note()
    case "merge_request": return try gitlabLabel()
    default: return nil
    }
  }

  private var user: String { requester(json["user"]?["username"]?.string) }

  private func note() -> WebhookVerdict {
    let note = json["object_attributes"]
    let request = json["merge_request"]
    if stored.isRevoked { return .ignored("the integration was revoked") }
    guard note?["noteable_type"]?.string == "MergeRequest" else {
      return .ignored("the comment is on no merge request")
    }
    guard policy.isCommand(note?["note"]?.string ?? "") else {
      return .ignored("the comment does not ask for a review")
    }
    guard let state = request?["state"]?.string, state != "closed", state != "merged" else {
      return .ignored("the merge request is not open")
    }
    guard let repository = json["project"]?["path_with_namespace"]?.string, let number = int(request?["iid"]),
      let author = note?["author_id"]?.idText ?? json["user"]?["id"]?.idText
    else { return .ignored("the event names no merge request") }
    let project = int(json["project"]?["id"]) ?? int(note?["project_id"]) ?? int(request?["target_project_id"])
    if let reason = notEnabled(repositoryID: project.map { "\($0)" }) { return .ignored(reason) }
    let address = request?["url"]?.string ?? note?["url"]?.string?.split(separator: "#").first.map { String($0) }
    return .platform(
      .asked(
        PlatformTask.ReviewRequest(
          repository: repository, projectId: project.map { Int64($0) }, url: address, number: number, user: author,
          requester: user), key: "\(stored.integrationID.lowercase)/\(note?["id"]?.idText ?? "")"))
  }

  /// An update that adds the label, and nothing else that would begin a review.
  private func gitlabLabel() throws(HTTPFault) -> WebhookVerdict? {
    guard json["object_attributes"]?["action"]?.string == "update",
      let change = json["changes"]?["labels"], isAdded(change)
    else { return nil }
    if stored.isRevoked { return .ignored("the integration was revoked") }
    if let reason = notEnabled(repositoryID: json["project"]?["id"]?.idText) { return .ignored(reason) }
    let attributes = json["object_attributes"]?.replacing("action", with: .string("open"))
    return try requested(json.replacing("object_attributes", with: attributes), event: stored.event, by: user)
  }

  private func isAdded(_ change: JSONValue) -> Bool {
    func has(_ list: JSONValue?) -> Bool {
      guard case .array(let labels)? = list else { return false }
      return labels.contains { policy.isLabel($0["title"]?.string) }
    }
    return has(change["current"]) && !has(change["previous"])
  }

  private func int(_ value: JSONValue?) -> Int? {
    guard case .integer(let number)? = value, number > 0 else { return nil }
    return Int(exactly: number)
  }
}
