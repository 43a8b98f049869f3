import Foundation
import HTTPKit
import HTTPTypes
import NIOCore
import Primitives
import Reviews
import Testing
import WorkerAPI

@testable import BatonServer

@Suite("Who may use the API")
struct AccessRuleTests {
  private let rule = AccessRule(
    tokens: SecretList(Secret("new t0ken"), former: [Secret("old t0ken")]), readTokens: SecretList(Secret("r3ader")))

  private func admits(
    _ headers: HTTPFields, authority: String? = "localhost:8080", peer: String = "127.0.0.1", acts: Bool = false
  ) throws -> Result<Caller, HTTPFault> {
    let address = try SocketAddress(ipAddress: peer, port: 4711)
    return Result { () throws(HTTPFault) in
      try rule.admit(headers, authority: authority, peer: address, acts: acts)
    }
  }

  @Test(
    "no address opens anything: a stranger, a proxy on this machine and its own programs all need the token",
    arguments: ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "10.0.0.1"])
  func strangers(peer: String) throws {
    for acts in [false, true] {
      #expect(throws: HTTPFault.self) { try admits([:], authority: "127.0.0.1:8080", peer: peer, acts: acts).get() }
      let admitted = try admits(
        [.authorization: "Bearer new t0ken"], authority: "baton.example", peer: peer, acts: acts)
      #expect(admitted == .success(Caller(right: .act, actor: "api")))
    }
  }

  @Test(
    "only the bearer of a listed token is admitted: the new one and the old one",
    arguments: [
      ("Bearer new t0ken", true), ("bearer old t0ken", true), ("Bearer new t0ke", false), ("Bearer new t0ken2", false),
      ("Bearer new t0ken,old t0ken", false), ("Bearer ", false), ("Bearer", false), ("new t0ken", false),
      ("Basic new t0ken", false), ("", false),
    ])
  func bearer(value: String, isAdmitted: Bool) throws {
    switch try admits([.authorization: value], acts: true) {
    case .success: #expect(isAdmitted)
    case .failure(let fault): #expect(!isAdmitted && fault.status == .unauthorized)
    }
  }

  @Test("a reader's token reads, and changes nothing")
  func reader() throws {
    let headers: HTTPFields = [.authorization: "Bearer r3ader"]
    #expect(try admits(headers) == .success(Caller(right: .read, actor: "api (read)")))
    let error = #expect(throws: HTTPFault.self) { try admits(headers, acts: true).get() }
    #expect(error?.status == .forbidden && error?.message.contains("BATON_READ_TOKEN only reads") == true)
  }

  @Test("a page of another site acts through no proxy that adds the token; a program without these headers does")
  func foreignPage() throws {
    let token: HTTPFields = [.authorization: "Bearer new t0ken"]
    for (name, value) in [
      ("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site"),
      ("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Site", "none"),
    ] {
      var headers = token
      headers[try #require(HTTPField.Name(name))] = value
      let error = #expect(throws: HTTPFault.self, "\(name): \(value)") { try admits(headers, acts: true).get() }
      #expect(error?.status == .forbidden)
      #expect(throws: Never.self) { try admits(headers).get() }
    }
    #expect(throws: Never.self) { try admits(token, acts: true).get() }
  }
}

@Suite("Whose word a proxy's headers are")
struct TrustedProxyTests {
  private let proxies = TrustedProxies(
    ranges: ["10.0.0.7", "fd00::/8"].compactMap { AddressRange($0) }, actorHeader: "X-Forwarded-User")
  private let user = HTTPField.Name(known: "X-Forwarded-User")

  private func peer(_ address: String) throws -> SocketAddress { try SocketAddress(ipAddress: address, port: 4711) }

  @Test(
    "a name counts from a trusted proxy alone",
    arguments: [
      ("10.0.0.7", true), ("::ffff:10.0.0.7", true), ("fd00::1", true), ("10.0.0.8", false), ("127.0.0.1", false),
      ("::1", false), ("fe80::1", false),
    ])
  func names(address: String, isTrusted: Bool) throws {
    let headers: HTTPFields = [user: "ann@bank.example", .xForwardedFor: "10.0.0.7"]
    #expect(try proxies.name(headers, peer(address)) == (isTrusted ? "ann@bank.example" : nil))
    #expect(try proxies.name([:], peer(address)) == nil)
    #expect(try TrustedProxies().name(headers, peer(address)) == nil)
  }

  @Test("a connection without an address is no proxy")
  func nameless() throws {
    #expect(try proxies.name([user: "ann"], nil) == nil)
    #expect(try proxies.name([user: "ann"], SocketAddress(unixDomainSocketPath: "/tmp/x")) == nil)
  }

