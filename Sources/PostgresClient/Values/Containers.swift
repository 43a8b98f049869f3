extension Optional: PostgresEncodable where Wrapped: PostgresEncodable {
  /// That of the wrapped type.
  public static var typeOID: UInt32 { Wrapped.typeOID }
  /// That of the wrapped type.
  public static var arrayTypeOID: UInt32 { Wrapped.arrayTypeOID }
  /// Whether there is no value.
  public var isNull: Bool { self?.isNull ?? true }
  /// Appends the wrapped value.
  public func encode(into bytes: inout [UInt8]) { self?.encode(into: &bytes) }
}

extension Optional: PostgresDecodable where Wrapped: PostgresDecodable {
  /// Reads the wrapped type.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> Wrapped? {
    try Wrapped.decode(binary: binary, type: type)
  }
  /// No value.
  public static func decodeNull() throws(PostgresError) -> Wrapped? { nil }
}

/// One dimension, numbered from 1; `[UInt8]` is `bytea`.
extension Array: PostgresEncodable where Element: PostgresEncodable {
  /// The array type of the element.
  public static var typeOID: UInt32 { Element.arrayTypeOID }
  /// `bytea[]` for bytes. Other arrays of arrays are left to Postgres, which refuses them.
  public static var arrayTypeOID: UInt32 { Element.self == UInt8.self ? TypeOID.byteaArray : 0 }
  /// Appends header and elements, or the plain bytes of a `bytea`.
  public func encode(into bytes: inout [UInt8]) {
    // The type first: an empty array can be cast to an array of anything.
    if Element.self == UInt8.self, let plain = self as? [UInt8] { return bytes.append(contentsOf: plain) }
    bytes.append(bigEndian: Int32(isEmpty ? 0 : 1))
    bytes.append(bigEndian: Int32(contains { $0.isNull } ? 1 : 0))
    bytes.append(bigEndian: Element.typeOID)
    if isEmpty { return }
    bytes.append(bigEndian: Int32(count))
    bytes.append(bigEndian: Int32(1))
    for element in self {
      if element.isNull {
        bytes.append(bigEndian: Int32(-1))
      } else {
        bytes.appendCounted { element.encode(into: &$0) }
      }
    }
  }
}

extension Array: PostgresDecodable where Element: PostgresDecodable {
  /// Reads an array of one dimension, or a `bytea` as `[UInt8]`.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> [Element] {
    if type == TypeOID.bytea {
      guard Element.self == UInt8.self, let bytes = [UInt8](binary) as? [Element] else { throw mismatch(type) }
      return bytes
    }
    // Scalars must not be taken for arrays: only the array types begin with 0 or 1 as their number of dimensions, a flag
    // and the element's type; ByteReader and the checks below refuse the rest.
    var reader = ByteReader(binary)
    let dimensions: Int32 = try reader.next()
    let flags: Int32 = try reader.next()
    let elementType: UInt32 = try reader.next()
    guard (0...1).contains(dimensions), (0...1).contains(flags) else { throw mismatch(type) }
    guard dimensions == 1 else { return [] }
    let count: Int32 = try reader.next()
    _ = try reader.next(Int32.self)
    // A NULL takes four bytes: a count past that is not an array's.
    guard count >= 0, Int(count) <= reader.rest.count / 4 else { throw mismatch(type) }
    var elements: [Element] = []
    elements.reserveCapacity(Int(count))
    for _ in 0..<count {
      let length: Int32 = try reader.next()
      if length < 0 {
        elements.append(try Element.decodeNull())
      } else {
        elements.append(try Element.decode(binary: try reader.next(count: Int(length)), type: elementType))
      }
    }
    return elements
  }
}

/// A `jsonb` value as its text.
public struct PostgresJSONB: Sendable, Hashable, PostgresEncodable, PostgresDecodable {
  /// The JSON; read back, it has Postgres's spacing and order of keys.
  public var text: String

  /// Wraps a text, which Postgres checks.
  public init(_ text: String) { self.text = text }

  /// `jsonb`.
  public static var typeOID: UInt32 { TypeOID.jsonb }
  /// `jsonb[]`.
  public static var arrayTypeOID: UInt32 { TypeOID.jsonbArray }

  /// Appends the format's version, 1, and the text.
  public func encode(into bytes: inout [UInt8]) {
    bytes.append(1)
    bytes.append(contentsOf: text.utf8)
  }

  /// Reads `jsonb` and `json`.
  public static func decode(binary: UnsafeRawBufferPointer, type: UInt32) throws(PostgresError) -> PostgresJSONB {
    switch (type, binary.first) {
    case (TypeOID.json, _): return PostgresJSONB(String(decoding: binary, as: UTF8.self))
    case (TypeOID.jsonb, 1): return PostgresJSONB(String(decoding: binary.dropFirst(), as: UTF8.self))
    default: throw mismatch(type)
    }
  }
}
