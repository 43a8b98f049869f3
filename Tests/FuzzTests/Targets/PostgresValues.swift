import FoundationEssentials

@testable import PostgresClient

/// A value of a column: one byte chooses the type that the server names, the rest are the bytes. Each Swift type tries to read it.
func fuzzPostgresValue(_ bytes: [UInt8]) throws {
  var input = FuzzInput(bytes)
  let type = types[Int(input.byte()) % types.count]
  let value = PostgresValue(type: type, bytes: input.bytes)
  try value.read(Bool.self)
  try value.read(Int16.self)
  try value.read(Int32.self)
  try value.read(Int64.self)
  try value.read(Int.self)
  try value.read(UInt8.self)
  try value.read(UUID.self)
  try value.read(String.self)
  try value.read(PostgresJSONB.self)
  try value.read([UInt8].self)
  try value.read([Int16?].self)
  try value.read([Int32].self)
  try value.read([Int64].self)
  try value.read([String?].self)
  try value.read([UUID].self)
  try value.read([Bool].self)
  try value.read([PostgresJSONB].self)
  try value.read([PostgresInstant?].self)
  try value.read([[UInt8]].self)
  if let interval = try value.read(PostgresInterval.self) { _ = interval.duration }
  if let number = try value.read(Double.self) { _ = try value.read(Float.self).map { Double($0) < number } }
  if let instant = try value.read(PostgresInstant.self) { try check(instant) }
  // Its least significant digits are lost.
  _ = value.decode(Date.self).map { PostgresInstant($0) }
}

private let types: [UInt32] = [
  TypeOID.bool, TypeOID.bytea, TypeOID.char, TypeOID.name, TypeOID.int8, TypeOID.int2, TypeOID.int4, TypeOID.text,
  TypeOID.oid, TypeOID.json, TypeOID.float4, TypeOID.float8, TypeOID.timestamp, TypeOID.timestamptz, TypeOID.interval,
  TypeOID.numeric, TypeOID.uuid, TypeOID.jsonb, TypeOID.firstUserDefined, TypeOID.boolArray, TypeOID.byteaArray,
  TypeOID.int2Array, TypeOID.int4Array, TypeOID.textArray, TypeOID.int8Array, TypeOID.timestamptzArray,
  TypeOID.uuidArray, TypeOID.jsonbArray, 1015, 0, .max,
]

private func check(_ instant: PostgresInstant) throws {
  let text = instant.rfc3339
  if text.utf8.count == 27 {
    try promise(PostgresInstant(rfc3339: text) == instant, "\(text) is read as another time")
  }
  let moved = instant + (instant - PostgresInstant(microseconds: 0))
  _ = (moved.unixMicroseconds, instant.date)
}

private struct PostgresValue {
  let type: UInt32
  let bytes: [UInt8]

  func decode<Value: PostgresDecodable>(_: Value.Type) -> Value? {
    bytes.withUnsafeBytes { raw in try? Value.decode(binary: raw, type: type) }
  }

  /// What was read and is written again, is read as the same.
  @discardableResult
  func read<Value: PostgresDecodable & PostgresEncodable>(_: Value.Type) throws -> Value? {
    guard let value = decode(Value.self) else { return nil }
    var first: [UInt8] = []
    value.encode(into: &first)
    guard let again = PostgresValue(type: Value.typeOID, bytes: first).decode(Value.self) else {
      throw BrokenPromise(description: "\(Value.self) does not read what it has written")
    }
    var second: [UInt8] = []
    again.encode(into: &second)
    try promise(first == second, "\(Value.self) reads another value than it has written")
    return value
  }
}
