/// Arguments of a declaration, or headers of a message.
public typealias AMQPTable = [String: AMQPValue]

/// A field of an AMQP table.
///
/// On the wire an integer is always 64 bits wide and a string always UTF-8; whatever width a peer sent is read into
/// these. RabbitMQ compares integers by value, whatever their width, when a queue is declared again. Of what a peer sent, tables and
/// arrays that lie deeper than 32 levels are read as `.null`.
public enum AMQPValue: Sendable, Hashable {
  /// A string (`S`); bytes that are not UTF-8 are repaired when read.
  case string(String)
  /// An integer of any width. An unsigned one above `Int64.max` is read as `Int64.max`.
  case int(Int64)
  /// A truth value (`t`).
  case bool(Bool)
  /// A float of either width, or a decimal.
  case double(Double)
  /// Raw bytes (`x`).
  case bytes([UInt8])
  /// Whole seconds since 1970 (`T`).
  case timestamp(Int64)
  /// An array of fields (`A`).
  case array([AMQPValue])
  /// A table within the table (`F`).
  case table([String: AMQPValue])
  /// A field with a name and no value (`V`).
  case null
}

extension AMQPValue {
  /// The integer, if it is one.
  public var intValue: Int64? {
    if case .int(let value) = self { value } else { nil }
  }

  /// The string, if it is one.
  public var stringValue: String? {
    if case .string(let value) = self { value } else { nil }
  }

  /// The truth value, if it is one.
  public var boolValue: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// The array, if it is one.
  public var arrayValue: [AMQPValue]? {
    if case .array(let value) = self { value } else { nil }
  }

  /// The table, if it is one.
  public var tableValue: AMQPTable? {
    if case .table(let value) = self { value } else { nil }
  }
}

extension AMQPValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  /// A `.string`.
  public init(stringLiteral value: String) { self = .string(value) }
  /// An `.int`.
  public init(integerLiteral value: Int64) { self = .int(value) }
  /// A `.bool`.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// A `.double`.
  public init(floatLiteral value: Double) { self = .double(value) }
  /// An `.array`.
  public init(arrayLiteral elements: AMQPValue...) { self = .array(elements) }
  /// A `.table`; of two equal keys the later wins.
  public init(dictionaryLiteral elements: (String, AMQPValue)...) {
    self = .table(AMQPTable(elements, uniquingKeysWith: { $1 }))
  }
  /// `.null`.
  public init(nilLiteral: ()) { self = .null }
}
