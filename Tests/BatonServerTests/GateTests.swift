import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Reviews
import Testing

@testable import BatonServer

@Suite("Who may look at the dashboard, and whose buttons count")
struct GateTests {
  private let now = Date(timeIntervalSince1970: 1_795_000_000)

  private func call(_ headers: HTTPFields = [:], authority: String = "baton.example") throws -> Call {
    let head = HTTPRequest(method: .post, scheme: "http", authority: authority, path: "/", headerFields: headers)
    return Call(
      request: Request(head: head, body: RequestBody(buffer: ByteBuffer())), pathID: nil,
      peer: try SocketAddress(ipAddress: "127.0.0.1", port: 4711), logger: ServerHarness.silent)
  }

  private func gate(token: String? = "s3cret") -> Gate { Gate(access: AccessRule(token: token.map { Secret($0) })) }

  /// `name=value` of a `Set-Cookie`.
  private func pair(_ cookie: String?) throws -> String { String(try #require(cookie).prefix { $0 != ";" }) }

  private func visitor(_ gate: Gate, _ headers: HTTPFields, at now: Date? = nil) throws -> Visitor? {
    guard case .visitor(let visitor) = try gate.admit(call(headers), now: now ?? self.now) else { return nil }
    return visitor
  }

  @Test("the token opens a session, whose cookie is not the token, and no script can read or other site send")
  func signIn() throws {
    let gate = gate()
    #expect(gate.signIn("S3cret", headers: [:], now: now) == nil)
    #expect(gate.signIn("", headers: [:], now: now) == nil)
    let cookie = try #require(gate.signIn("s3cret", headers: [:], now: now))
    #expect(!cookie.contains("s3cret"))
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
      #expect(cookie.contains("; \(attribute)"))
    }
    #expect(!cookie.contains("Secure"))
    let proxied = try #require(HTTPField.Name("X-Forwarded-Proto"))
    #expect(gate.signIn("s3cret", headers: [proxied: "https"], now: now)?.hasSuffix("; Secure") == true)
    #expect(try visitor(gate, [.cookie: try pair(cookie)])?.canSignOut == true)
    // Every process with the same token accepts it; one with another does not.
    #expect(try visitor(self.gate(), [.cookie: try pair(cookie)]) != nil)
    #expect(try visitor(self.gate(token: "other"), [.cookie: try pair(cookie)]) == nil)
  }

  @Test("a session ends, and a forged, changed or foreign cookie is none")
  func forged() throws {
    let gate = gate()
    let cookie = try pair(gate.signIn("s3cret", headers: [:], now: now))
    #expect(try visitor(gate, [.cookie: cookie], at: now + 43_199) != nil)
    #expect(try visitor(gate, [.cookie: cookie], at: now + 43_200) == nil)
    #expect(try visitor(gate, [.cookie: "a=b; \(cookie);c=d"]) != nil)
    let value = cookie.dropFirst(Gate.cookieName.count + 1)
    let later = String(value.replacing("1795", with: "1895"))
    let unsigned = value.split(separator: ".").dropLast().joined(separator: ".")
    let wrongs: [String] = [
      later, "\(value.dropLast())x", "", "..", "x.y.z", "\(unsigned).", unsigned, "s3cret",
      String(repeating: "1.", count: 10_000),
    ]
    for wrong in wrongs {
      #expect(try visitor(gate, [.cookie: "\(Gate.cookieName)=\(wrong)"]) == nil, "\(wrong.prefix(80))")
    }
    #expect(try visitor(gate, [.cookie: "x\(cookie)"]) == nil)
  }

  @Test("the bearer is admitted without a session, a wrong one is not asked to sign in")
  func bearer() throws {
    #expect(try visitor(gate(), [.authorization: "Bearer s3cret"])?.isBearer == true)
    #expect(throws: HTTPFault.self) { try gate().admit(call([.authorization: "Bearer wrong"]), now: now) }
  }

  @Test("who comes from another site's link is sent here once more, so that the browser shows the cookie")
  func arrival() throws {
    let site = try #require(HTTPField.Name("Sec-Fetch-Site"))
    guard case .arrival = try gate().admit(call([site: "cross-site"]), now: now) else {
      Issue.record("not an arrival")
      return
    }
    guard case .stranger = try gate().admit(call([site: "same-origin"]), now: now) else {
      Issue.record("not a stranger")
      return
    }
  }

  @Test("without a token this machine gets a session of its own for its buttons")
  func withoutToken() throws {
    let gate = gate(token: nil)
    let call = try call(authority: "localhost:8080")
    guard case .visitor(let first) = try gate.admit(call, now: now) else {
      Issue.record("not admitted")
      return
    }
    let cookie = try pair(first.newCookie)
    #expect(!first.canSignOut)
    let again = try self.call([.cookie: cookie], authority: "localhost:8080")
    guard case .visitor(let second) = try gate.admit(again, now: now) else { return }
    #expect(second.newCookie == nil)
    #expect(second.csrfToken == first.csrfToken)
    #expect(throws: HTTPFault.self) { try gate.admit(try self.call(), now: now) }
    #expect(gate.signIn("", headers: [:], now: now) == nil)
  }

  @Test(
    "a button counts only where the browser says that our own page sends it",
    arguments: [
      (["Sec-Fetch-Site": "same-origin"], true), (["Sec-Fetch-Site": "same-site"], false),
      (["Sec-Fetch-Site": "cross-site"], false), (["Sec-Fetch-Site": "none"], false),
      (["Sec-Fetch-Site": "cross-site", "Origin": "http://baton.example"], false),
      (["Origin": "http://baton.example"], true), (["Origin": "https://baton.example"], true),
      (["Origin": "http://baton.example.evil"], false), (["Origin": "http://evil@baton.example"], false),
      (["Origin": "null"], false), (["Origin": "http://baton.example:81"], false), ([:], false),
    ])
  func origin(headers: [String: String], isOwn: Bool) throws {
    let gate = gate()
    let cookie = try pair(gate.signIn("s3cret", headers: [:], now: now))
    var fields: HTTPFields = [.cookie: cookie]
    for (name, value) in headers { fields[try #require(HTTPField.Name(name))] = value }
    let call = try call(fields)
    let visitor = try #require(try visitor(gate, fields))
    if isOwn {
      try gate.confirm(call, visitor, csrf: visitor.csrfToken)
    } else {
      #expect(throws: HTTPFault.self) { try gate.confirm(call, visitor, csrf: visitor.csrfToken) }
    }
  }

  @Test("a button without its page's token, or with another session's, does not count")
  func tokens() throws {
    let gate = gate()
    let origin: HTTPFields = [.origin: "http://baton.example"]
    let call = try call(origin)
    let one = try #require(try visitor(gate, [.cookie: try pair(gate.signIn("s3cret", headers: [:], now: now))]))
    let other = try #require(try visitor(gate, [.cookie: try pair(gate.signIn("s3cret", headers: [:], now: now))]))
    #expect(one.csrfToken != other.csrfToken)
    for sent in [nil, "", other.csrfToken, one.csrfToken.uppercased()] {
      let error = #expect(throws: HTTPFault.self) { try gate.confirm(call, one, csrf: sent) }
      #expect(error?.status == .forbidden)
    }
    try gate.confirm(call, one, csrf: one.csrfToken)
  }

  @Test(
    "after signing in, only a path of this server is led to",
    arguments: [
      ("/reviews?status=failed", "/reviews?status=failed"), ("//evil.example", "/"), ("/\\evil.example", "/"),
      ("https://evil.example", "/"), ("", "/"), ("/a\r\nSet-Cookie: x", "/"), ("/ x", "/"),
      ("javascript:alert(1)", "/"),
    ])
  func next(path: String, expected: String) {
    #expect(LoginPage.local(path) == expected)
  }
}
