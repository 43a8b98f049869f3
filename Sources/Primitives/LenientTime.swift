/// The one reader of times that other programs write: workers, GitHub, GitLab, and proxies in front of them.
///
/// Rails writes a time in the time zone of its instance (`2026-01-01 02:00:00 +0200`, or with `UTC`), an API in RFC 3339 with or without a
/// fraction, older versions of GitHub with slashes, HTTP in words (RFC 9110, 5.6.7, all three forms); some fields are seconds since 1970, and
/// a token ends at a day. What Baton itself writes, and what its own API takes, is RFC 3339 alone: ``Timestamp``.
package enum LenientTime {
  /// Reads a time.
  /// - Returns: nil if the text is no time.
  package static func read(_ text: String) -> Timestamp? {
    var scanner = Scanner(rest: Array(text.utf8)[...])
    scanner.skipSpace()
    return scanner.epoch() ?? scanner.calendarTime()
  }

  /// Reads a time out of JSON: a text, or a number of seconds.
  package static func read(_ value: JSONValue?) -> Timestamp? {
    switch value {
    case .string(let text)?: read(text)
    case .integer(let number)?: time(sinceEpoch: number)
    default: nil
    }
  }

  /// Seconds; a number that is no time of a pull request in seconds is one of milliseconds.
  private static func time(sinceEpoch number: Int64) -> Timestamp? {
    let isMilliseconds = number.magnitude >= 100_000_000_000
    let (microseconds, isOver) = number.multipliedReportingOverflow(by: isMilliseconds ? 1_000 : 1_000_000)
    guard !isOver, number > 0, number < 100_000_000_000_000 else { return nil }
    return Timestamp(microseconds: microseconds)
  }

  private static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

  /// Minutes east of UTC. Letters that stand for several zones, such as IST, are no time: hours of error are worse than the time of receipt.
  private static let zones: [String: Int] = [
    "z": 0, "utc": 0, "gmt": 0, "ut": 0, "wet": 0, "west": 60, "cet": 60, "cest": 120, "met": 60, "mest": 120,
    "eet": 120,
    "eest": 180, "msk": 180, "edt": -240, "est": -300, "cdt": -300, "mdt": -360, "mst": -420, "pdt": -420, "pst": -480,
    "akdt": -480, "akst": -540, "hst": -600, "jst": 540, "kst": 540, "aest": 600, "aedt": 660, "nzst": 720, "nzdt": 780,
  ]

  /// Stands in a text.
  private struct Scanner {
    var rest: ArraySlice<UInt8>

    mutating func skipSpace() { rest = rest.drop { $0 == 0x20 || $0 == 0x09 } }

    mutating func take(_ characters: StaticString) -> Bool {
      let isNext = characters.withUTF8Buffer { set in rest.first.map { set.contains($0) } ?? false }
      if isNext { rest.removeFirst() }
      return isNext
    }

    mutating func digits() -> ArraySlice<UInt8> {
      let digits = rest.prefix { (48...57).contains($0) }
      rest = rest[digits.endIndex...]
      return digits
    }

    mutating func number(_ widths: ClosedRange<Int>) -> Int? {
      let digits = digits()
      return widths.contains(digits.count) ? Int(String(decoding: digits, as: UTF8.self)) : nil
    }

    mutating func word() -> String {
      let letters = rest.prefix { (65...90).contains($0) || (97...122).contains($0) }
      rest = rest[letters.endIndex...]
      return String(decoding: letters, as: UTF8.self).lowercased()
    }

    /// Nothing but a number.
    func epoch() -> Timestamp? {
      var scanner = self
      let digits = scanner.digits()
      scanner.skipSpace()
      guard digits.count > 8, scanner.rest.isEmpty else { return nil }
      return Int64(String(decoding: digits, as: UTF8.self)).flatMap { time(sinceEpoch: $0) }
    }

    mutating func calendarTime() -> Timestamp? {
      if !word().isEmpty {
        _ = take(",")
        skipSpace()
      }
      var clock = (hour: 0, minute: 0, second: 0, microsecond: 0)
      let date: (year: Int, month: Int, day: Int)
      if rest.first.map({ (48...57).contains($0) }) ?? false {
        guard let read = self.date() else { return nil }
        date = read
        skipSpace()
        _ = take("Tt")
        if let next = rest.first, (48...57).contains(next) {
          guard let read = timeOfDay() else { return nil }
          clock = read
        }
      } else {
        guard let read = dateAroundTime() else { return nil }
        (date, clock) = read
      }
      guard let offset = offset() else { return nil }
      let (year, month, day) = date
      let text =
        "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(padded(clock.hour, 2)):\(padded(clock.minute, 2)):"
        + "\(padded(clock.second, 2)).\(padded(clock.microsecond, 6))Z"
      return Timestamp(text).map { Timestamp(microseconds: $0.microseconds - Int64(offset) * 60_000_000) }
    }

    private func padded(_ number: Int, _ width: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }

    /// `2026-01-31`, `2026/01/31`, `31 Jan 2026` or `31-Jan-26`. Whether the calendar has that day, `Timestamp` says.
    private mutating func date() -> (year: Int, month: Int, day: Int)? {
      guard let first = number(1...4) else { return nil }
      if take("-/"), first >= 1_000 {
        guard let month = number(1...2), take("-/"), let day = number(1...2) else { return nil }
        return (first, month, day)
      }
      skipSpace()
      guard let month = month() else { return nil }
      _ = take("-")
      skipSpace()
      guard let year = year() else { return nil }
      return (year, month, first)
    }

    /// `Jan 31 16:50:55 2026`, as C writes it behind the name of the day.
    private mutating func dateAroundTime() -> (
      date: (year: Int, month: Int, day: Int), clock: (hour: Int, minute: Int, second: Int, microsecond: Int)
    )? {
      guard let month = month() else { return nil }
      skipSpace()
      guard let day = number(1...2) else { return nil }
      skipSpace()
      guard let clock = timeOfDay() else { return nil }
      skipSpace()
      guard let year = year() else { return nil }
      return ((year, month, day), clock)
    }

    /// By its name, from 1.
    private mutating func month() -> Int? {
      let name = word()
      return months.firstIndex { name.hasPrefix($0) }.map { $0 + 1 }
    }

    /// Four digits, or the two of HTTP's second form.
    private mutating func year() -> Int? {
      let width = rest.prefix { (48...57).contains($0) }.count
      guard [2, 4].contains(width), let number = number(2...4) else { return nil }
      return width == 4 ? number : number + (number < 70 ? 2_000 : 1_900)
    }

    /// `16:50:55.123456789`; seconds may be missing.
    private mutating func timeOfDay() -> (hour: Int, minute: Int, second: Int, microsecond: Int)? {
      guard let hour = number(1...2), hour < 24, take(":"), let minute = number(2...2), minute < 60 else { return nil }
      guard take(":") else { return (hour, minute, 0, 0) }
      guard let second = number(2...2), second <= 60 else { return nil }
      guard take(".,") else { return (hour, minute, second, 0) }
      let fraction = digits()
      guard !fraction.isEmpty else { return nil }
      let microsecond = (0..<6).reduce(0) { value, index in
        value * 10 + (index < fraction.count ? Int(fraction[fraction.startIndex + index] - 48) : 0)
      }
      return (hour, minute, second, microsecond)
    }

    /// Minutes east of UTC, up to the end of the text; none is UTC.
    private mutating func offset() -> Int? {
      skipSpace()
      if rest.isEmpty { return 0 }
      let zone = word()
      if !zone.isEmpty {
        guard let known = zones[zone] else { return nil }
        skipSpace()
        if rest.isEmpty { return known }
        guard known == 0 else { return nil }
      }
      let isWest = rest.first == UInt8(ascii: "-")
      guard take("+-") else { return nil }
      let digits = digits()
      guard [1, 2, 4].contains(digits.count), var hours = Int(String(decoding: digits.prefix(2), as: UTF8.self)) else {
        return nil
      }
      var minutes = Int(String(decoding: digits.dropFirst(2), as: UTF8.self)) ?? 0
      if digits.count <= 2, take(":") {
        guard let read = number(2...2) else { return nil }
        minutes = read
      }
      skipSpace()
      guard rest.isEmpty, hours < 24, minutes < 60 else { return nil }
      hours = hours * 60 + minutes
      return isWest ? -hours : hours
    }
  }
}
