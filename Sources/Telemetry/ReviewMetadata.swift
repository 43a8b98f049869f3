package import FoundationEssentials
package import Logging
package import Primitives
internal import Reviews

extension Logger.Metadata {
  /// What every line about a review carries: which one it is, and the trace that joins the lines of all roles.
  /// - Parameter more: what else the line says.
  package static func review(
    _ id: UUID, attempt: Int? = nil, _ trace: TraceContext, _ more: Logger.Metadata = [:]
  ) -> Logger.Metadata {
    var metadata: Logger.Metadata = ["review": "\(id.lowercase)", "trace": "\(trace.traceID)"]
    if let attempt { metadata["attempt"] = "\(attempt)" }
    return metadata.merging(more) { $1 }
  }
}
