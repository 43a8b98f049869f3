import Foundation
import HTTPTypes
import NIOCore
import Reviews
import Testing
import WorkerAPI

@testable import BatonServer

@Suite("Who may use the API")
struct AccessRuleTests {
  private func admits(
    token: String? = nil, headers: HTTPFields = [:], authority: String? = "localhost:8080", peer: String? = "127.0.0.1"
  ) throws -> HTTPResponse.Status? {
    let address = try peer.map { try SocketAddress(ipAddress: $0, port: 4711) }
    do throws(HTTPFault) {
      try AccessRule(token: token.map { Secret($0) }).admit(headers: headers, authority: authority, peer: address)
      return nil
    } catch {
      return error.status
    }
  }

  @Test(
    "without a token the peer's address decides",
    arguments: [
      ("127.0.0.1", true), ("127.8.9.1", true), ("::1", true), ("::ffff:127.0.0.1", true), ("10.0.0.1", false),
      ("192.168.1.127", false), ("::ffff:10.0.0.1", false), ("fe80::1", false), ("::2", false),
    ])
  func peers(address: String, isAdmitted: Bool) throws {
    #expect(try admits(peer: address) == (isAdmitted ? nil : .forbidden))
  }

  @Test("a peer without an address is nobody of this machine")
  func unknownPeer() throws {
    #expect(try admits(peer: nil) == .forbidden)
  }

  @Test(
    "without a token a proxy's and a strange page's requests are refused",
    arguments: [
      ("X-Forwarded-For", "10.0.0.1"), ("Forwarded", "for=10.0.0.1"), ("Origin", "https://evil.example"),
      ("Origin", "null"),
      ("Origin", "http://127.0.0.1.evil.example"), ("Origin", "http://localhost.evil.example:8080"),
    ])
  func forwarded(name: String, value: String) throws {
    let name = try #require(HTTPField.Name(name))
    #expect(try admits(headers: [name: value]) == .forbidden)
  }

  @Test(
    "without a token this machine may be called only by its own names",
    arguments: [
      ("localhost", true), ("LOCALHOST:8080", true), ("127.0.0.1:8080", true), ("[::1]:8080", true),
      ("evil.example", false),
      ("127.0.0.1.evil.example", false), ("127.evil", false), ("", true),
    ])
  func authorities(authority: String, isAdmitted: Bool) throws {
    #expect(try admits(authority: authority) == (isAdmitted ? nil : .forbidden))
    guard !authority.isEmpty else { return }
    #expect(try admits(headers: [.origin: "http://\(authority)"]) == (isAdmitted ? nil : .forbidden))
  }

  @Test(
    "with a token only its bearer is admitted, from wherever and through whatever",
    arguments: [
      ("Bearer s3cret", true), ("bearer s3cret", true), ("Bearer s3cre", false), ("Bearer s3cret2", false),
      ("Bearer ", false), ("Bearer", false), ("s3cret", false), ("Basic s3cret", false), ("", false),
    ])
  func bearer(value: String, isAdmitted: Bool) throws {
    for peer in ["127.0.0.1", "10.0.0.1"] {
      let status = try admits(
        token: "s3cret", headers: [.authorization: value, .origin: "https://shop.example"], authority: "baton.example",
        peer: peer)
      #expect(status == (isAdmitted ? nil : .unauthorized))
    }
    #expect(try admits(token: "s3cret") == .unauthorized)
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

  @Test("where only one of the two is configured, the other opens nothing")
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
