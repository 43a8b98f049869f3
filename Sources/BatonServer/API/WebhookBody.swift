internal import Primitives
package import ReviewStore
internal import Reviews

/// A webhook delivery as `GET /api/deliveries` and `baton deliveries --json` give it, with every key present.
package struct WebhookBody: Sendable, Encodable {
  let webhook: WebhookRecord

  package init(_ webhook: WebhookRecord) { self.webhook = webhook }

  private enum Key: String, CodingKey {
    case platform, id, event, action, repoFullName, prNumber, headSha, owner, receivedAt, processedAt, outcome, tries
    case reviewId, reviewStatus
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(webhook.platform, forKey: .platform)
    try container.encode(webhook.id, forKey: .id)
    try container.encode(webhook.event, forKey: .event)
    try container.encode(webhook.action, forKey: .action)
    try container.encode(webhook.repository, forKey: .repoFullName)
    try container.encode(webhook.number, forKey: .prNumber)
    try container.encode(webhook.sha, forKey: .headSha)
    try container.encode(webhook.owner, forKey: .owner)
    try container.encode(webhook.receivedAt, forKey: .receivedAt)
    try container.encode(webhook.processedAt, forKey: .processedAt)
    try container.encode(webhook.result, forKey: .outcome)
    try container.encode(webhook.tries, forKey: .tries)
    try container.encode(webhook.review?.id.lowercase, forKey: .reviewId)
    try container.encode(webhook.review?.status, forKey: .reviewStatus)
  }
}
