internal import Primitives

/// Decides which traces are recorded: the same in every process, as it looks at the trace's id alone.
///
/// The decision is made where a trace begins, and travels as the flag `sampled`. A trace that its sender has begun keeps the sender's decision.
/// One that begins with an inserted row has no such place: its span id says so, and each process decides, with the same outcome.
struct TraceSampler: Sendable {
  /// Of 2^56: the last 56 bits of a trace's id are random, also in an id that is a UUID (W3C Trace Context 2, OTEP 235).
  private let threshold: UInt64

  private static let scale = UInt64(1) << 56

  /// - Parameter ratio: 0 for none, 1 for all.
  init(ratio: Double) {
    threshold = Self.scale - UInt64((min(max(ratio, 0), 1) * Double(Self.scale)).rounded())
  }

  func samples(_ trace: TraceContext) -> Bool { trace.traceLow & (Self.scale - 1) >= threshold }
}

extension TraceContext {
  /// Whether it was made from the id of a review: then there is no span with its span id.
  var isOfReview: Bool { span == traceLow || span == traceHigh }
}
