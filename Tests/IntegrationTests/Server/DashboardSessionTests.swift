import BatonServer
import Foundation
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: sessions of the dashboard, and who did it")
struct DashboardSessionTests {
  private static let proxies = TrustedProxies(
    ranges: ["127.0.0.1"].compactMap { AddressRange($0) }, actorHeader: "X-Forwarded-User")

  private func status(_ path: String, _ visit: DashboardVisit, on stack: ServerStack? = nil) async throws -> Int {
    try await (stack ?? visit.stack).client.send("GET", path, headers: [("Cookie", visit.cookie)]).status
  }

  /// A second server of the same database and token.
  private func withSecondServer(
    of stack: ServerStack, _ body: @escaping @Sendable (ServerStack) async throws -> Void
  ) async throws {
    try await withServer(of: stack.conninfo, stack.store, stack.pool, body)
  }

  @Test("signing out ends the session for good, on every server, for every copy of its cookie, and leaves the others")
  func signOut() async throws {
    try await withServerStack { stack in
      try await withSecondServer(of: stack) { other in
        let (visit, neighbour) = (try await DashboardVisit(stack), try await DashboardVisit(stack))
        #expect(try await status("/", visit) == 200)
        #expect(try await status("/", visit, on: other) == 200)
        let reply = try await visit.press("/logout")
        #expect(reply.status == 303 && reply.headers["location"] == "/")
        #expect(reply.headers["set-cookie"]?.contains("baton_session=; Path=/; Max-Age=0") == true)
        #expect(reply.headers["clear-site-data"] == "\"cache\"")
        for path in ["/", "/reviews", "/dead-letters", "/live"] {
          #expect(try await status(path, visit) == 401, "\(path)")
          #expect(try await status(path, visit, on: other) == 401, "\(path)")
        }
        #expect(try await visit.press("/owners/pause", subject: "org:acme", on: other).status == 401)
        #expect(try await status("/", neighbour, on: other) == 200)
      }
    }
  }

