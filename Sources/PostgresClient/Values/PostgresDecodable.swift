/// A value that can be read from a column, in Postgres's binary format.
public protocol PostgresDecodable {
  /// Reads a value that is not NULL.
  /// - Parameters:
  ///   - binary: valid only during the call.
  ///   - type: the column's type as an OID of `pg_type`.
  /// - Throws: `PostgresError` of the kind `decoding`.
  static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> Self
  /// The value for NULL; throws except for an `Optional`.
  static func decodeNull() throws(PostgresError) -> Self
}

extension PostgresDecodable {
  /// Throws: only an `Optional` takes NULL.
  public static func decodeNull() throws(PostgresError) -> Self {
    throw PostgresError(.decoding, "NULL where \(Self.self) is expected: read \(Self.self)? or change the SQL")
  }

  /// The error for a column of a type that this one does not read.
  public static func mismatch(_ type: UInt32) -> PostgresError {
    PostgresError(
      .decoding, "a column of type \(TypeOID.name(of: type)) cannot be read as \(Self.self): cast it in the SQL")
  }
}

/// OIDs of `pg_type`; they never change for built-in types.
enum TypeOID {
  static let bool: UInt32 = 16
  static let bytea: UInt32 = 17
  static let char: UInt32 = 18
  static let name: UInt32 = 19
  static let int8: UInt32 = 20
  static let int2: UInt32 = 21
  static let int4: UInt32 = 23
  static let text: UInt32 = 25
  static let oid: UInt32 = 26
  static let json: UInt32 = 114
  static let float4: UInt32 = 700
  static let float8: UInt32 = 701
  static let unknown: UInt32 = 705
  static let bpchar: UInt32 = 1042
  static let varchar: UInt32 = 1043
  static let timestamp: UInt32 = 1114
  static let timestamptz: UInt32 = 1184
  static let interval: UInt32 = 1186
  static let numeric: UInt32 = 1700
  static let void: UInt32 = 2278
  static let uuid: UInt32 = 2950
  static let jsonb: UInt32 = 3802
  /// The types of users begin here: enumerations, among others, whose binary form is their text.
  static let firstUserDefined: UInt32 = 16384

  static let boolArray: UInt32 = 1000
  static let byteaArray: UInt32 = 1001
  static let int2Array: UInt32 = 1005
  static let int4Array: UInt32 = 1007
  static let textArray: UInt32 = 1009
  static let int8Array: UInt32 = 1016
  static let float4Array: UInt32 = 1021
  static let float8Array: UInt32 = 1022
  static let timestamptzArray: UInt32 = 1185
  static let intervalArray: UInt32 = 1187
  static let uuidArray: UInt32 = 2951
  static let jsonbArray: UInt32 = 3807

  static func name(of type: UInt32) -> String {
    names[type].map { "\($0)" } ?? "with OID \(type)"
  }

  private static let names: [UInt32: String] = [
    bool: "boolean", bytea: "bytea", char: "\"char\"", name: "name", int8: "bigint", int2: "smallint", int4: "integer",
    text: "text", oid: "oid", json: "json", float4: "real", float8: "double precision", bpchar: "character",
    varchar: "varchar", timestamp: "timestamp", timestamptz: "timestamptz", interval: "interval", numeric: "numeric",
    void: "void", uuid: "uuid", jsonb: "jsonb", 1082: "date", 1083: "time", 869: "inet", boolArray: "boolean[]",
    byteaArray: "bytea[]", int2Array: "smallint[]", int4Array: "integer[]", textArray: "text[]", int8Array: "bigint[]",
    float4Array: "real[]", float8Array: "double precision[]", timestamptzArray: "timestamptz[]",
    intervalArray: "interval[]", uuidArray: "uuid[]", jsonbArray: "jsonb[]", 1015: "varchar[]",
  ]
}

/// Reads big-endian integers off a value's bytes, and refuses to read past their end.
struct ByteReader {
  private(set) var rest: Slice<UnsafeRawBufferPointer>

  init(_ bytes: UnsafeRawBufferPointer) { rest = bytes[...] }

  mutating func next<Number: FixedWidthInteger>(_: Number.Type = Number.self) throws(PostgresError) -> Number {
    let bytes = try next(count: MemoryLayout<Number>.size)
    return Number(bigEndian: bytes.loadUnaligned(as: Number.self))
  }

  mutating func next(count: Int) throws(PostgresError) -> UnsafeRawBufferPointer {
    guard count >= 0, rest.count >= count else {
      throw PostgresError(.decoding, "a value of \(rest.base.count) bytes ends too early")
    }
    defer { rest = rest.dropFirst(count) }
    return UnsafeRawBufferPointer(rebasing: rest.prefix(count))
  }
}
