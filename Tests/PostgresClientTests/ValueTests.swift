import FoundationEssentials
import Support
import Testing

@testable import PostgresClient

@Suite("Postgres values")
struct ValueTests {
  private func bytes(_ value: some PostgresEncodable) -> [UInt8] {
    var bytes: [UInt8] = []
    value.encode(into: &bytes)
    return bytes
  }

  private func decode<Value: PostgresDecodable>(
    _ bytes: [UInt8], _ type: UInt32, as _: Value.Type = Value.self
  ) throws(PostgresError) -> Value {
    let result = bytes.withUnsafeBytes { raw in
      Result { () throws(PostgresError) in try Value.decode(binary: raw, type: type) }
    }
    return try result.get()
  }

  @Test("integers are in network byte order and in two's complement")
  func integers() {
    #expect(bytes(Int16(-2)) == [0xFF, 0xFE])
    #expect(bytes(Int32(258)) == [0, 0, 1, 2])
    #expect(bytes(1) == [0, 0, 0, 0, 0, 0, 0, 1])
  }

  @Test("an array has its dimension, its NULLs and its element's type in the header")
  func arrays() {
    #expect(
      bytes([Int16(7), nil]) == [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 21, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 7]
        + [255, 255, 255, 255])
    #expect(bytes([String]()) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25])
    #expect(bytes([UInt8]([1, 2])) == [1, 2])
    #expect([String].typeOID == 1009 && [UUID?].typeOID == 2951 && [[UInt8]].typeOID == 1001)
  }

  @Test("bytes that are cut short, or that claim more than there is, are refused", arguments: 0..<27)
  func cutArrays(count: Int) {
    let whole = bytes([Int16(7), Int16(8)])
    #expect(throws: PostgresError.self) { try decode(Array(whole.prefix(count)), 1005, as: [Int16].self) }
  }

  @Test("an array that claims two thousand million elements allocates nothing")
  func hugeArray() {
    let header: [UInt8] = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 21, 0x7F, 255, 255, 255, 0, 0, 0, 1]
    #expect(throws: PostgresError.self) { try decode(header, 1005, as: [Int16].self) }
  }

  @Test("random bytes are decoded or refused, never a crash")
  func random() {
    let seed = UInt64.random(in: .min ... .max)
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<500 {
      let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in UInt8.random(in: 0...3, using: &generator)
      }
      for type in [16, 17, 20, 21, 23, 25, 114, 700, 701, 1007, 1184, 1186, 1700, 2950, 3802] as [UInt32] {
        _ = try? decode(bytes, type, as: Int.self)
        _ = try? decode(bytes, type, as: Double.self)
        _ = try? decode(bytes, type, as: String.self)
        _ = try? decode(bytes, type, as: UUID.self)
        _ = try? decode(bytes, type, as: PostgresInterval.self)
        _ = try? decode(bytes, type, as: [Int32?].self)
        _ = try? decode(bytes, type, as: [String].self)
      }
    }
    #expect(Bool(true), "seed \(seed)")
  }

  @Test("NULL has no bytes and another place than an empty text")
  func nulls() throws {
    let parameters = try EncodedParameters([String?.none, "", 5, Int?.none, "x"] as [any PostgresEncodable])
    #expect(parameters.types == [25, 25, 20, 20, 25])
    parameters.withPointers { values, lengths, formats in
      let seen = (0..<5).map { (values?[$0] != nil, lengths?[$0], formats?[$0]) }
      #expect(seen.map(\.0) == [false, true, true, false, true])
      #expect(seen.map(\.1) == [0, 0, 8, 0, 1])
      #expect(seen.allSatisfy { $0.2 == 1 })
      #expect(values?[4]?.pointee == CChar(UInt8(ascii: "x")))
    }
  }

  @Test("digits that no numeric has are refused", arguments: [[0x7F, 0xFF], [0xFF, 0xFF]] as [[UInt8]])
  func numericDigits(digit: [UInt8]) {
    let bytes: [UInt8] = [0, 1, 0, 0, 0, 0, 0, 0] + digit
    #expect(throws: PostgresError.self) { try decode(bytes, 1700, as: Double.self) }
  }

  @Test(
    "a numeric becomes the nearest double",
    arguments: [
      ([0, 0, 0, 0, 0, 0, 0, 0], 0),
      ([0, 1, 0, 0, 0, 0, 0, 0, 0, 7], 7),
      ([0, 2, 0, 0, 0x40, 0, 0, 1, 0, 1, 0x13, 0x88], -1.5),
      ([0, 1, 0xFF, 0xFF, 0, 0, 0, 4, 0, 1], 0.0001),
      ([0, 1, 0, 2, 0, 0, 0, 0, 0, 3], 300_000_000),
    ] as [([UInt8], Double)])
  func numerics(bytes: [UInt8], value: Double) throws {
    #expect(try decode(bytes, 1700, as: Double.self) == value)
  }
}

