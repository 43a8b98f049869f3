internal import CRabbitMQ

// Everything is copied: what librabbitmq hands out lives only until its buffers are released.

extension String {
  /// Copies a C string; bytes that are not UTF-8 are repaired.
  init(_ bytes: amqp_bytes_t) {
    self.init(decoding: UnsafeRawBufferPointer(start: bytes.bytes, count: bytes.len), as: UTF8.self)
  }
}

extension [UInt8] {
  init(_ bytes: amqp_bytes_t) {
    self.init(UnsafeRawBufferPointer(start: bytes.bytes, count: bytes.len))
  }
}

extension AMQPValue {
  /// Tables and arrays within each other, as deep as they are read: a frame has room for twenty thousand levels, and reading or
  /// releasing so many would overflow the thread's stack.
  static let depthMax = 32

  /// Copies a table; what lies deeper than `depthMax` is read as `.null`.
  static func decodeTable(_ table: amqp_table_t, depth: Int = 1) -> AMQPTable {
    guard table.num_entries > 0, let entries = table.entries else { return [:] }
    var result = AMQPTable(minimumCapacity: Int(table.num_entries))
    for index in 0..<Int(table.num_entries) {
      result[String(entries[index].key)] = decode(entries[index].value, depth: depth)
    }
    return result
  }

  private static func decodeArray(_ array: amqp_array_t, depth: Int) -> [AMQPValue] {
    guard array.num_entries > 0, let entries = array.entries else { return [] }
    return (0..<Int(array.num_entries)).map { decode(entries[$0], depth: depth) }
  }

  private static func decode(_ field: amqp_field_value_t, depth: Int) -> AMQPValue {
    let value = field.value
    switch amqp_field_value_kind_t(rawValue: UInt32(field.kind)) {
    case AMQP_FIELD_KIND_UTF8: return .string(String(value.bytes))
    case AMQP_FIELD_KIND_BOOLEAN: return .bool(value.boolean != 0)
    case AMQP_FIELD_KIND_I8: return .int(Int64(value.i8))
    case AMQP_FIELD_KIND_U8: return .int(Int64(value.u8))
    case AMQP_FIELD_KIND_I16: return .int(Int64(value.i16))
    case AMQP_FIELD_KIND_U16: return .int(Int64(value.u16))
    case AMQP_FIELD_KIND_I32: return .int(Int64(value.i32))
    case AMQP_FIELD_KIND_U32: return .int(Int64(value.u32))
    case AMQP_FIELD_KIND_I64: return .int(value.i64)
    case AMQP_FIELD_KIND_U64: return .int(Int64(clamping: value.u64))
    case AMQP_FIELD_KIND_F32: return .double(Double(value.f32))
    case AMQP_FIELD_KIND_F64: return .double(value.f64)
    case AMQP_FIELD_KIND_DECIMAL: return .double(decimal(value.decimal))
    case AMQP_FIELD_KIND_BYTES: return .bytes([UInt8](value.bytes))
    case AMQP_FIELD_KIND_TIMESTAMP: return .timestamp(Int64(clamping: value.u64))
    case AMQP_FIELD_KIND_ARRAY where depth < depthMax: return .array(decodeArray(value.array, depth: depth + 1))
    case AMQP_FIELD_KIND_TABLE where depth < depthMax: return .table(decodeTable(value.table, depth: depth + 1))
    default: return .null
    }
  }

  private static func decimal(_ decimal: amqp_decimal_t) -> Double {
    var result = Double(decimal.value)
    for _ in 0..<decimal.decimals { result /= 10 }
    return result
  }
}

/// Remembers the last string of a kind: exchange, key and type are mostly the same from message to message, and
/// comparing is cheaper than allocating.
struct LastString {
  private var raw: [UInt8] = []
  private var string = ""

  mutating func string(_ bytes: amqp_bytes_t) -> String {
    let buffer = UnsafeRawBufferPointer(start: bytes.bytes, count: bytes.len)
    guard !buffer.elementsEqual(raw) else { return string }
    raw = [UInt8](buffer)
    string = String(decoding: raw, as: UTF8.self)
    return string
  }
}