  @Test("signing out everywhere ends every session; one that only reads may not do that")
  func signOutEverywhere() async throws {
    try await withServerStack(readToken: Secret("reads only")) { stack in
      let visits = [try await DashboardVisit(stack), try await DashboardVisit(stack)]
      let reader = try await DashboardVisit(stack, token: "reads only")
      #expect(try await reader.press("/logout", subject: "everyone").status == 403)
      for visit in visits + [reader] { #expect(try await status("/", visit) == 200) }
      #expect(try await visits[0].press("/logout", subject: "everyone").status == 303)
      for visit in visits + [reader] { #expect(try await status("/", visit) == 401) }
      let last = try await DashboardVisit(stack, token: "reads only")
      #expect(try await last.press("/logout").status == 303)
      #expect(try await status("/", last) == 401)
    }
  }

  @Test("a session goes on while its address has to wait for further log-ins")
  func throttled() async throws {
    try await withServerStack { stack in
      let visit = try await DashboardVisit(stack)
      func logIn() async throws -> Int {
        try await stack.client.send(
          "POST", "/login", headers: [("Sec-Fetch-Site", "same-origin")], body: Array("token=wrong".utf8)
        ).status
      }
      for _ in 0..<10 { #expect(try await logIn() == 401) }
      #expect(try await logIn() == 429)
      #expect(try await status("/", visit) == 200)
    }
  }

  @Test("a session ends after its time by the database's clock, and is deleted when the next one begins")
  func end() async throws {
    try await withServerStack { stack in
      let visit = try await DashboardVisit(stack)
      let length = try await stack.pool.query(
        PostgresStatement(
          unprepared: "SELECT date_part('epoch', ends_at - now()) BETWEEN 43100 AND 43200 FROM baton_sessions"))
      #expect(try length[0].decode(0, as: Bool.self))
      try await stack.run("UPDATE baton_sessions SET ends_at = now() - interval '1 second'")
      #expect(try await status("/", visit) == 401)
      _ = try await DashboardVisit(stack)
      let count = try await stack.pool.query(PostgresStatement(unprepared: "SELECT count(*) FROM baton_sessions"))
      #expect(try count[0].decode(0, as: Int64.self) == 1)
    }
  }

  @Test("an open stream says nothing more to a session that has ended")
  func stream() async throws {
    try await withServerStack { stack in
      let visit = try await DashboardVisit(stack)
      let client = stack.client
      async let stream = client.exchange(
        Array("GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: \(visit.cookie)\r\n\r\n".utf8))
      try await eventually("the stream is open") {
        try await stack.client.send("GET", "/metrics").body.contains(#"route="/live",status="200"} 1"#)
      }
      _ = try await stack.submit("abcdef1")
      #expect(try await visit.press("/logout").status == 303)
      _ = try await stack.store.setPaused(true, Owner(type: .org, id: "acme"))
      // The server closes it: otherwise this never ends.
      let body = try #require(try await stream).body
      #expect(body.contains("retry: 3000") && !body.contains("paused owners"))
    }
  }

  @Test("a session that reads sees every page without its buttons, and its writes are refused")
  func reader() async throws {
    try await withServerStack(readToken: Secret("reads only")) { stack in
      let id = try await stack.submit("abcdef1")
      let visit = try await DashboardVisit(stack, token: "reads only")
      for path in ["/", "/reviews?owner=org:acme", "/reviews/\(id.lowercase)"] {
        let reader = try await stack.client.send("GET", path, headers: [("Cookie", visit.cookie)]).body
        #expect(reader.contains("read only") && !reader.contains("formaction=\"/owners") && !reader.contains("/cancel"))
        let acting = try await stack.client.send("GET", path).body
        #expect(acting.contains("formaction=\"/owners") || acting.contains("/cancel"), "\(path)")
      }
      for path in ["/reviews/\(id.lowercase)/cancel", "/reviews/\(id.lowercase)/retry", "/owners/pause"] {
        let reply = try await visit.press(path, subject: "org:acme")
        #expect(reply.status == 403 && reply.body.contains("BATON_READ_TOKEN only reads"), "\(path)")
      }
      #expect(try await stack.store.review(id)?.status == .pending)
      let reads = ("Authorization", "Bearer reads only")
      #expect(try await stack.client.send("GET", "/api/reviews/\(id.lowercase)", headers: [reads]).status == 200)
      let written = try await stack.client.send(
        "POST", "/api/reviews", headers: [reads], body: ServerStack.review("abcdef2"))
      #expect(written.status == 403)
    }
  }

  @Test("the history names who did it: the token's kind, the dashboard, or the person whom a trusted proxy names")
  func actors() async throws {
    let ann = ("X-Forwarded-User", "Ann Öst <ann@bank.example>")
    try await withServerStack(proxies: Self.proxies) { stack in
      let id = try await stack.submit("abcdef1", headers: [ann])
      let path = "/reviews/\(id.lowercase)"
      let visit = try await DashboardVisit(stack)
      #expect(try await stack.client.send("POST", "/api\(path)/cancel").status == 202)
      #expect(try await visit.press("\(path)/retry").status == 200)
      #expect(try await visit.press("\(path)/cancel", headers: [ann]).status == 200)
      #expect(try await stack.client.send("POST", "/api\(path)/retry", headers: [ann]).status == 202)
      _ = try await stack.store.claim(limit: 1, ownerLimit: 1, by: Holder.ID())
      let actors = try await stack.store.transitions(of: id).map(\.actor)
      // What no person did is the program's, on the same connection too.
      #expect(actors == [ann.1, "api", "dashboard", ann.1, ann.1, "baton-tests"])
      let shown = try await stack.client.send("GET", path).body
      #expect(shown.contains("Ann Öst &lt;ann@bank.example&gt;"))
      for bad in ["two\u{202E}faced", String(repeating: "n", count: 129)] {
        let reply = try await stack.client.send(
          "POST", "/api\(path)/cancel", headers: [("X-Forwarded-User", bad)])
        #expect(reply.status == 400)
      }
    }
    try await withServerStack { stack in
      let id = try await stack.submit("abcdef1", headers: [ann])
      #expect(try await stack.store.transitions(of: id).map(\.actor) == ["api"])
    }
  }

  @Test("a login link opens a session once, and its code is neither the token nor in any address that is sent")
  func link() async throws {
    let (codes, shown) = AsyncStream.makeStream(of: String.self)
    let link = LoginLink { path in shown.yield(String(path.split(separator: "=")[1])) }
    try await withServerStack(apiToken: SecretList(Secret("never shown")), loginLink: link) { stack in
      link.issue()
      var iterator = codes.makeAsyncIterator()
      let code = try #require(await iterator.next())
      let visit = try await DashboardVisit(stack, token: code)
      #expect(try await status("/", visit) == 200)
      #expect(
        try await stack.client.send("GET", "/api/stats", headers: [("Authorization", "Bearer \(code)")]).status == 401)
      let again = try await stack.client.send(
        "POST", "/login", headers: [("Sec-Fetch-Site", "same-origin")], body: Array("token=\(code)".utf8))
      #expect(again.status == 401 && again.headers["set-cookie"] == nil)
      _ = try await DashboardVisit(stack, token: try #require(await iterator.next()))
    }
  }

  @Test("the token's end is the end of its sessions, and the list lets both go on for a while")
  func rotation() async throws {
    try await withServerStack(apiToken: SecretList(Secret("old token"))) { stack in
      let visit = try await DashboardVisit(stack, token: "old token")
      let (store, pool, conninfo) = (stack.store, stack.pool, stack.conninfo)
      let both = SecretList(Secret("new token"), former: [Secret("old token")])
      try await withServer(of: conninfo, store, pool, apiToken: both) { next in
        #expect(try await status("/", visit, on: next) == 200)
        _ = try await DashboardVisit(next, token: "new token")
      }
      try await withServer(of: conninfo, store, pool, apiToken: SecretList(Secret("new token"))) { last in
        let status = try await status("/", visit, on: last)
        #expect(status == 401)
      }
    }
  }
}
