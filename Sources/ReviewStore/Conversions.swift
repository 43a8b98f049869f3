internal import FoundationEssentials
internal import PostgresClient
internal import Primitives
internal import Reviews

extension Timestamp {
  /// From 1970-01-01 to Postgres's epoch, 2000-01-01.
  private static let postgresEpochMicroseconds: Int64 = 946_684_800_000_000

  init(_ instant: PostgresInstant) {
    let (sum, isOver) = instant.microseconds.addingReportingOverflow(Self.postgresEpochMicroseconds)
    self = instant == .negativeInfinity ? .negativeInfinity : isOver ? .infinity : Timestamp(microseconds: sum)
  }

  var instant: PostgresInstant {
    let (difference, isUnder) = microseconds.subtractingReportingOverflow(Self.postgresEpochMicroseconds)
    return self == .infinity
      ? .infinity : isUnder ? .negativeInfinity : PostgresInstant(microseconds: difference)
  }
}

extension Duration {
  /// 285,000 years: in microseconds less than the greatest `Int64`, and a `Double` is exact about both.
  private static let secondsMax = 9e12

  /// Seconds as the database computes them: infinite ones become 285,000 years, NaN becomes zero.
  package static func seconds(saturating seconds: Double) -> Duration {
    seconds.isNaN ? .zero : .seconds(min(max(seconds, -secondsMax), secondsMax))
  }

  /// Seconds, as `make_interval(secs => $n)` takes them.
  var inSeconds: Double { self / .seconds(1) }
}

extension PostgresRow {
  func timestamp(_ column: String) throws(PostgresError) -> Timestamp {
    Timestamp(try decode(column, as: PostgresInstant.self))
  }

  func optionalTimestamp(_ column: String) throws(PostgresError) -> Timestamp? {
    try decode(column, as: PostgresInstant?.self).map { Timestamp($0) }
  }

  func optional<Value: PostgresDecodable>(_ column: String, as: Value.Type) throws(PostgresError) -> Value? {
    try decode(column, as: Value?.self)
  }

  /// The trace of a review, from the column `traceparent`; if that holds none, or an invalid one, the one made from its id.
  func trace(of id: UUID) throws -> TraceContext {
    try optional("traceparent", as: String.self).flatMap { TraceContext(traceparent: $0) } ?? TraceContext(of: id)
  }

  /// Decodes a text column whose values a check constraint lists.
  func choice<Choice: RawRepresentable>(_ column: String, as: Choice.Type) throws -> Choice
  where Choice.RawValue == String {
    let text = try decode(column, as: String.self)
    guard let choice = Choice(rawValue: text) else { throw UnknownValue(column: column, value: text) }
    return choice
  }
}

extension PostgresRow.Reader {
  mutating func timestamp() throws(PostgresError) -> Timestamp { Timestamp(try next(PostgresInstant.self)) }

  /// Decodes a text column whose values a check constraint lists.
  mutating func choice<Choice: RawRepresentable>(_: Choice.Type = Choice.self) throws -> Choice
  where Choice.RawValue == String {
    let text = try next(String.self)
    guard let choice = Choice(rawValue: text) else {
      throw UnknownValue(column: columnNames[position - 1], value: text)
    }
    return choice
  }
}

/// A value in the database that this version of Baton does not know.
package struct UnknownValue: Error, CustomStringConvertible {
  var column: String
  var value: String

  package var description: String {
    "column \(column) holds \"\(value)\", which this version does not know: is a newer version of Baton running here?"
  }
}
