import NIOCore
import Testing

@testable import HTTPKit

@Suite("Host and Origin")
struct AuthorityTests {
  @Test(
    "a name or an address, with or without a port, is read",
    arguments: [
      ("localhost", "localhost", nil), ("LOCALHOST:8080", "localhost", 8_080), ("127.0.0.1:80", "127.0.0.1", 80),
      ("[::1]", "::1", nil), ("[::1]:8080", "::1", 8_080), ("[::FFFF:127.0.0.1]:1", "::ffff:127.0.0.1", 1),
      ("baton.example:", "baton.example", nil), ("", "", nil),
    ] as [(String, String, Int?)])
  func read(text: String, host: String, port: Int?) throws {
    let authority = try #require(Authority(text))
    #expect(authority.host == host)
    #expect(authority.port == port)
  }

  @Test(
    "anything else is no authority",
    arguments: [
      "localhost:80@evil.example", "user@localhost", "localhost:8o80", "localhost:65536", "localhost:+80",
      "localhost:-1",
      "[::1].evil.example", "[::1]evil", "[::1]:80@evil", "[localhost]", "[::1", "::1", "a:b:c", ":80", "a/b", "a b",
      "a\tb", "a?b", "a#b", "a\\b", "localhost,evil.example:80:80", "bücher.example", "localhost\u{0}",
    ])
  func refused(text: String) { #expect(Authority(text) == nil) }
}

@Suite("Where a connection comes from")
struct PeerAddressTests {
  @Test(
    "addresses of one sender are the same",
    arguments: [
      ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("::1", "::1"),
      ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::99", "2001:db8:1:2::/64"),
    ])
  func description(address: String, shown: String) throws {
    #expect(PeerAddress(try SocketAddress(ipAddress: address, port: 1)).description == shown)
  }
}
