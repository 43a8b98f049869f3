internal import FoundationEssentials
internal import Reviews

/// One attempt of one review.
struct RunKey: Sendable, Hashable, CustomStringConvertible {
  var reviewID: UUID
  var attempt: Int

  var description: String { "\(reviewID.lowercase)/\(attempt)" }
}
