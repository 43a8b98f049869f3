internal import CRabbitMQ

/// Memory for the arguments of one call into librabbitmq: strings and tables in C's form, freed all at once.
struct ArgumentPool: ~Copyable {
  /// At a fixed address, since the pool's pages link back to it.
  private let pool: UnsafeMutablePointer<amqp_pool_t>

  init() {
    pool = .allocate(capacity: 1)
    init_amqp_pool(pool, 4096)
  }

  deinit {
    empty_amqp_pool(pool)
    pool.deallocate()
  }

  /// Frees everything made since the last time; nothing of it may be in use.
  func recycle() { recycle_amqp_pool(pool) }

  /// A string in C's form.
  func bytes(_ text: String) -> amqp_bytes_t {
    var text = text
    return text.withUTF8 { copy(UnsafeRawBufferPointer($0)) }
  }

  private func copy(_ source: UnsafeRawBufferPointer) -> amqp_bytes_t {
    guard let address = source.baseAddress, source.count > 0, let target = amqp_pool_alloc(pool, source.count) else {
      return amqp_empty_bytes
    }
    target.copyMemory(from: address, byteCount: source.count)
    return amqp_bytes_t(len: source.count, bytes: target)
  }

  /// A table in C's form.
  func table(_ table: AMQPTable) -> amqp_table_t {
    guard !table.isEmpty, let memory = amqp_pool_alloc(pool, table.count * MemoryLayout<amqp_table_entry_t>.stride)
    else { return amqp_empty_table }
    let entries = memory.bindMemory(to: amqp_table_entry_t.self, capacity: table.count)
    for (index, (key, value)) in table.enumerated() {
      (entries + index).initialize(to: amqp_table_entry_t(key: bytes(key), value: field(value)))
    }
    return amqp_table_t(num_entries: Int32(table.count), entries: entries)
  }

  private func array(_ values: [AMQPValue]) -> amqp_array_t {
    guard !values.isEmpty, let memory = amqp_pool_alloc(pool, values.count * MemoryLayout<amqp_field_value_t>.stride)
    else { return amqp_array_t(num_entries: 0, entries: nil) }
    let entries = memory.bindMemory(to: amqp_field_value_t.self, capacity: values.count)
    for (index, value) in values.enumerated() { (entries + index).initialize(to: field(value)) }
    return amqp_array_t(num_entries: Int32(values.count), entries: entries)
  }

  private func field(_ value: AMQPValue) -> amqp_field_value_t {
    switch value {
    case .string(let text): make(AMQP_FIELD_KIND_UTF8, .init(bytes: bytes(text)))
    case .int(let number): make(AMQP_FIELD_KIND_I64, .init(i64: number))
    case .bool(let flag): make(AMQP_FIELD_KIND_BOOLEAN, .init(boolean: flag ? 1 : 0))
    case .double(let number): make(AMQP_FIELD_KIND_F64, .init(f64: number))
    case .bytes(let raw): make(AMQP_FIELD_KIND_BYTES, .init(bytes: raw.withUnsafeBytes { copy($0) }))
    case .timestamp(let seconds): make(AMQP_FIELD_KIND_TIMESTAMP, .init(u64: UInt64(clamping: seconds)))
    case .array(let values): make(AMQP_FIELD_KIND_ARRAY, .init(array: array(values)))
    case .table(let entries): make(AMQP_FIELD_KIND_TABLE, .init(table: table(entries)))
    case .null: make(AMQP_FIELD_KIND_VOID, .init(u64: 0))
    }
  }

  private func make(
    _ kind: amqp_field_value_kind_t, _ value: amqp_field_value_t.__Unnamed_union_value
  ) -> amqp_field_value_t {
    amqp_field_value_t(kind: UInt8(kind.rawValue), value: value)
  }
}
