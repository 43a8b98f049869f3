package import FoundationEssentials

/// The identity of one review's path through the system: W3C Trace Context, version 00.
///
/// https://www.w3.org/TR/trace-context/#traceparent-header. Each review has one trace, whichever attempt, claim or process it is
/// about: that of the request that created it; or, if it was inserted by SQL, one made from its id.
///
/// The ids are numbers, because a trace is read and copied many times on its review's path. They become text where they are sent or logged.
@usableFromInline
package struct TraceContext: Sendable, Hashable {
  /// The first 64 bits of the trace's id; these and the last ones are not both zero.
  package let traceHigh: UInt64
  /// The last 64 bits of the trace's id.
  package let traceLow: UInt64
  /// The span's id, not zero.
  package private(set) var span: UInt64
  /// Whether its first service records it: the flag `sampled`, passed on as it came.
  package var isSampled = true

  /// What the present task works on, for log lines of code that does not get the trace: a line that names a review gets this one.
  @TaskLocal package static var current: TraceContext?

  private init(_ traceHigh: UInt64, _ traceLow: UInt64, span: UInt64) {
    (self.traceHigh, self.traceLow, self.span) = (traceHigh, traceLow, span)
  }

  /// Starts a new trace.
  package init() {
    self.init(
      .random(in: 1...UInt64.max), .random(in: 1...UInt64.max), span: .random(in: 1...UInt64.max))
  }

  /// The trace of a review whose row has none: the same in every process, and the same that a claim stores.
  package init(of id: UUID) {
    let (high, low) = withUnsafeBytes(of: id.uuid) { bytes in
      (
        UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      )
    }
    // Neither id may be zero, whatever ids an application makes up.
    guard high | low != 0 else {
      self = TraceContext()
      return
    }
    self.init(high, low, span: low == 0 ? high : low)
  }

  /// A new span of the same trace.
  package func child() -> TraceContext {
    var generator = SystemRandomNumberGenerator()
    return child(using: &generator)
  }

  /// A new span of the same trace, drawn from a given source of chance.
  package func child(using generator: inout some RandomNumberGenerator) -> TraceContext {
    var child = self
    // Never zero, also with a source that is constant.
    child.span = max(1, generator.next())
    return child
  }

  /// Whether both are spans of one trace.
  package func isSameTrace(as other: TraceContext) -> Bool {
    (traceHigh, traceLow) == (other.traceHigh, other.traceLow)
  }
}

// MARK: Text

extension TraceContext {
  /// Reads a `traceparent` header; nil if it is malformed, so that a new trace starts.
  package init?(traceparent: String) {
    var text = traceparent
    guard let trace = text.withUTF8({ TraceContext(traceparent: $0) }) else { return nil }
    self = trace
  }

  /// Version, trace, span and flags; a later version may have more behind them.
  private init?(traceparent text: UnsafeBufferPointer<UInt8>) {
    guard text.count >= 55, text[2] == Self.dash, text[35] == Self.dash, text[52] == Self.dash,
      let version = Self.number(text[0..<2]), version != 0xFF,
      text.count == 55 || version != 0 && text[55] == Self.dash,
      let high = Self.number(text[3..<19]), let low = Self.number(text[19..<35]), high | low != 0,
      let span = Self.number(text[36..<52]), span != 0, let flags = Self.number(text[53..<55])
    else { return nil }
    self.init(high, low, span: span)
    isSampled = flags & 1 == 1
  }

  /// The header's value.
  package var traceparent: String {
    String(unsafeUninitializedCapacity: 55) { text in
      (text[0], text[1], text[2]) = (Self.zero, Self.zero, Self.dash)
      Self.write(traceHigh, to: text, at: 3)
      Self.write(traceLow, to: text, at: 19)
      text[35] = Self.dash
      Self.write(span, to: text, at: 36)
      (text[52], text[53], text[54]) = (Self.dash, Self.zero, isSampled ? Self.zero + 1 : Self.zero)
      return 55
    }
  }

  /// The trace's id: 32 lower-case hexadecimal digits.
  package var traceID: String {
    String(unsafeUninitializedCapacity: 32) { text in
      Self.write(traceHigh, to: text, at: 0)
      Self.write(traceLow, to: text, at: 16)
      return 32
    }
  }

  /// The span's id: 16 lower-case hexadecimal digits.
  package var spanID: String {
    String(unsafeUninitializedCapacity: 16) { text in
      Self.write(span, to: text, at: 0)
      return 16
    }
  }

  private static let dash = UInt8(ascii: "-")
  private static let zero = UInt8(ascii: "0")

  /// - Returns: nil if not all are lower-case hexadecimal digits.
  private static func number(_ digits: Slice<UnsafeBufferPointer<UInt8>>) -> UInt64? {
    var number: UInt64 = 0
    for digit in digits {
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number << 4 | UInt64(digit - zero)
      case UInt8(ascii: "a")...UInt8(ascii: "f"): number = number << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
      default: return nil
      }
    }
    return number
  }

  private static func write(_ number: UInt64, to text: UnsafeMutableBufferPointer<UInt8>, at position: Int) {
    for index in 0..<16 {
      text[position + index] = .hexadecimalDigit(UInt8(truncatingIfNeeded: number >> (60 - 4 * index)) & 15)
    }
  }
}
