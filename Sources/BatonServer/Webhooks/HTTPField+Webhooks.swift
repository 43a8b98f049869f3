internal import HTTPKit
internal import HTTPTypes

extension HTTPField.Name {
  static let hubSignature = HTTPField.Name(known: "X-Hub-Signature-256")
  static let githubEvent = HTTPField.Name(known: "X-GitHub-Event")
  static let githubDelivery = HTTPField.Name(known: "X-GitHub-Delivery")
  static let gitlabToken = HTTPField.Name(known: "X-Gitlab-Token")
  static let gitlabEvent = HTTPField.Name(known: "X-Gitlab-Event")
  static let gitlabEventID = HTTPField.Name(known: "X-Gitlab-Event-UUID")
  static let idempotencyKey = HTTPField.Name(known: "Idempotency-Key")
}
