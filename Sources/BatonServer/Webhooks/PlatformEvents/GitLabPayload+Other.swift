internal import FoundationEssentials
internal import Primitives

extension GitLabPayload {
  /// Whether something is done for events of this kind, also if there is too much in the body to be decoded.
  /// - Parameter name: `X-Gitlab-Event`. A hook of the whole instance has one name for all of its events.
  static func isRelevant(_ name: String, _ body: Data) -> Bool {
    if ["Merge Request Hook", "Note Hook"].contains(name) { return true }
    let fields: [StaticString] = ["object_kind", "event_name"]
    let kinds = body.withUnsafeBytes { bytes in fields.compactMap { InstallationScanner.text(of: $0, in: bytes) } }
    return kinds.contains { ["merge_request", "note", "project_rename", "project_transfer"].contains($0) }
  }

  /// Whether ``PlatformWebhook`` reads the event: a comment that asks for a review, or a label that does.
  func isOther(_ policy: WebhookPolicy) -> Bool {
    let attributes = object_attributes?.fields
    switch object_kind?.string {
    case "note":
      return attributes?.noteable_type?.string == "MergeRequest" && policy.isCommand(attributes?.note?.string ?? "")
    case "merge_request":
      guard attributes?.action?.string == "update", let change = changes?.fields?.labels?.fields else { return false }
      func has(_ labels: Part<[Label]>?) -> Bool {
        labels?.fields?.contains { policy.isLabel($0.title?.string) } ?? false
      }
      return has(change.current) && !has(change.previous)
    default: return false
    }
  }
}
