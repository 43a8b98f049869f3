package import FoundationEssentials

/// The header `Retry-After`: whole seconds or an HTTP date (RFC 9110, 10.2.3).
package enum RetryAfter {
  /// A longer wait is cut to this.
  package static let max: Duration = .seconds(86_400)

  /// How long an answer asks to be left alone; nil if it does not say.
  ///
  /// An HTTP date is a time of the answering clock, so what it is compared with is the answer's own `Date`: this machine's clock may be an hour
  /// off. An answer out of a cache (`Age`) has an old one.
  /// - Parameters:
  ///   - now: this machine's clock, if the answer has no time of its own.
  ///   - header: gives the first value of a header.
  package static func wait(now: Date = Date(), header: (String) -> String?) -> Duration? {
    guard let text = header("retry-after") else { return nil }
    let sent = header("age") == nil ? header("date").flatMap { LenientTime.read($0) } : nil
    return parse(text, now: sent.map { Date(timeIntervalSince1970: Double($0.microseconds) / 1_000_000) } ?? now)
  }

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