@Suite("Postgres instants")
struct InstantTests {
  @Test(
    "an instant is written with six digits and read back",
    arguments: [
      (0, "2000-01-01T00:00:00.000000Z"),
      (1, "2000-01-01T00:00:00.000001Z"),
      (-1, "1999-12-31T23:59:59.999999Z"),
      (5_097_600_000_000, "2000-02-29T00:00:00.000000Z"),
      (-946_684_800_000_000, "1970-01-01T00:00:00.000000Z"),
      (845_158_930_123_456, "2026-10-12T22:22:10.123456Z"),
      (.max, "infinity"),
    ] as [(Int64, String)])
  func texts(microseconds: Int64, text: String) {
    let instant = PostgresInstant(microseconds: microseconds)
    #expect(instant.rfc3339 == text)
    if text != "infinity" { #expect(PostgresInstant(rfc3339: text) == instant) }
  }

  @Test("offsets, other digits and lower case are read")
  func reading() {
    let instant = PostgresInstant(rfc3339: "2026-11-23T22:22:10Z")
    #expect(instant != nil)
    #expect(PostgresInstant(rfc3339: "2026-11-24T00:22:10+02:00") == instant)
    #expect(PostgresInstant(rfc3339: "2026-11-23t16:52:10.0000009-05:30") == instant)
    #expect(
      PostgresInstant(rfc3339: "2026-11-23 22:22:10.5z")?.microseconds == instant.map { $0.microseconds + 500_000 })
  }

  @Test(
    "what is no instant is refused",
    arguments: [
      "", "2026", "2026-11-23", "2026-11-23T22:22Z", "2026-11-23T22:22:10", "2026-02-29T00:00:00Z",
      "2026-13-01T00:00:00Z",
      "2026-11-23T24:00:00Z", "2026-11-23T22:60:10Z", "2026-11-23T22:22:10.Z", "2026-11-23T22:22:10Zx",
      "2026-11-23T22:22:10+0200", "２026-11-23T22:22:10Z",
    ])
  func refused(text: String) {
    #expect(PostgresInstant(rfc3339: text) == nil)
  }

  @Test("every day of four centuries is written and read the same")
  func everyDay() {
    for day in Int64(-100_000)..<100_000 where day % 7 == 0 {
      let instant = PostgresInstant(microseconds: day * 86_400_000_000 + 12_345_678)
      #expect(PostgresInstant(rfc3339: instant.rfc3339) == instant)
    }
  }

  @Test("dates convert both ways to the microsecond")
  func dates() {
    let date = Date(timeIntervalSince1970: 1_763_936_530.123456)
    #expect(PostgresInstant(date).unixMicroseconds == 1_763_936_530_123_456)
    #expect(abs(PostgresInstant(date).date.timeIntervalSince(date)) < 0.000001)
    #expect(PostgresInstant(Date.distantFuture) > PostgresInstant(Date.distantPast))
    #expect(PostgresInstant(microseconds: 5) + .milliseconds(2) - PostgresInstant(microseconds: 5) == .milliseconds(2))
  }

  @Test("a duration is an exact interval; months have no duration")
  func intervals() {
    #expect(PostgresInterval(.seconds(-1.5)).microseconds == -1_500_000)
    #expect(PostgresInterval(days: 2, microseconds: 1).duration == .seconds(172_800) + .microseconds(1))
    #expect(PostgresInterval(months: 1).duration == nil)
  }
}
