import Foundation
import Primitives
import Reviews
import Testing

@Suite("Timestamps that cannot be counted with")
struct TimestampTests {
  static let now = Timestamp(microseconds: 1_794_999_600_000_000)

  @Test("the time between any two instants is a duration; it saturates")
  func saturates() {
    #expect(Self.now.since(.negativeInfinity) == .microseconds(Int64.max))
    #expect(Timestamp.negativeInfinity.since(Self.now) == .microseconds(Int64.min))
    #expect(Timestamp.infinity.since(.negativeInfinity) == .microseconds(Int64.max))
    #expect(Timestamp.infinity.since(.infinity) == .zero)
    #expect(Timestamp.infinity > Self.now && Timestamp.negativeInfinity < Self.now)
    #expect(Self.now.isFinite && !Timestamp.infinity.isFinite && !Timestamp.negativeInfinity.isFinite)
  }

  @Test(
    "every instant has a text",
    arguments: [
      (Int64.max, "infinity"), (.min, "-infinity"), (0, "1970-01-01T00:00:00.000000Z"),
      (-1, "1969-12-31T23:59:59.999999Z"), (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
      (253_402_300_800_000_000, "+010000-01-01T00:00:00.000000Z"),
      (-62_167_219_200_000_000, "0000-01-01T00:00:00.000000Z"),
      (-62_167_219_200_000_001, "-000001-12-31T23:59:59.999999Z"),
      (Int64.max - 1, "+294247-01-10T04:00:54.775806Z"), (Int64.min + 1, "-290308-12-21T19:59:05.224193Z"),
    ])
  func texts(microseconds: Int64, text: String) {
    #expect(Timestamp(microseconds: microseconds).description == text)
  }

  @Test("no number of microseconds stops the program, and years of four digits are read back")
  func random() {
    for shift in 0..<64 {
      for _ in 0..<50 {
        let time = Timestamp(microseconds: Int64.random(in: .min ... .max) >> shift)
        let other = Timestamp(microseconds: Int64.random(in: .min ... .max) >> (63 - shift))
        _ = time.since(other)
        if time.description.utf8.count == 27 { #expect(Timestamp(time.description) == time) }
      }
    }
  }

  @Test(
    "a time from outside is never infinite", arguments: ["infinity", "-infinity", "+294247-01-10T04:00:54.775807Z"])
  func strict(text: String) {
    #expect(Timestamp(text) == nil)
  }

  @Test(
    "a day that the calendar does not have is no time",
    arguments: [
      "2026-02-31T00:00:00Z", "2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "1900-02-29T00:00:00Z",
      "2026-01-01T00:00:00+99:00",
    ])
  func noDay(text: String) { #expect(Timestamp(text) == nil) }

  @Test("a leap day is a time", arguments: ["2024-02-29T00:00:00Z", "2000-02-29T00:00:00Z"])
  func leapDay(text: String) { #expect(Timestamp(text) != nil) }

  @Test("a ticket with an attempt that no row can have is no ticket", arguments: ["2147483648", "9223372036854775807"])
  func attempt(text: String) {
    let body =
      #"{ "version":1,"reviewId":"0b9d4a52-8c1e-4f4e-9c55-0d1e2f3a4b5c","attempt":\#(text),"#
      + #""claimedAt":"2026-11-23T22:18:47Z"}"#
    #expect(throws: Ticket.Fault.self) { try Ticket(body: Array(body.utf8)) }
  }
}
