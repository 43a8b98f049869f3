import Foundation
import HTTPKit
import HTTPTypes
import Hummingbird
import NIOCore
import Primitives
import Reviews
import Synchronization
import Testing

@testable import BatonServer

/// A book in memory, as a single Postgres for all the servers of a test.
private final class MemoryBook: SessionBook {
  private let live = Mutex<Set<String>>([])
  let isAway = Mutex(false)

  private func write(_ change: (inout Set<String>) -> Void) throws {
    guard !isAway.withLock({ $0 }) else { throw HTTPFault.unavailable("away") }
    live.withLock { change(&$0) }
  }

  var count: Int { live.withLock { $0.count } }

  func begin(_ id: String, replacing former: String?) async throws {
    try write { live in
      if let former { live.remove(former) }
      live.insert(id)
    }
  }

  func isLive(_ id: String) async throws -> Bool {
    var isLive = false
    try write { isLive = $0.contains(id) }
    return isLive
  }

  func end(_ id: String) async throws { try write { $0.remove(id) } }

  func endAll() async throws { try write { $0 = [] } }
}

@Suite("Who may look at the dashboard, and whose buttons count")
struct DashboardAccessTests {
  private let book = MemoryBook()

  private func call(
    _ headers: HTTPFields = [:], authority: String = "baton.example", peer: String = "127.0.0.1"
  ) throws -> Call {
    let head = HTTPRequest(method: .post, scheme: "http", authority: authority, path: "/", headerFields: headers)
    return Call(
      request: Request(head: head, body: RequestBody(buffer: ByteBuffer())), pathID: nil,
      peer: try SocketAddress(ipAddress: peer, port: 4711), logger: ServerHarness.silent)
  }

  /// A server of its own with the book that all have.
  private func access(
    _ tokens: [String] = ["s3cret"], proxies: TrustedProxies = TrustedProxies(), link: LoginLink? = nil
  ) -> DashboardAccess {
    DashboardAccess(
      access: AccessRule(
        tokens: SecretList(Secret(tokens[0]), former: tokens.dropFirst().map { Secret($0) }),
        readTokens: SecretList(Secret("r3ader")), proxies: proxies),
      book: book, link: link)
  }

