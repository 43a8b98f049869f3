package import FoundationEssentials
internal import Primitives
internal import Reviews

/// The body of `POST /reviews/{id}/cancel`.
package struct CancelRequest: Sendable, Codable, Equatable {
  package var reason: String?
  /// Attempts up to this one are cancelled, also those that the worker does not know yet; without it, the known one.
  package var attempt: Int?

  package init(reason: String? = nil, attempt: Int? = nil) {
    self.reason = reason
    self.attempt = attempt
  }
}

/// The answer of `POST /reviews/{id}/cancel`.
package struct CancelResponse: Sendable, Codable, Equatable {
  /// Whether the attempt will not go on: false if there was nothing left to cancel.
  package var success: Bool
  package var reviewId: UUID

  package init(success: Bool, reviewId: UUID) {
    self.success = success
    self.reviewId = reviewId
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(success, forKey: .success)
    try container.encode(reviewId.lowercase, forKey: .reviewId)
  }
}

/// Every error of the worker contract: `{"error": "…"}`.
package struct ErrorBody: Sendable, Codable, Equatable {
  package var error: String

  package init(error: String) { self.error = error }
}
