/// An instant of the database's clock, in microseconds since 1970-01-01 UTC; as exact as Postgres's `timestamptz`, so
/// that a claim can be recognised by its time.
///
/// Like a `timestamptz` it may be infinite: a review that is available at `infinity` is never due. Arithmetic saturates.
package struct Timestamp: Sendable, Hashable, Comparable {
  package var microseconds: Int64

  /// Later than every instant.
  package static let infinity = Timestamp(microseconds: .max)
  /// Earlier than every instant.
  package static let negativeInfinity = Timestamp(microseconds: .min)

  package init(microseconds: Int64) { self.microseconds = microseconds }

  package var isFinite: Bool { self != .infinity && self != .negativeInfinity }

  package static func < (left: Timestamp, right: Timestamp) -> Bool { left.microseconds < right.microseconds }

  /// The time from an earlier instant to this one; the longest or the shortest if that is beyond what can be counted.
  package func since(_ earlier: Timestamp) -> Duration {
    let (difference, isBeyond) = microseconds.subtractingReportingOverflow(earlier.microseconds)
    return .microseconds(isBeyond ? (microseconds < 0 ? .min : .max) : difference)
  }

  /// The instant that is so much later, or earlier; an infinite one stays.
  package func moved(by duration: Duration) -> Timestamp {
    guard isFinite else { return self }
    let (seconds, attoseconds) = duration.components
    let (whole, isLong) = seconds.multipliedReportingOverflow(by: 1_000_000)
    let (sum, isBeyond) = microseconds.addingReportingOverflow(whole)
    guard !isLong, !isBeyond else { return seconds < 0 ? .negativeInfinity : .infinity }
    let (moved, isOver) = sum.addingReportingOverflow(attoseconds / 1_000_000_000_000)
    return isOver ? (seconds < 0 ? .negativeInfinity : .infinity) : Timestamp(microseconds: moved)
  }
}

// MARK: RFC 3339

extension Timestamp: CustomStringConvertible, LosslessStringConvertible {
  /// RFC 3339 in UTC with six digits: `2026-11-23T22:18:47.000123Z`. What it has no form for is as Postgres and ISO 8601 have it:
  /// `infinity`, `-infinity`, and years of six digits with a sign.
  package var description: String {
    guard isFinite else { return self == .infinity ? "infinity" : "-infinity" }
    let (days, time) = microseconds.flooredDivision(by: 86_400_000_000)
    let (second, fraction) = time.quotientAndRemainder(dividingBy: 1_000_000)
    let (year, month, day) = Self.date(daysSinceEpoch: Int(days))
    guard (0...9_999).contains(year) else {
      let sign = year < 0 ? "-" : "+"
      return "\(sign)\(Self.digits(Int(year.magnitude), 6))" + Self.tail(month, day, Int(second), Int(fraction))
    }
    return Self.digits(year, 4) + Self.tail(month, day, Int(second), Int(fraction))
  }

  /// From the month on.
  private static func tail(_ month: Int, _ day: Int, _ second: Int, _ fraction: Int) -> String {
    String(unsafeUninitializedCapacity: 23) { buffer in
      var position = 0
      func put(_ separator: Character, _ value: Int, _ width: Int) {
        buffer[position] = separator.asciiValue ?? 0
        var value = value
        for offset in stride(from: width, to: 0, by: -1) {
          buffer[position + offset] = UInt8(48 + value % 10)
          value /= 10
        }
        position += width + 1
      }
      put("-", month, 2)
      put("-", day, 2)
      put("T", second / 3600, 2)
      put(":", second / 60 % 60, 2)
      put(":", second % 60, 2)
      put(".", fraction, 6)
      buffer[position] = UInt8(ascii: "Z")
      return position + 1
    }
  }

  private static func digits(_ value: Int, _ width: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
  }

  /// Parses RFC 3339 with `Z` or an offset, and up to nine digits of fraction (the last three are dropped).
  package init?(_ text: String) {
    var bytes = Array(text.utf8)[...]
    func number(_ width: Int, then separators: String? = nil) -> Int? {
      guard bytes.count >= width else { return nil }
      var value = 0
      for byte in bytes.prefix(width) {
        guard (48...57).contains(byte) else { return nil }
        value = value * 10 + Int(byte - 48)
      }
      bytes.removeFirst(width)
      guard let separators else { return value }
      guard let next = bytes.popFirst(), separators.utf8.contains(next) else { return nil }
      return value
    }
    guard let year = number(4, then: "-"), let month = number(2, then: "-"), let day = number(2, then: "Tt "),
      let hour = number(2, then: ":"), let minute = number(2, then: ":"), let second = number(2),
      (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61
    else { return nil }
    var fraction = 0
    if bytes.first == UInt8(ascii: ".") {
      bytes.removeFirst()
      let digits = bytes.prefix { (48...57).contains($0) }
      guard (1...9).contains(digits.count) else { return nil }
      for index in 0..<6 {
        fraction = fraction * 10 + (index < digits.count ? Int(digits[digits.startIndex + index] - 48) : 0)
      }
      bytes.removeFirst(digits.count)
    }
    var offset = 0
    switch bytes.popFirst() {
    case UInt8(ascii: "Z"), UInt8(ascii: "z"): break
    case .some(let sign) where sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"):
      guard let hours = number(2, then: ":"), let minutes = number(2), hours < 24, minutes < 60 else { return nil }
      offset = (hours * 60 + minutes) * 60 * (sign == UInt8(ascii: "+") ? 1 : -1)
    default: return nil
    }
    guard bytes.isEmpty else { return nil }
    let days = Self.daysSinceEpoch(year: year, month: month, day: day)
    // The 31st of February is no day, and must not become one in March.
    guard Self.date(daysSinceEpoch: days) == (year, month, day) else { return nil }
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
    self.init(microseconds: Int64(seconds) * 1_000_000 + Int64(fraction))
  }

  /// The civil calendar from a count of days (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
  private static func date(daysSinceEpoch: Int) -> (year: Int, month: Int, day: Int) {
    let shifted = daysSinceEpoch + 719_468
    let era = shifted.floored(by: 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }

  private static func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int {
    let shiftedYear = month <= 2 ? year - 1 : year
    let era = shiftedYear.floored(by: 400)
    let yearOfEra = shiftedYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}

extension Timestamp: Codable {
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Timestamp(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an RFC 3339 time: \(text)")
    }
    self = value
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

extension BinaryInteger {
  /// Division that rounds down, also below zero.
  fileprivate func floored(by divisor: Self) -> Self { flooredDivision(by: divisor).quotient }

  /// Division that rounds down, and what is left, which is never negative.
  fileprivate func flooredDivision(by divisor: Self) -> (quotient: Self, rest: Self) {
    let (quotient, rest) = quotientAndRemainder(dividingBy: divisor)
    return rest < 0 ? (quotient - 1, rest + divisor) : (quotient, rest)
  }
}
