/// The three forms of a date in an HTTP header (RFC 9110, 5.6.7).
package enum HTTPDate {
  /// Reads `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or `Sun Nov  6 08:49:37 1994`.
  /// - Returns: nil if the text has another form.
  package static func parse(_ text: String) -> Timestamp? {
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
