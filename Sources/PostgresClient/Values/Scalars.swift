public import FoundationEssentials

extension Bool: PostgresEncodable, PostgresDecodable {
  /// `boolean`.
  public static var typeOID: UInt32 { TypeOID.bool }
  /// `boolean[]`.
  public static var arrayTypeOID: UInt32 { TypeOID.boolArray }
  /// Appends one byte.
  public func encode(into bytes: inout [UInt8]) { bytes.append(self ? 1 : 0) }
  /// Reads `boolean`.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> Bool {
    guard type == TypeOID.bool, binary.count == 1 else { throw mismatch(type) }
    return binary[0] != 0
  }
}

extension FixedWidthInteger {
  /// Reads any of Postgres's integers that fits.
  fileprivate static func decodeInteger(
    _ binary: UnsafeRawBufferPointer, type: UInt32, upTo byteCountMax: Int
  ) throws(PostgresError) -> Self {
    switch (type, binary.count) {
    case (TypeOID.int2, 2) where byteCountMax >= 2: Self(Int16(bigEndian: binary.loadUnaligned(as: Int16.self)))
    case (TypeOID.int4, 4) where byteCountMax >= 4: Self(Int32(bigEndian: binary.loadUnaligned(as: Int32.self)))
    case (TypeOID.int8, 8) where byteCountMax >= 8: Self(Int64(bigEndian: binary.loadUnaligned(as: Int64.self)))
    case (TypeOID.oid, 4) where byteCountMax >= 8: Self(UInt32(bigEndian: binary.loadUnaligned(as: UInt32.self)))
    default:
      throw PostgresError(
        .decoding, "a column of type \(TypeOID.name(of: type)) cannot be read as \(Self.self): cast it in the SQL")
    }
  }
}

extension Int16: PostgresEncodable, PostgresDecodable {
  /// `smallint`.
  public static var typeOID: UInt32 { TypeOID.int2 }
  /// `smallint[]`.
  public static var arrayTypeOID: UInt32 { TypeOID.int2Array }
  /// Appends two bytes.
  public func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: self) }
  /// Reads `smallint`.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> Int16 {
    try decodeInteger(binary, type: type, upTo: 2)
  }
}

extension Int32: PostgresEncodable, PostgresDecodable {
  /// `integer`.
  public static var typeOID: UInt32 { TypeOID.int4 }
  /// `integer[]`.
  public static var arrayTypeOID: UInt32 { TypeOID.int4Array }
  /// Appends four bytes.
  public func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: self) }
  /// Reads `integer` and `smallint`.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> Int32 {
    try decodeInteger(binary, type: type, upTo: 4)
  }
}

extension Int64: PostgresEncodable, PostgresDecodable {
  /// `bigint`.
  public static var typeOID: UInt32 { TypeOID.int8 }
  /// `bigint[]`.
  public static var arrayTypeOID: UInt32 { TypeOID.int8Array }
  /// Appends eight bytes.
  public func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: self) }
  /// Reads `bigint`, `integer`, `smallint` and `oid`.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> Int64 {
    try decodeInteger(binary, type: type, upTo: 8)
  }
}

extension Int: PostgresEncodable, PostgresDecodable {
  /// `bigint`.
  public static var typeOID: UInt32 { TypeOID.int8 }
  /// `bigint[]`.
  public static var arrayTypeOID: UInt32 { TypeOID.int8Array }
  /// Appends eight bytes.
  public func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: Int64(self)) }
  /// Reads `bigint`, `integer`, `smallint` and `oid`.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> Int {
    try decodeInteger(binary, type: type, upTo: 8)
  }
}

extension Float: PostgresEncodable, PostgresDecodable {
  /// `real`.
  public static var typeOID: UInt32 { TypeOID.float4 }
  /// `real[]`.
  public static var arrayTypeOID: UInt32 { TypeOID.float4Array }
  /// Appends four bytes.
  public func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: bitPattern) }
  /// Reads `real`.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> Float {
    guard type == TypeOID.float4, binary.count == 4 else { throw mismatch(type) }
    return Float(bitPattern: UInt32(bigEndian: binary.loadUnaligned(as: UInt32.self)))
  }
}

