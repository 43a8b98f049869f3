internal import Primitives
package import ReviewStore
package import Reviews

/// A page of a list, as the API answers it and a command prints it with `--json`: the items under their own name, and the cursor of the next
/// page. It is null at the end, so that the key is always there.
package struct PageBody<Item: Encodable & Sendable>: Sendable, Encodable {
  private let name: String
  private let items: [Item]
  private let nextCursor: String?

  private init(_ name: String, _ items: [Item], _ next: (any CustomStringConvertible)?) {
    self.name = name
    self.items = items
    nextCursor = next?.description
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: FieldName.self)
    try container.encode(items, forKey: FieldName(name))
    try container.encode(nextCursor, forKey: FieldName("nextCursor"))
  }
}

extension PageBody<ReviewBody> {
  package init(_ reviews: [Review], next: ReviewCursor?) {
    self.init("reviews", reviews.map { ReviewBody($0) }, next)
  }
}

extension PageBody<WebhookBody> {
  package init(_ webhooks: [WebhookRecord], next: WebhookCursor?) {
    self.init("deliveries", webhooks.map { WebhookBody($0) }, next)
  }
}
