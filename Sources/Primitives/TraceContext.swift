package import FoundationEssentials

/// The identity of one review's path through the system: W3C Trace Context, version 00.
///
/// https://www.w3.org/TR/trace-context/#traceparent-header. Each review has one trace, whichever attempt, claim or process it is
/// about: that of the request that created it; or, if it was inserted by SQL, one made from its id.
@usableFromInline
package struct TraceContext: Sendable, Hashable {
  /// 32 lower-case hexadecimal digits, not all zero.
  package var traceID: String
  /// 16 lower-case hexadecimal digits, not all zero.
  package var spanID: String
  /// Whether its first service records it: the flag `sampled`, passed on as it came.
  package var isSampled = true

  /// What the present task works on, for log lines of code that does not get the trace: a line that names a review gets this one.
  @TaskLocal package static var current: TraceContext?

  private init(traceID: String, spanID: String) { (self.traceID, self.spanID) = (traceID, spanID) }

  /// Starts a new trace.
  package init() {
    traceID = Self.hex(UInt64.random(in: 1...UInt64.max)) + Self.hex(UInt64.random(in: 1...UInt64.max))
    spanID = Self.hex(UInt64.random(in: 1...UInt64.max))
  }

  /// The trace of a review whose row has none: the same in every process, and the same that a claim stores.
  package init(of id: UUID) {
    let digits = id.lowercase.filter { $0 != "-" }
    // Neither may be all zero, whatever ids an application makes up.
    let halves = [String(digits.suffix(16)), String(digits.prefix(16))]
    guard let span = halves.first(where: { $0.contains { $0 != "0" } }) else {
      self = TraceContext()
      return
    }
    self = TraceContext(traceID: digits, spanID: span)
  }

  /// Reads a `traceparent` header; nil if it is malformed, so that a new trace starts.
  package init?(traceparent: String) {
    // Version, trace, span and flags; a later version may have more behind them.
    var text = traceparent
    let isWellFormed = text.withUTF8 { utf8 in
      utf8.count >= 55 && (utf8.count == 55 || utf8[55] == Self.dash)
        && [2, 35, 52].allSatisfy { utf8[$0] == Self.dash }
        && [0..<2, 3..<35, 36..<52, 53..<55].allSatisfy { utf8[$0].allSatisfy(Self.isHex) }
        && utf8[3..<35].contains { $0 != Self.zero } && utf8[36..<52].contains { $0 != Self.zero }
        && !utf8.starts(with: "ff".utf8) && (utf8.count == 55 || !utf8.starts(with: "00".utf8))
    }
    guard isWellFormed else { return nil }
    traceID = String(decoding: text.utf8.dropFirst(3).prefix(32), as: UTF8.self)
    spanID = String(decoding: text.utf8.dropFirst(36).prefix(16), as: UTF8.self)
    isSampled = UInt8(text.dropFirst(53).prefix(2), radix: 16).map { $0 & 1 == 1 } ?? true
  }

  private static let dash = UInt8(ascii: "-")
  private static let zero = UInt8(ascii: "0")

  private static func isHex(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
  }

  /// The header's value.
  package var traceparent: String { "00-\(traceID)-\(spanID)-\(isSampled ? "01" : "00")" }

  /// A new span of the same trace.
  package func child() -> TraceContext {
    var generator = SystemRandomNumberGenerator()
    return child(using: &generator)
  }

  /// A new span of the same trace, drawn from a given source of chance.
  package func child(using generator: inout some RandomNumberGenerator) -> TraceContext {
    var child = self
    // Never all zero, also with a source that is constant.
    child.spanID = Self.hex(max(1, generator.next()))
    return child
  }

  private static func hex(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