extension Double: PostgresEncodable, PostgresDecodable {
  /// `double precision`.
  public static var typeOID: UInt32 { TypeOID.float8 }
  /// `double precision[]`.
  public static var arrayTypeOID: UInt32 { TypeOID.float8Array }
  /// Appends eight bytes.
  public func encode(into bytes: inout [UInt8]) { bytes.append(bigEndian: bitPattern) }
  /// Reads `double precision`, `real`, and the nearest to a `numeric` (what `sum`, `avg` and `extract` give).
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> Double {
    switch (type, binary.count) {
    case (TypeOID.float8, 8): return Double(bitPattern: UInt64(bigEndian: binary.loadUnaligned(as: UInt64.self)))
    case (TypeOID.float4, 4): return Double(try Float.decode(binary: binary, type: type))
    case (TypeOID.numeric, _): return try decodeNumeric(binary)
    default: throw mismatch(type)
    }
  }

  /// A numeric is a list of digits to the base 10,000 with the first one's exponent, a sign and a display scale.
  private static func decodeNumeric(_ binary: UnsafeRawBufferPointer) throws(PostgresError) -> Double {
    var reader = ByteReader(binary)
    let count: Int16 = try reader.next()
    let weight: Int16 = try reader.next()
    let sign: UInt16 = try reader.next()
    _ = try reader.next(Int16.self)
    switch sign {
    case 0xC000: return .nan
    case 0xD000: return .infinity
    case 0xF000: return -.infinity
    default: break
    }
    // By way of the text, which rounds once; adding digit by digit would round at each.
    var text = sign == 0x4000 ? "-" : ""
    for _ in 0..<max(count, 0) {
      let number: Int16 = try reader.next()
      guard (0...9_999).contains(number) else { throw mismatch(TypeOID.numeric) }
      let digit = String(number)
      text += String(repeating: "0", count: 4 - digit.utf8.count) + digit
    }
    if count <= 0 { text += "0" }
    guard let value = Double("\(text)e\(4 * (Int(weight) - Int(max(count, 1)) + 1))") else {
      throw mismatch(TypeOID.numeric)
    }
    return value
  }
}

extension String: PostgresEncodable, PostgresDecodable {
  /// `text`.
  public static var typeOID: UInt32 { TypeOID.text }
  /// `text[]`.
  public static var arrayTypeOID: UInt32 { TypeOID.textArray }
  /// Appends the UTF-8 bytes. Postgres refuses a text with a NUL in it (SQLSTATE 22021).
  public func encode(into bytes: inout [UInt8]) { bytes.append(contentsOf: utf8) }
  /// Reads `text`, `varchar`, `character`, `name`, `"char"`, `json`, `jsonb` and enumerations.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> String {
    switch type {
    case TypeOID.text, TypeOID.varchar, TypeOID.name, TypeOID.json, TypeOID.bpchar, TypeOID.char, TypeOID.unknown:
      return String(decoding: binary, as: UTF8.self)
    case TypeOID.jsonb: return try PostgresJSONB.decode(binary: binary, type: type).text
    case TypeOID.firstUserDefined...: return String(decoding: binary, as: UTF8.self)
    default: throw mismatch(type)
    }
  }
}

extension UUID: PostgresEncodable, PostgresDecodable {
  /// `uuid`.
  public static var typeOID: UInt32 { TypeOID.uuid }
  /// `uuid[]`.
  public static var arrayTypeOID: UInt32 { TypeOID.uuidArray }
  /// Appends sixteen bytes.
  public func encode(into bytes: inout [UInt8]) { withUnsafeBytes(of: uuid) { bytes.append(contentsOf: $0) } }
  /// Reads `uuid`.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> UUID {
    guard type == TypeOID.uuid, binary.count == 16 else { throw mismatch(type) }
    return UUID(uuid: binary.loadUnaligned(as: uuid_t.self))
  }
}

extension UInt8: PostgresEncodable, PostgresDecodable {
  /// A byte is no column by itself: this is the OID of `"char"`.
  public static var typeOID: UInt32 { TypeOID.char }
  /// An array of bytes is `bytea`.
  public static var arrayTypeOID: UInt32 { TypeOID.bytea }
  /// Appends the byte.
  public func encode(into bytes: inout [UInt8]) { bytes.append(self) }
  /// Reads `"char"`.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> UInt8 {
    guard type == TypeOID.char, binary.count == 1 else { throw mismatch(type) }
    return binary[0]
  }
}
