public import FoundationEssentials

/// A `timestamptz`: microseconds since 2000-01-01 00:00 UTC, exactly as Postgres keeps it.
///
/// A `Date` is a `Double` of seconds and loses the last microseconds; two instants that Postgres takes for
/// equal are equal here.
public struct PostgresInstant: Sendable, Hashable, Comparable {
  /// Since 2000-01-01 00:00 UTC; the largest and the smallest are `infinity` and `-infinity`.
  public var microseconds: Int64

  /// Seconds from 1970 to 2000.
  static let unixSecondsAtEpoch: Int64 = 946_684_800

  /// Postgres's `infinity`: later than every instant.
  public static let infinity = PostgresInstant(microseconds: .max)
  /// Postgres's `-infinity`: earlier than every instant.
  public static let negativeInfinity = PostgresInstant(microseconds: .min)

  /// Creates an instant from microseconds since 2000-01-01 00:00 UTC.
  public init(microseconds: Int64) { self.microseconds = microseconds }

  /// The microsecond nearest to a date; dates beyond 290,000 years from now become the infinities.
  public init(_ date: Date) {
    let value = ((date.timeIntervalSince1970 - Double(Self.unixSecondsAtEpoch)) * 1_000_000).rounded()
    microseconds = Int64(exactly: value) ?? (value < 0 ? .min : .max)
  }

  /// Since 1970-01-01 00:00 UTC; the infinities stay the largest and the smallest.
  public var unixMicroseconds: Int64 {
    let (sum, isOver) = microseconds.addingReportingOverflow(Self.unixSecondsAtEpoch * 1_000_000)
    return self == .negativeInfinity ? .min : isOver ? .max : sum
  }

  /// Whether it is neither `infinity` nor `-infinity`.
  public var isFinite: Bool { self != .infinity && self != .negativeInfinity }

  /// The nearest date, to about a microsecond.
  public var date: Date {
    Date(timeIntervalSince1970: Double(microseconds) / 1_000_000 + Double(Self.unixSecondsAtEpoch))
  }

  /// Whether the earlier one comes first.
  public static func < (left: PostgresInstant, right: PostgresInstant) -> Bool {
    left.microseconds < right.microseconds
  }

  /// The time from one instant to a later one; negative if the later one is earlier. Beyond what 64 bits of microseconds can count, and
  /// from or to an infinity, it is the longest or the shortest that they can.
  public static func - (left: PostgresInstant, right: PostgresInstant) -> Duration {
    let (difference, isBeyond) = left.microseconds.subtractingReportingOverflow(right.microseconds)
    return .microseconds(isBeyond ? (left < right ? .min : .max) : difference)
  }

  /// An instant later by a duration, which is cut to microseconds. An infinity stays what it is; beyond the last instant is infinity.
  public static func + (left: PostgresInstant, right: Duration) -> PostgresInstant {
    guard left.isFinite else { return left }
    let (sum, isBeyond) = left.microseconds.addingReportingOverflow(right.microseconds)
    return isBeyond ? (right < .zero ? .negativeInfinity : .infinity) : PostgresInstant(microseconds: sum)
  }
}

extension PostgresInstant: PostgresEncodable, PostgresDecodable {
  /// `timestamptz`.
  public static var typeOID: UInt32 { TypeOID.timestamptz }
  /// `timestamptz[]`.
  public static var arrayTypeOID: UInt32 { TypeOID.timestamptzArray }
  /// Appends eight bytes.
  public func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: microseconds) }
  /// Reads `timestamptz`, and `timestamp` as if it were in UTC.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> PostgresInstant {
    guard type == TypeOID.timestamptz || type == TypeOID.timestamp, binary.count == 8 else { throw mismatch(type) }
    return PostgresInstant(microseconds: Int64(bigEndian: binary.loadUnaligned(as: Int64.self)))
  }
}

extension Date: PostgresEncodable, PostgresDecodable {
  /// `timestamptz`.
  public static var typeOID: UInt32 { TypeOID.timestamptz }
  /// `timestamptz[]`.
  public static var arrayTypeOID: UInt32 { TypeOID.timestamptzArray }
  /// Appends the nearest microsecond.
  public func encode(into bytes: inout [UInt8]) { PostgresInstant(self).encode(into: &bytes) }
  /// Reads `timestamptz`, and `timestamp` as if it were in UTC.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> Date {
    try PostgresInstant.decode(binary: binary, type: type).date
  }
}

/// An `interval`: months, days and microseconds, which Postgres keeps apart because months and days vary in length.
public struct PostgresInterval: Sendable, Hashable, PostgresEncodable, PostgresDecodable {
  /// Calendar months.
  public var months: Int32
  /// Calendar days.
  public var days: Int32
  /// The rest, exact.
  public var microseconds: Int64

  /// Creates an interval of its three parts.
  public init(months: Int32 = 0, days: Int32 = 0, microseconds: Int64 = 0) {
    self.months = months
    self.days = days
    self.microseconds = microseconds
  }

  /// An exact interval, cut to microseconds.
  public init(_ duration: Duration) { self.init(microseconds: duration.microseconds) }

  /// The exact duration, a day taken as 24 hours; nil if there are months.
  public var duration: Duration? {
    months == 0 ? .microseconds(microseconds) + .seconds(Int64(days) * 86_400) : nil
  }

  /// `interval`.
  public static var typeOID: UInt32 { TypeOID.interval }
  /// `interval[]`.
  public static var arrayTypeOID: UInt32 { TypeOID.intervalArray }

  /// Appends sixteen bytes.
  public func encode(into bytes: inout [UInt8]) {
    bytes.append(bigEndian: microseconds)
    bytes.append(bigEndian: days)
    bytes.append(bigEndian: months)
  }

  /// Reads `interval`.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> PostgresInterval {
    guard type == TypeOID.interval, binary.count == 16 else { throw mismatch(type) }
    var reader = ByteReader(binary)
    let microseconds: Int64 = try reader.next()
    let days: Int32 = try reader.next()
    let months: Int32 = try reader.next()
    return PostgresInterval(months: months, days: days, microseconds: microseconds)
  }
}

extension Duration {
  /// Whole microseconds, cut; the longest that fit if there are more.
  var microseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
    let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000_000)
    return overflow || carry ? (seconds < 0 ? .min : .max) : sum
  }
}
