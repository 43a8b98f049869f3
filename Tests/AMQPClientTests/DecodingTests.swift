import CRabbitMQ
import Testing

@testable import AMQPClient

@Suite("Decoding tables")
struct DecodingTests {
  /// A table within a table within a table, as deep as given; a frame of 128 KiB has room for 21,000.
  private func nested(_ depth: Int, _ body: (amqp_table_t) -> Void) {
    var pool = amqp_pool_t()
    init_amqp_pool(&pool, 4_096)
    defer { empty_amqp_pool(&pool) }
    var bytes: [UInt8] = []
    for level in 0...depth {
      withUnsafeBytes(of: UInt32((depth - level) * 6).bigEndian) { bytes += $0 }
      if level < depth { bytes += [0, UInt8(ascii: "F")] }
    }
    var table = amqp_table_t()
    var offset = 0
    let status = bytes.withUnsafeMutableBytes {
      amqp_decode_table(amqp_bytes_t(len: $0.count, bytes: $0.baseAddress), &pool, &table, &offset)
    }
    #expect(status == AMQP_STATUS_OK.rawValue)
    body(table)
  }

  private func depth(_ table: AMQPTable) -> Int {
    var (depth, rest) = (0, table)
    while let inner = rest[""] {
      depth += 1
      rest = inner.tableValue ?? [:]
    }
    return depth
  }

  @Test("tables and arrays within the bound come back as they were sent")
  func roundTrip() {
    let table: AMQPTable = ["a": .array([.int(1), .table(["b": .string("c")])]), "d": .bool(true)]
    let pool = ArgumentPool()
    #expect(AMQPValue.decodeTable(pool.table(table)) == table)
  }

  @Test("a table of any depth is read without harm, down to a level", arguments: [1, 31, 32, 33, 21_000])
  func deep(_ levels: Int) {
    nested(levels) { table in
      #expect(depth(AMQPValue.decodeTable(table)) == min(levels, AMQPValue.depthMax))
    }
  }
}
