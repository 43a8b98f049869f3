import Foundation
import Primitives
import Testing

@Suite("Starts of ids")
struct IDPrefixTests {
  @Test("a prefix has at least four digits, in either case, with hyphens at their places or without")
  func forms() throws {
    for text in ["abcd", "ABCD", "abcd1234", "abcd1234-", "abcd1234-56", "abcd123456", "abcd1234-5678-9abc-def0-1234"] {
      let prefix = try #require(IDPrefix(text), "\(text)")
      #expect(prefix.description.hasPrefix(text.lowercased().prefix(4)))
      #expect(prefix.id == nil)
    }
    for text in [
      "", "abc", "a-bcd", "abcd-1234", "abcd1234--5678", "-abcd1234", "xyzw", "abcdé",
      String(repeating: "a", count: 33),
    ] {
      #expect(IDPrefix(text) == nil, "\(text)")
    }
  }

  @Test("it stands for all ids that begin so, and a whole one for itself")
  func bounds() throws {
    let prefix = try #require(IDPrefix("0b6E"))
    #expect(prefix.first.lowercase == "0b6e0000-0000-0000-0000-000000000000")
    #expect(prefix.last.lowercase == "0b6effff-ffff-ffff-ffff-ffffffffffff")
    let whole = "0b6e6c1e-6f0e-4c39-9d0a-3c1f5a1f7a11"
    #expect(IDPrefix(whole)?.id == UUID(uuidString: whole))
    #expect(IDPrefix(whole.replacing("-", with: ""))?.id == UUID(uuidString: whole))
    #expect(IDPrefix(whole)?.description == whole)
  }
}

@Suite("Bounds in time")
struct TimeBoundTests {
  @Test("an instant, a day, and spans before now")
  func forms() {
    let now = Timestamp(microseconds: 1_000_000_000_000)
    for (text, ago) in [
      ("30s", 30), ("5m", 300), ("2h", 7_200), ("7d", 604_800), ("1w", 604_800), ("90", 90), ("0s", 0),
    ] {
      #expect(
        TimeBound(text)?.instant(now: now) == Timestamp(microseconds: now.microseconds - Int64(ago) * 1_000_000),
        "\(text)")
    }
    for text in ["7d", "90m", "2h", "45s", "0s", "1d"] { #expect(TimeBound(text)?.description == text) }
    #expect(TimeBound("1w")?.description == "7d" && TimeBound("3600")?.description == "1h")
    #expect(TimeBound("2026-11-28T08:00:00Z")?.instant(now: now) == Timestamp("2026-11-28T08:00:00Z"))
    #expect(TimeBound("2026-11-28")?.instant(now: now) == Timestamp("2026-11-28T00:00:00Z"))
    for text in ["", "soon", "-2h", "2 h", "h", "99999999999999999999d", "9223372036854775807w", "1000000d"] {
      #expect(TimeBound(text) == nil, "\(text)")
    }
  }
}
