package import Primitives

/// The one reader of times that GitHub, GitLab and what stands in front of them write.
///
/// Rails writes a time in the time zone of its instance (`2026-01-01 02:00:00 +0200`, or with `UTC`), an API in RFC 3339 with or without a
/// fraction, older versions of GitHub with slashes, HTTP in words; some fields are seconds since 1970, and a token ends at a day.
package enum PlatformTime {
  /// Reads a time.
  /// - Returns: nil if it is none: what rests on it falls back to what the reader knows itself.
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
      guard let (year, month, day) = date() else { return nil }
      var clock = (hour: 0, minute: 0, second: 0, microsecond: 0)
      skipSpace()
      _ = take("Tt")
      if let next = rest.first, (48...57).contains(next) {
        guard let read = timeOfDay() else { return nil }
        clock = read
      }
      guard let offset = offset() else { return nil }
      let text =
        "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(padded(clock.hour, 2)):\(padded(clock.minute, 2)):"
        + "\(padded(clock.second, 2)).\(padded(clock.microsecond, 6))Z"
      return Timestamp(text).map { Timestamp(microseconds: $0.microseconds - Int64(offset) * 60_000_000) }
    }

    private func padded(_ number: Int, _ width: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }

    /// `2026-01-31`, `2026/01/31`, or `Sat, 31 Jan 2026`. Whether the calendar has that day, `Timestamp` says.
    private mutating func date() -> (year: Int, month: Int, day: Int)? {
      if !word().isEmpty {
        _ = take(",")
        skipSpace()
      }
      guard let first = number(1...4) else { return nil }
      if take("-/") {
        guard first >= 1_000, let month = number(1...2), take("-/"), let day = number(1...2) else { return nil }
        return (first, month, day)
      }
      skipSpace()
      let name = word()
      skipSpace()
      guard let month = months.firstIndex(where: { name.hasPrefix($0) }), let year = number(4...4) else { return nil }
      return (year, month + 1, first)
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
      if rest.isEmpty || ["z", "utc", "gmt", "ut"].contains(word()) {
        skipSpace()
        if rest.isEmpty { return 0 }
      }
      let isWest = rest.first == UInt8(ascii: "-")
      guard take("+-") else { return nil }
      let digits = digits()
      guard [2, 4].contains(digits.count), var hours = Int(String(decoding: digits.prefix(2), as: UTF8.self)) else {
        return nil
      }
      var minutes = Int(String(decoding: digits.dropFirst(2), as: UTF8.self)) ?? 0
      if digits.count == 2, take(":") {
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
