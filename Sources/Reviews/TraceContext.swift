/// The identity of one review's path through the system: W3C Trace Context, version 00.
///
/// https://www.w3.org/TR/trace-context/#traceparent-header
package struct TraceContext: Sendable, Hashable {
  /// 32 lower-case hexadecimal digits, not all zero.
  package var traceID: String
  /// 16 lower-case hexadecimal digits, not all zero.
  package var spanID: String

  /// Starts a new trace.
  package init() {
    traceID = Self.hex(UInt64.random(in: 1...UInt64.max)) + Self.hex(UInt64.random(in: 1...UInt64.max))
    spanID = Self.hex(UInt64.random(in: 1...UInt64.max))
  }

  /// Reads a `traceparent` header; nil where it is malformed, so that a new trace starts.
  package init?(traceparent: String) {
    let parts = traceparent.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 4, parts[0].count == 2, parts[0] != "ff", parts[1].count == 32, parts[2].count == 16,
      parts[1].contains(where: { $0 != "0" }), parts[2].contains(where: { $0 != "0" }),
      (parts[1] + parts[2]).utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
    else { return nil }
    traceID = String(parts[1])
    spanID = String(parts[2])
  }

  /// The header's value.
  package var traceparent: String { "00-\(traceID)-\(spanID)-01" }

  /// A new span of the same trace.
  package func child() -> TraceContext {
    var child = self
    child.spanID = Self.hex(UInt64.random(in: 1...UInt64.max))
    return child
  }

  private static func hex(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