  /// `name=value` of the cookie of a new session.
  private func cookie(_ access: DashboardAccess, token: String = "s3cret", _ headers: HTTPFields = [:]) async throws
    -> String
  {
    String(try #require(try await access.signIn(token, headers)).cookie.prefix { $0 != ";" })
  }

  private func visitor(_ access: DashboardAccess, _ headers: HTTPFields, peer: String = "127.0.0.1") async throws
    -> Visitor?
  {
    guard case .visitor(let visitor) = try await access.admit(call(headers, peer: peer)) else { return nil }
    return visitor
  }

  @Test("the token opens a session, whose cookie is not the token, and no script can read or other site send")
  func signIn() async throws {
    let access = access()
    for wrong in ["S3cret", "", "s3cret,r3ader"] { #expect(try await access.signIn(wrong, [:]) == nil) }
    #expect(book.count == 0)
    let cookie = try #require(try await access.signIn("s3cret", [:])).cookie
    #expect(cookie.hasPrefix("baton_session=") && !cookie.contains("s3cret") && !cookie.contains("Secure"))
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
      #expect(cookie.contains("; \(attribute)"))
    }
    let pair = String(cookie.prefix { $0 != ";" })
    // Every server with the same token accepts it; one with another does not.
    #expect(try await visitor(self.access(), [.cookie: pair])?.actor == "dashboard")
    #expect(try await visitor(self.access(["other"]), [.cookie: pair]) == nil)
    // As long as the token is listed.
    #expect(try await visitor(self.access(["new", "s3cret"]), [.cookie: pair]) != nil)
  }

  @Test("over TLS the cookie is bound to this host, and the cookie of plain HTTP does not count")
  func secure() async throws {
    let access = access()
    let https: HTTPFields = [.xForwardedProto: "https"]
    let cookie = try #require(try await access.signIn("s3cret", https)).cookie
    #expect(cookie.hasPrefix("__Host-baton_session=") && cookie.hasSuffix("; Secure") && cookie.contains("; Path=/;"))
    #expect(!cookie.contains("Domain"))
    let pair = String(cookie.prefix { $0 != ";" })
    #expect(try await visitor(access, [.cookie: pair, .xForwardedProto: "https"]) != nil)
    #expect(try await visitor(access, [.cookie: pair]) == nil)
    let plain = pair.replacing("__Host-", with: "")
    #expect(try await visitor(access, [.cookie: plain, .xForwardedProto: "https"]) == nil)
    #expect(SessionCookie.removing(https).hasPrefix("__Host-baton_session=; Path=/; Max-Age=0;"))
  }

  @Test("a forged, changed or foreign cookie is none, and costs no query")
  func forged() async throws {
    let access = access()
    let cookie = try await cookie(access)
    #expect(try await visitor(access, [.cookie: "a=b; \(cookie);c=d"]) != nil)
    let value = cookie.dropFirst(SessionCookie.name.count + 1)
    let id = value.prefix(64)
    let reader = try await self.cookie(access, token: "r3ader").split(separator: ".")[1]
    // A query would fail.
    book.isAway.withLock { $0 = true }
    let wrongs: [String] = [
      "\(value.dropLast())x", "", ".", "..", "x.y", "\(id).", String(id), "s3cret", "\(id).\(reader)", "\(value).x",
      "\(String(id.reversed())).\(value.suffix(64))", String(repeating: "1.", count: 10_000),
    ]
    for wrong in wrongs {
      #expect(try await visitor(access, [.cookie: "\(SessionCookie.name)=\(wrong)"]) == nil, "\(wrong.prefix(80))")
    }
    #expect(try await visitor(access, [.cookie: "x\(cookie)"]) == nil)
  }

  @Test("signing out ends the session on every server, also for a copy of the cookie, and no other one")
  func signOut() async throws {
    let (one, other) = (access(), access())
    let cookie = try await cookie(one)
    let neighbour = try await self.cookie(one)
    let session = try #require(try await visitor(other, [.cookie: cookie])?.session)
    try await one.signOut(session)
    for access in [one, other] {
      #expect(try await visitor(access, [.cookie: cookie]) == nil)
      #expect(try await visitor(access, [.cookie: neighbour]) != nil)
    }
    try await other.signOutEveryone()
    #expect(try await visitor(one, [.cookie: neighbour]) == nil)
  }

  @Test("signing in gives a new session, and ends the one that the browser had")
  func fixation() async throws {
    let access = access()
    let first = try await cookie(access)
    let second = try await cookie(access, [.cookie: first])
    #expect(first != second)
    #expect(try await visitor(access, [.cookie: first]) == nil)
    #expect(try await visitor(access, [.cookie: second]) != nil)
    // A cookie that someone else has planted is not taken over.
    let planted = "\(SessionCookie.name)=\(String(repeating: "0", count: 64)).\(String(repeating: "0", count: 64))"
    #expect(try await cookie(access, [.cookie: planted]) != planted)
  }

  @Test("while Postgres cannot be reached no session counts, and the answer does not ask for another sign-in")
  func away() async throws {
    let access = access()
    let cookie = try await cookie(access)
    book.isAway.withLock { $0 = true }
    let error = await #expect(throws: HTTPFault.self) { try await visitor(access, [.cookie: cookie]) }
    #expect(error?.status == .serviceUnavailable && error?.message.contains("your session") == true)
    #expect(try await visitor(access, [.authorization: "Bearer s3cret"]) != nil)
    #expect(try await visitor(access, [:]) == nil)
    book.isAway.withLock { $0 = false }
    #expect(try await visitor(access, [.cookie: cookie]) != nil)
  }

  @Test("a reader's session only reads")
  func reader() async throws {
    let visitor = try #require(try await visitor(access(), [.cookie: try await cookie(access(), token: "r3ader")]))
    #expect(visitor.right == .read && visitor.actor == "dashboard (read)")
  }

  @Test("the bearer is admitted without a session, a wrong one is not asked to sign in")
  func bearer() async throws {
    let visitor = try await visitor(access(), [.authorization: "Bearer s3cret"])
    #expect(visitor?.session == nil && visitor?.actor == "api")
    await #expect(throws: HTTPFault.self) { try await access().admit(call([.authorization: "Bearer wrong"])) }
  }

  @Test("a bearer's button needs no page, unless a browser sends it: then our own page")
  func bearerButton() async throws {
    let access = access()
    let visitor = try #require(try await visitor(access, [.authorization: "Bearer s3cret"]))
    try access.confirm(call(), visitor, csrf: nil)
    try access.confirm(call([.fetchSite: "same-origin"]), visitor, csrf: nil)
    for headers: HTTPFields in [[.fetchSite: "cross-site"], [.origin: "https://evil.example"]] {
      #expect(throws: HTTPFault.self) { try access.confirm(call(headers), visitor, csrf: nil) }
    }
  }

  @Test("the person whom a trusted proxy names stands in the history")
  func person() async throws {
    let user = HTTPField.Name(known: "X-Forwarded-User")
    let proxies = TrustedProxies(
      ranges: [AddressRange("10.0.0.7")].compactMap { $0 }, actorHeader: "X-Forwarded-User")
    let access = access(proxies: proxies)
    let cookie = try await cookie(access)
    for headers: HTTPFields in [[.cookie: cookie], [.authorization: "Bearer s3cret"]] {
      var named = headers
      named[user] = "ann"
      #expect(try await visitor(access, named, peer: "10.0.0.7")?.actor == "ann")
      #expect(try await visitor(access, named, peer: "10.0.0.8")?.actor != "ann")
    }
    // A name is no way in.
    #expect(try await visitor(access, [user: "ann"], peer: "10.0.0.7") == nil)
  }

  @Test("who comes from another site's link is sent here once more, so that the browser shows the cookie")
  func arrival() async throws {
    guard case .arrival = try await access().admit(call([.fetchSite: "cross-site"])) else {
      Issue.record("not an arrival")
      return
    }
    guard case .stranger = try await access().admit(call([.fetchSite: "same-origin"])) else {
      Issue.record("not a stranger")
      return
    }
  }

  @Test("a log-in link opens one session, in time; when it is used, or too late, the next one is shown")
  func link() async throws {
    let shown = Mutex<[String]>([])
    func link(_ lifetime: Duration) -> LoginLink {
      LoginLink(lifetime: lifetime) { path in shown.withLock { $0.append(path) } }
    }
    func code() throws -> String { String(try #require(shown.withLock { $0.last }).split(separator: "=")[1]) }
    let late = link(.zero)
    late.issue()
    let tooLate = try code()
    #expect(!late.redeem(tooLate) && shown.withLock { $0.count } == 2)
    #expect(!late.redeem(tooLate) && !late.redeem("") && shown.withLock { $0.count } == 2)

    let once = link(.seconds(600))
    #expect(!once.redeem(""))
    once.issue()
    #expect(shown.withLock { $0.last }?.hasPrefix("/login#code=") == true)
    let access = access(link: once)
    let first = try code()
    for wrong in ["x", "\(first)0"] { #expect(try await access.signIn(wrong, [:]) == nil) }
    let cookie = try await cookie(access, token: first)
    #expect(try await visitor(access, [.cookie: cookie])?.right == .act)
    #expect(try await access.signIn(first, [:]) == nil)
    #expect(try code() != first)
    #expect(try await access.signIn(try code(), [:]) != nil)
  }

  @Test(
    "a button counts only if the browser says that our own page sends it",
    arguments: [
      (["Sec-Fetch-Site": "same-origin"], true), (["Sec-Fetch-Site": "same-site"], false),
      (["Sec-Fetch-Site": "cross-site"], false), (["Sec-Fetch-Site": "none"], false),
      (["Sec-Fetch-Site": "cross-site", "Origin": "http://baton.example"], false),
      (["Origin": "http://baton.example"], true), (["Origin": "https://baton.example"], true),
      (["Origin": "http://baton.example.evil"], false), (["Origin": "http://evil@baton.example"], false),
      (["Origin": "null"], false), (["Origin": "http://baton.example:81"], false), ([:], false),
    ])
  func origin(headers: [String: String], isOwn: Bool) async throws {
    let access = access()
    let cookie = try await cookie(access)
    var fields: HTTPFields = [.cookie: cookie]
    for (name, value) in headers { fields[try #require(HTTPField.Name(name))] = value }
    let call = try call(fields)
    let visitor = try #require(try await visitor(access, fields))
    if isOwn {
      try access.confirm(call, visitor, csrf: visitor.csrfToken)
    } else {
      #expect(throws: HTTPFault.self) { try access.confirm(call, visitor, csrf: visitor.csrfToken) }
    }
  }

  @Test("a button without its page's token, or with another session's, does not count")
  func tokens() async throws {
    let access = access()
    let origin: HTTPFields = [.origin: "http://baton.example"]
    let call = try call(origin)
    let one = try #require(try await visitor(access, [.cookie: try await cookie(access)]))
    let other = try #require(try await visitor(access, [.cookie: try await cookie(access)]))
    #expect(one.csrfToken != other.csrfToken)
    for sent in [nil, "", other.csrfToken, one.csrfToken.uppercased()] {
      let error = #expect(throws: HTTPFault.self) { try access.confirm(call, one, csrf: sent) }
      #expect(error?.status == .forbidden)
    }
    try access.confirm(call, one, csrf: one.csrfToken)
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
