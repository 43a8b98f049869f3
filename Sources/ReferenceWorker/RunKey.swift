internal import FoundationEssentials
internal import Logging
internal import Primitives
internal import Reviews

/// One attempt of one review.
struct RunKey: Sendable, Hashable, CustomStringConvertible {
  var reviewID: UUID
  var attempt: Int

  var description: String { "\(reviewID.lowercase)/\(attempt)" }

  /// What every line of the log about the run has, as the dispatcher's lines about the review have it.
  func metadata(_ trace: TraceContext?) -> Logger.Metadata {
    var metadata: Logger.Metadata = ["review": "\(self)"]
    metadata["trace"] = trace.map { "\($0.traceID)" }
    return metadata
  }
}
