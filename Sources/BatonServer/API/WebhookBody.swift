internal import Primitives
package import ReviewStore
internal import Reviews

/// A webhook delivery as `GET /api/deliveries` and `baton deliveries --json` give it, with every key present.
package struct WebhookBody: Sendable, Encodable {
  let delivery: WebhookRecord

  package init(_ delivery: WebhookRecord) { self.delivery = delivery }

  private enum Key: String, CodingKey {
    case platform, id, event, action, repoFullName, prNumber, headSha, owner, receivedAt, processedAt, outcome, tries
    case reviewId, reviewStatus
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(delivery.platform, forKey: .platform)
    try container.encode(delivery.id, forKey: .id)
    try container.encode(delivery.event, forKey: .event)
    try container.encode(delivery.action, forKey: .action)
    try container.encode(delivery.repository, forKey: .repoFullName)
    try container.encode(delivery.number, forKey: .prNumber)
    try container.encode(delivery.sha, forKey: .headSha)
    try container.encode(delivery.owner, forKey: .owner)
    try container.encode(delivery.receivedAt, forKey: .receivedAt)
    try container.encode(delivery.processedAt, forKey: .processedAt)
    try container.encode(delivery.result, forKey: .outcome)
    try container.encode(delivery.tries, forKey: .tries)
    try container.encode(delivery.review?.id.lowercase, forKey: .reviewId)
    try container.encode(delivery.review?.status, forKey: .reviewStatus)
  }
}
