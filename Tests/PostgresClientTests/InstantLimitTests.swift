import FoundationEssentials
import PostgresClient
import Testing

@Suite("Instants at the ends of time")
struct InstantLimitTests {
  static let now = PostgresInstant(microseconds: 848_314_800_000_000)

  @Test("subtracting saturates")
  func subtraction() {
    #expect(PostgresInstant.infinity - .negativeInfinity == .microseconds(Int64.max))
    #expect(PostgresInstant.negativeInfinity - Self.now == .microseconds(Int64.min))
    #expect(PostgresInstant.infinity - .infinity == .zero)
  }

  @Test("adding keeps an infinity, and ends at one")
  func addition() {
    #expect(PostgresInstant.infinity + .seconds(-1) == .infinity)
    #expect(PostgresInstant.negativeInfinity + .seconds(1) == .negativeInfinity)
    #expect(Self.now + .seconds(Int64.max) == .infinity)
    #expect(PostgresInstant(microseconds: -1) + .seconds(Int64.min) == .negativeInfinity)
    #expect(Self.now + .seconds(1) == PostgresInstant(microseconds: Self.now.microseconds + 1_000_000))
  }

  @Test("the infinities stay the ends, whatever they are counted from")
  func unix() {
    #expect(PostgresInstant.infinity.unixMicroseconds == .max)
    #expect(PostgresInstant.negativeInfinity.unixMicroseconds == .min)
    #expect(PostgresInstant(microseconds: .max - 1).unixMicroseconds == .max)
    #expect(PostgresInstant(Date(timeIntervalSince1970: .infinity)) == .infinity)
    #expect(PostgresInstant(Date(timeIntervalSince1970: -.infinity)) == .negativeInfinity)
    #expect(!PostgresInstant.infinity.isFinite && Self.now.isFinite)
  }

  @Test("an infinite interval, as Postgres 17 has it, is no exact duration")
  func interval() {
    #expect(PostgresInterval(months: .max, days: .max, microseconds: .max).duration == nil)
    #expect(PostgresInterval(months: .min, days: .min, microseconds: .min).duration == nil)
    #expect(PostgresInterval(days: .max, microseconds: .max).duration != nil)
  }

  @Test("any instant has a text")
  func texts() {
    #expect(PostgresInstant(microseconds: .max - 1).rfc3339.hasPrefix("+294277-"))
    #expect(PostgresInstant(microseconds: -211_813_488_000_000_000).rfc3339.hasPrefix("-004713-"))
    for _ in 0..<1_000 { _ = PostgresInstant(microseconds: .random(in: .min ... .max)).rfc3339 }
  }
}
