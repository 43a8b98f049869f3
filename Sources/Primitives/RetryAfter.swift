package import FoundationEssentials

/// The header `Retry-After`: whole seconds or an HTTP date (RFC 9110, 10.2.3).
package enum RetryAfter {
  /// A longer wait is cut to this.
  package static let max: Duration = .seconds(86_400)

  /// - Returns: zero for a time that has passed; nil if the text is neither form.
  package static func parse(_ text: String, now: Date) -> Duration? {
    let text = String(text.drop(while: { $0 == " " }).reversed().drop(while: { $0 == " " }).reversed())
    if !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) {
      return min(Int64(text).map { .seconds($0) } ?? max, max)
    }
    // A day alone is no instant to wait for.
    guard text.utf8.contains(UInt8(ascii: ":")), let date = LenientTime.read(text) else { return nil }
    let seconds = date.since(Timestamp(microseconds: 0)).components.seconds - Int64(now.timeIntervalSince1970)
    return min(.seconds(Swift.max(seconds, 0)), max)
  }
}
