import Testing

@testable import AMQPClient

@Suite("Tables of a broker")
struct DecodingTests {
  @Test("a table nested thousands of times is read down to a bound")
  func nested() {
    var table: AMQPTable = ["end": 1]
    for _ in 0..<500 { table = ["next": .table(table)] }
    let pool = ArgumentPool()
    var value: AMQPValue? = .table(AMQPValue.decodeTable(pool.table(table)))
    var depth = 0
    while case .table(let inner)? = value {
      value = inner["next"]
      depth += 1
    }
    #expect(value == .null && (2..<500).contains(depth))
  }

  @Test("tables and arrays within the bound come back as they were sent")
  func roundTrip() {
    let table: AMQPTable = ["a": .array([.int(1), .table(["b": .string("c")])]), "d": .bool(true)]
    let pool = ArgumentPool()
    #expect(AMQPValue.decodeTable(pool.table(table)) == table)
  }
}
