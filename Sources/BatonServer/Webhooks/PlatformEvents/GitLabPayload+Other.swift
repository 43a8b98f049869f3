internal import Primitives

extension GitLabPayload {
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
