import Testing

@testable import Primitives

@Suite("Times of other programs")
struct LenientTimeTests {
  @Test(
    "one instant is read in every spelling",
    arguments: [
      "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z", "2026-01-01T02:00:00+02:00", "2026-01-01T02:00:00.000+0200",
      "2026-01-01 00:00:00 UTC", "2026-01-01 02:00:00 +0200", "2025-12-31 19:00:00 -0500", "2026-01-01 05:30:00 +05:30",
      "2026/01/01 02:00:00 +0200", "2026-01-01 00:00:00", "2026-01-01", "2026-01-01T00:00Z", "2026-01-01 02:00:00 +02",
      "Thu, 01 Jan 2026 00:00:00 GMT", "Thursday, 01-Jan-26 00:00:00 GMT", "Thu Jan  1 00:00:00 2026",
      "Thu Jan 1 02:00:00 2026 +0200", "01 Jan 2026 02:00:00 +0200", "1767225600", "1767225600000",
      " 2026-01-01 00:00:00 utc ", "2026-01-01 00:00:00 -0000", "2026-01-01T00:00:00.000000000Z",
      "2026-01-01 01:00:00 CET", "2026-01-01 02:00:00 EET", "2025-12-31 19:00:00 est", "2026-01-01 09:00:00 JST",
      "2026-01-01 02:00:00 UTC+2", "2026-01-01 02:00:00 GMT+02:00", "2026-01-01 02:00:00 +2",
    ])
  func spellings(_ text: String) {
    #expect(LenientTime.read(text)?.description == "2026-01-01T00:00:00.000000Z")
  }

  @Test("numbers of seconds and milliseconds are times too, and fractions count")
  func numbers() {
    #expect(LenientTime.read(.integer(1_767_225_600))?.description == "2026-01-01T00:00:00.000000Z")
    #expect(LenientTime.read(.integer(1_767_225_600_250))?.description == "2026-01-01T00:00:00.250000Z")
    #expect(LenientTime.read("2026-01-01 02:00:00.1234567 +0200")?.description == "2026-01-01T00:00:00.123456Z")
    for value in [nil, .null, .bool(true), .integer(0), .integer(-5), .integer(.max), .array([])] as [JSONValue?] {
      #expect(LenientTime.read(value) == nil)
    }
  }

  @Test(
    "what is no time is none",
    arguments: [
      "", " ", "yesterday", "2026", "2026-13-01 00:00:00 UTC", "2026-02-31 00:00:00 UTC", "2025-02-29",
      "2026-01-01 25:00:00",
      "2026-01-01 00:00:00 IST", "2026-01-01 00:00:00 CST", "2026-01-01 00:00:00 XYZ", "2026-01-01 00:00:00 CET+1",
      "2026-01-01 00:00:00 +02000", "2026-01-01T00:00:00Zx", "-1767225600",
      "tomorrow", "Sun, 31 Feb 1994 08:49:37 GMT", "Thu Jan 1 2026", "Thu Jan 1 00:00:00",
      "Thu, 01-Jan-026 00:00:00 GMT",
      "2026-Jan-01", "99999999999999999999", "Thu, 99 Foo 2026 00:00:00 GMT", "2026-01-01T00:00:00.Z", "é",
    ])
  func none(_ text: String) {
    #expect(LenientTime.read(text) == nil)
  }
}
