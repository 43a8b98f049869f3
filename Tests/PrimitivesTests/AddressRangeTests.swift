import Primitives
import Reviews
import Testing

@Suite("Ranges of addresses")
struct AddressRangeTests {
  @Test(
    "an address lies in a range if its leading bits do",
    arguments: [
      ("10.0.0.7", "10.0.0.7", true), ("10.0.0.7", "10.0.0.8", false), ("10.0.0.0/8", "10.255.0.1", true),
      ("10.0.0.0/8", "11.0.0.0", false), ("10.9.9.9/8", "10.1.1.1", true), ("192.168.4.0/22", "192.168.7.255", true),
      ("192.168.4.0/22", "192.168.8.0", false), ("10.0.0.7/31", "10.0.0.6", true), ("0.0.0.0/0", "203.0.113.9", true),
      ("::1", "::1", true), ("fd00::/8", "fdff::1", true), ("fd00::/8", "fe80::1", false),
      ("fe80::/10", "fe80::1%eth0", true), ("10.0.0.0/8", "::ffff:10.1.2.3", true),
      ("::ffff:10.0.0.7", "10.0.0.7", true),
      ("10.0.0.0/8", "a00::1", false), ("0.0.0.0/0", "::1", false), ("::/0", "10.0.0.1", false),
      ("10.0.0.0/8", "10.0.0", false), ("10.0.0.0/8", "", false), ("10.0.0.0/8", "localhost", false),
    ])
  func contains(range: String, address: String, isInside: Bool) throws {
    #expect(try #require(AddressRange(range)).contains(address) == isInside)
  }

  @Test(
    "what is no range is none",
    arguments: [
      "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "::/129", "localhost", "10.0.0",
      "10.0.0.0/ 8",
    ])
  func malformed(text: String) { #expect(AddressRange(text) == nil) }
}
