/// A value that can be a parameter, in Postgres's binary format.
public protocol PostgresEncodable: Sendable {
  /// The type's OID in `pg_type`; 0 leaves it to Postgres to infer the type from the SQL.
  static var typeOID: UInt32 { get }
  /// The OID of the array of this type; 0 leaves it to Postgres.
  static var arrayTypeOID: UInt32 { get }
  /// Whether the value is SQL's NULL; then `encode(into:)` is not called.
  var isNull: Bool { get }
  /// Appends the value's binary form, without a length.
  func encode(into bytes: inout [UInt8])
}

extension PostgresEncodable {
  /// Left to Postgres.
  public static var arrayTypeOID: UInt32 { 0 }
  /// Never, except for an `Optional`.
  public var isNull: Bool { false }
}

/// The parameters of one statement, encoded: their bytes one after another.
struct EncodedParameters: Sendable {
  static let countMax = 65_535

  private(set) var types: [UInt32] = []
  /// Per parameter the offset of its end in `bytes`, negated and minus one if it is NULL.
  private var ends: [Int] = []
  private var bytes: [UInt8] = []

  init() {}

  init(_ values: [any PostgresEncodable]) throws(PostgresError) {
    guard values.count <= Self.countMax else {
      throw PostgresError(.encoding, "\(values.count) parameters; Postgres takes \(Self.countMax): send arrays")
    }
    types.reserveCapacity(values.count)
    ends.reserveCapacity(values.count)
    for value in values { append(value) }
    // libpq counts a value's bytes in 32 bits, and Postgres takes no message longer than that.
    guard bytes.count < Int32.max else {
      throw PostgresError(
        .encoding, "the parameters have \(bytes.count) bytes; Postgres takes at most 1 GB for a value")
    }
    // Never empty: an empty string's pointer must not be the null pointer, which means NULL.
    bytes.append(0)
  }

  private mutating func append(_ value: some PostgresEncodable) {
    types.append(type(of: value).typeOID)
    if value.isNull {
      ends.append(-bytes.count - 1)
    } else {
      value.encode(into: &bytes)
      ends.append(bytes.count)
    }
  }

  var count: Int { ends.count }
  var byteCount: Int { bytes.count }

  /// Lends the parameters as libpq takes them: pointers (nil for NULL), lengths, and formats (1, binary).
  func withPointers<Result>(
    _ body: (
      UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?
    ) -> Result
  ) -> Result {
    guard count > 0 else { return body(nil, nil, nil) }
    return bytes.withUnsafeBytes { bytes in
      withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: count) { values in
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: 2 * count) { numbers in
          var start = 0
          for (index, end) in ends.enumerated() {
            let isNull = end < 0
            values.initializeElement(
              at: index,
              to: isNull ? nil : bytes.baseAddress?.advanced(by: start).assumingMemoryBound(to: CChar.self))
            numbers.initializeElement(at: index, to: isNull ? 0 : Int32(end - start))
            numbers.initializeElement(at: count + index, to: 1)
            if !isNull { start = end }
          }
          let lengths = numbers.baseAddress.map { UnsafePointer($0) }
          return body(values.baseAddress.map { UnsafePointer($0) }, lengths, lengths?.advanced(by: count))
        }
      }
    }
  }
}

extension [UInt8] {
  /// Appends an integer in network byte order.
  mutating func append(bigEndian value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
  }

  /// Appends what the body appends, behind its length in four bytes.
  mutating func appendCounted(_ body: (inout [UInt8]) -> Void) {
    let start = count
    append(bigEndian: Int32(0))
    body(&self)
    let length = UInt32(count - start - 4)
    for index in 0..<4 { self[start + index] = UInt8(truncatingIfNeeded: length >> (24 - 8 * UInt32(index))) }
  }
}
