package import FoundationEssentials
package import Primitives
internal import Reviews

/// One thing that happened in a run.
package struct RunEvent: Sendable, Codable, Equatable {
  package var timestamp: Timestamp
  package var eventType: String
  package var message: String?
  /// What the agent said beyond its message, as it said it.
  package var content: JSONValue?

  package init(timestamp: Timestamp, eventType: String, message: String? = nil, content: JSONValue? = nil) {
    self.timestamp = timestamp
    self.eventType = eventType
    self.message = message
    self.content = content
  }
}

/// The answer of `GET /reviews/{id}/events`, oldest first.
package struct RunEvents: Sendable, Codable, Equatable {
  package var reviewId: UUID
  package var events: [RunEvent]

  package init(reviewId: UUID, events: [RunEvent]) {
    self.reviewId = reviewId
    self.events = events
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(reviewId.lowercase, forKey: .reviewId)
    try container.encode(events, forKey: .events)
  }
}