  @Test("a name that cannot stand in the history is refused, and so are two")
  func badNames() throws {
    // Other control characters do not come so far: HTTPField puts spaces in their place.
    let long = String(repeating: "n", count: 129)
    for name in [
      "a\u{85}b", "a\u{202E}b", "a\u{200B}", "a\u{2028}b", "a\tb", "a\u{FFFD}", "a\u{A0}b", long,
    ] {
      let error = #expect(throws: HTTPFault.self, "\(name.debugDescription)") {
        try proxies.name([user: name], peer("10.0.0.7"))
      }
      #expect(error?.status == .badRequest && error?.message.contains(name) == false)
    }
    var two = HTTPFields()
    two.append(HTTPField(name: user, value: "root"))
    two.append(HTTPField(name: user, value: "ann"))
    #expect(throws: HTTPFault.self) { try proxies.name(two, peer("10.0.0.7")) }
    for name in ["Åsa Öberg", "李", "o'neil", "DOMAIN\\ann", String(repeating: "n", count: 128)] {
      #expect(try proxies.name([user: name], peer("10.0.0.7")) == name)
    }
  }

  @Test(
    "the client is the last address that no trusted proxy has, and never what an untrusted one says",
    arguments: [
      ("192.0.2.1", "10.0.0.7", "192.0.2.1"), ("1.1.1.1, 192.0.2.1", "10.0.0.7", "192.0.2.1"),
      ("192.0.2.1, fd00::2", "10.0.0.7", "192.0.2.1"), ("192.0.2.1", "192.0.2.9", "192.0.2.9"),
      ("", "10.0.0.7", "10.0.0.7"), ("192.0.2.1, nonsense", "10.0.0.7", "10.0.0.7"), ("fd00::3", "10.0.0.7", "fd00::3"),
    ])
  func clients(forwarded: String, address: String, expected: String) throws {
    #expect(proxies.client([.xForwardedFor: forwarded], try peer(address)) == expected)
  }
}

@Suite("Who may report on a run")
struct CallbackAuthorityTests {
  private let id = UUID()
  private let now = Date(timeIntervalSince1970: 1_795_000_000)
  private var token: String { AuthToken.sign(reviewID: id, attempt: 3, now: now, key: ServerHarness.key) }

  @Test("without anything configured callbacks are off, and the answer says what to set")
  func off() {
    let authority = CallbackAuthority(secrets: nil, keys: [])
    let error = #expect(throws: HTTPFault.self) {
      try authority.grant(headers: [.internalSecret: "x", .authorization: "Bearer \(token)"], now: now)
    }
    #expect(error?.status == .serviceUnavailable)
    #expect(error?.message.contains("BATON_CALLBACK_SECRET") == true)
    #expect(error?.message.contains("BATON_ENCRYPTION_KEY") == true)
  }

  @Test("the shared secret opens every run, a token its own")
  func grants() throws {
    let authority = CallbackAuthority(secrets: SecretList(Secret("s3cret")), keys: [ServerHarness.key])
    #expect(try authority.grant(headers: [.internalSecret: "s3cret"], now: now) == .everything)
    #expect(try authority.grant(headers: [.authorization: "Bearer \(token)"], now: now) == .run(id, attempt: 3))
    // A worker may send both; the wrong one does no harm.
    let both: HTTPFields = [.internalSecret: "wrong", .authorization: "Bearer \(token)"]
    #expect(try authority.grant(headers: both, now: now) == .run(id, attempt: 3))
  }

  @Test("a wrong secret, the secret as a bearer, an expired or a strange token are refused")
  func refused() {
    let authority = CallbackAuthority(secrets: SecretList(Secret("s3cret")), keys: [ServerHarness.key])
    let strange = AuthToken.sign(
      reviewID: id, attempt: 3, now: now, key: AuthKey(encryptionKey: Array(repeating: 8, count: 32)))
    let headers: [HTTPFields] = [
      [:], [.internalSecret: "S3cret"], [.internalSecret: ""], [.authorization: "Bearer s3cret"],
      [.authorization: "Bearer \(strange)"], [.authorization: token],
    ]
    for fields in headers {
      let error = #expect(throws: HTTPFault.self) { try authority.grant(headers: fields, now: now) }
      #expect(error?.status == .unauthorized)
    }
    #expect(throws: HTTPFault.self) {
      try authority.grant(headers: [.authorization: "Bearer \(token)"], now: now.addingTimeInterval(86_401))
    }
  }

  @Test("if only one of the two is configured, the other opens nothing")
  func onlyOne() {
    #expect(throws: HTTPFault.self) {
      try CallbackAuthority(secrets: SecretList(Secret("s")), keys: []).grant(
        headers: [.authorization: "Bearer \(token)"], now: now)
    }
    #expect(throws: HTTPFault.self) {
      try CallbackAuthority(secrets: nil, keys: [ServerHarness.key]).grant(headers: [.internalSecret: ""], now: now)
    }
  }
}
