import FoundationEssentials
import PostgresClient
import Support
import Testing

@Suite("Postgres types")
struct PostgresTypeTests {
  /// Sends a value as its own type, lets Postgres print it, and reads it back.
  private func roundTrip<Value: PostgresEncodable & PostgresDecodable & Equatable>(
    _ values: [Value], _ type: String, on connection: PostgresConnection
  ) async throws {
    let echo = PostgresStatement(unprepared: "SELECT $1::\(type), pg_typeof($1)::text, $2::\(type)[], $3::\(type)")
    let arrays: [Value?] = values + [nil]
    for value in values {
      let row = try await connection.query(echo, [value, arrays, Value?.none]).one()
      let (single, name, array, null) = try row.decode((Value, String, [Value?], Value?).self)
      #expect(single == value)
      #expect(name == type)
      #expect(array == arrays)
      #expect(null == nil)
    }
  }

  @Test("every type comes back as it was sent, alone, in an array with a NULL, and as NULL")
  func everyType() async throws {
    try await withTestConnection { connection in
      try await roundTrip([true, false], "boolean", on: connection)
      try await roundTrip([Int16.min, 0, .max], "smallint", on: connection)
      try await roundTrip([Int32.min, 0, .max], "integer", on: connection)
      try await roundTrip([Int64.min, -1, .max], "bigint", on: connection)
      try await roundTrip([Int.min, 0, .max], "bigint", on: connection)
      try await roundTrip([Float(0.1), -.infinity], "real", on: connection)
      try await roundTrip([0.1, .greatestFiniteMagnitude, -.infinity], "double precision", on: connection)
      try await roundTrip(["", "ä", "日本 \u{1F600} ' \" \\ \n"], "text", on: connection)
      try await roundTrip([UUID(), UUID()], "uuid", on: connection)
      try await roundTrip([[UInt8](), [0, 255, 0]], "bytea", on: connection)
      try await roundTrip(
        [PostgresInstant(microseconds: 1), PostgresInstant(microseconds: -1), .infinity, .negativeInfinity],
        "timestamp with time zone", on: connection)
      try await roundTrip(
        [PostgresInterval(.milliseconds(-1_500)), PostgresInterval(months: 14, days: -3, microseconds: 7)], "interval",
        on: connection)
      try await roundTrip([PostgresJSONB(#"{"a": [1, null]}"#), PostgresJSONB("null")], "jsonb", on: connection)
    }
  }

  @Test("Postgres understands a value as we mean it")
  func meaning() async throws {
    try await withTestConnection { connection in
      let printed = PostgresStatement(
        "printed",
        """
        SELECT ($1 AT TIME ZONE 'UTC')::text, $2::text, $3::text, $4::text, encode($5, 'hex'), $6->>'k', array_ndims($7)
        """)
      let instant = try #require(PostgresInstant(rfc3339: "2026-02-28T23:59:59.123456Z"))
      let row = try await connection.query(
        printed,
        [
          instant, PostgresInterval(.seconds(90)), [1, nil, 3] as [Int?], ["a\"b", nil, ""] as [String?],
          [0xDE, 0xAD] as [UInt8], PostgresJSONB(#"{"k": "v"}"#), [Int]() as [Int],
        ]
      ).one()
      let texts = try row.decode((String, String, String, String, String, String, Int32?).self)
      #expect(texts.0 == "2026-02-28 23:59:59.123456" && texts.1 == "00:01:30" && texts.2 == "{1,NULL,3}")
      #expect(texts.3 == #"{"a\"b",NULL,""}"# && texts.4 == "dead" && texts.5 == "v" && texts.6 == nil)
    }
  }

  @Test("texts are read from every type that is one, integers from every one that fits")
  func widening() async throws {
    try await withTestConnection { connection in
      try await connection.execute(script: "CREATE TYPE colour AS ENUM ('red', 'green')")
      let row = try await connection.query(
        PostgresStatement(
          unprepared: """
            SELECT 'a'::varchar, 'b'::name, '{"c": 1}'::json, '{"d": 1}'::jsonb, 'green'::colour, 1::int2, 2::int4,
              3::oid, 1234567890.0625::numeric, -0.00012::numeric, 0::numeric, 'NaN'::numeric, 4.5::real
            """)
      ).one()
      var reader = row.reader()
      let texts = try (0..<5).map { _ in try reader.next(String.self) }
      #expect(texts == ["a", "b", #"{"c": 1}"#, #"{"d": 1}"#, "green"])
      let integers = try (0..<3).map { _ in try reader.next(Int.self) }
      #expect(integers == [1, 2, 3])
      let numbers = try (0..<5).map { _ in try reader.next(Double.self) }
      #expect(numbers[..<3] == [1_234_567_890.0625, -0.00012, 0] && numbers[3].isNaN && numbers[4] == 4.5)
      #expect(reader.isAtEnd)
      #expect(throws: PostgresError.self) { try reader.next(Double.self) }
    }
  }

  @Test("a number too wide for the Swift type is refused, not cut")
  func narrowing() async throws {
    try await withTestConnection { connection in
      let row = try await connection.query(PostgresStatement(unprepared: "SELECT 1::int8, 1::int4, ARRAY[1]::int8[]"))
        .one()
      #expect(throws: PostgresError.self) { try row.decode(0, as: Int32.self) }
      #expect(throws: PostgresError.self) { try row.decode(1, as: Int16.self) }
      #expect(throws: PostgresError.self) { try row.decode(2, as: [Int32].self) }
      #expect(throws: PostgresError.self) { try row.decode(0, as: [Int].self) }
    }
  }

  @Test("rows of a megabyte arrive whole, many of them")
  func bigRows() async throws {
    try await withTestConnection { connection in
      let big = PostgresStatement("big", "SELECT $1 || n, repeat('x', 1000000) FROM generate_series(1, 20) n")
      let parameter = String(repeating: "p", count: 1_000_000)
      let rows = try await connection.query(big, [parameter])
      #expect(rows.count == 20)
      for (index, row) in rows.enumerated() {
        let (sent, made) = try row.decode((String, String).self)
        #expect(sent.utf8.count == 1_000_000 + "\(index + 1)".utf8.count && made.utf8.count == 1_000_000)
      }
    }
  }
}
