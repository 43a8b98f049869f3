internal import FoundationEssentials
internal import NIOHTTP1
internal import Primitives
internal import Reviews

/// The header `Retry-After`: whole seconds or an HTTP date (RFC 9110, 10.2.3).
enum RetryAfter {
  /// A longer wait is cut to this.
  static let max: Duration = .seconds(86_400)

  static func parse(_ headers: HTTPHeaders) -> Duration? {
    headers.first(name: "retry-after").flatMap { parse($0, now: Date()) }
  }

  /// - Returns: zero for a time that has passed; nil if the text is neither form.
  static func parse(_ text: String, now: Date) -> Duration? {
    let text = String(text.drop(while: { $0 == " " }).reversed().drop(while: { $0 == " " }).reversed())
    if !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) {
      return min(Int64(text).map { .seconds($0) } ?? max, max)
    }
    guard let date = date(text) else { return nil }
    let seconds = date.since(Timestamp(microseconds: 0)).components.seconds - Int64(now.timeIntervalSince1970)
    return min(.seconds(Swift.max(seconds, 0)), max)
  }

  /// The three forms of an HTTP date (RFC 9110, 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`,
  /// `Sun Nov  6 08:49:37 1994`.
  private static func date(_ text: String) -> Timestamp? {
    let words = text.split(whereSeparator: { $0 == " " || $0 == "-" }).map(String.init)
    if words.count == 6, words[0].hasSuffix(","), words[5] == "GMT" {
      return timestamp(year: words[3], month: words[2], day: words[1], time: words[4])
    }
    if words.count == 5, !words[0].hasSuffix(",") {
      return timestamp(year: words[4], month: words[1], day: words[2], time: words[3])
    }
    return nil
  }

  private static func timestamp(year: String, month: String, day: String, time: String) -> Timestamp? {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    guard let index = months.firstIndex(of: month), let dayNumber = Int(day), var yearNumber = Int(year) else {
      return nil
    }
    if year.count == 2 { yearNumber += yearNumber < 70 ? 2000 : 1900 }
    let twoDigits = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
    return Timestamp("\(yearNumber)-\(twoDigits(index + 1))-\(twoDigits(dayNumber))T\(time)Z")
  }
}
