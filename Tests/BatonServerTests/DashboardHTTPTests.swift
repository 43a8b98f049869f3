import Foundation
import HTTPKit
import Primitives
import Support
import Testing

@testable import BatonServer

@Suite("Dashboard over HTTP")
struct DashboardHTTPTests {
  @Test("every page has a strict policy, and nothing of it is kept or framed")
  func policy() async throws {
    try await withServer { server in
      for path in ["/", "/reviews", "/reviews/x", "/dead-letters", "/live?review=x"] {
        let reply = try await server.client.send("GET", path)
        let policy = reply.headers["content-security-policy"] ?? ""
        if path.hasPrefix("/live") {
          #expect(reply.status == 404)
          continue
        }
        #expect(policy.hasPrefix("default-src 'none'; script-src 'self'; style-src 'self';"), "\(path)")
        #expect(
          !policy.contains("unsafe") && policy.contains("frame-ancestors 'none'")
            && policy.contains("form-action 'self'"))
        #expect(reply.headers["cache-control"] == "no-store")
        #expect(reply.headers["x-content-type-options"] == "nosniff")
        #expect(reply.headers["x-frame-options"] == "DENY")
        #expect(reply.headers["referrer-policy"] == "same-origin")
        #expect(reply.headers["content-type"] == "text/html; charset=utf-8")
        _ = try PageReader(reply.body)
      }
    }
  }

  @Test("style, script and icon are this server's own, may be kept as long as they stay the same, and are for all")
  func assets() async throws {
    try await withServer(apiToken: Secret("s3cret")) { server in
      let page = try PageReader(try await server.client.send("GET", "/").body)
      let urls = page.all("link").compactMap { $0["href"] } + page.all("script").compactMap { $0["src"] }
      #expect(urls.count == 3)
      for url in urls {
        let reply = try await server.client.send("GET", url)
        #expect(reply.status == 200)
        #expect(reply.headers["cache-control"] == "public, max-age=31536000, immutable")
        #expect(!reply.body.contains("//cdn") && !reply.body.contains("@import"))
      }
      #expect(try await server.client.send("GET", "/assets/dashboard.css").headers["cache-control"] == "no-cache")
      #expect(try await server.client.send("GET", "/assets/secret").status == 404)
    }
  }

  @Test("a stranger gets the form, and another site's page or a wrong token opens nothing")
  func strangers() async throws {
    try await withServer(apiToken: Secret("s3cret")) { server in
      let client = server.client
      let origin = ("Origin", "http://127.0.0.1:\(client.port)")
      for path in ["/", "/reviews", "/reviews?status=failed"] {
        let reply = try await client.send("GET", path)
        #expect(reply.status == 401)
        #expect(try PageReader(reply.body).all("input").contains { $0["name"] == "next" && $0["value"] == path })
      }
      #expect(try await client.send("GET", "/live").status == 401)
      let arrival = try await client.send("GET", "/reviews", headers: [("Sec-Fetch-Site", "cross-site")])
      #expect(arrival.status == 200)
      #expect(arrival.headers["refresh"] == "0; url=/reviews")
      let wrong = try await client.send("POST", "/login", headers: [origin], body: Array("token=no&next=/".utf8))
      #expect(wrong.status == 401)
      #expect(wrong.headers["set-cookie"] == nil)
      let strange = try await client.send(
        "POST", "/login", headers: [("Origin", "http://evil.example")], body: Array("token=s3cret".utf8))
      #expect(strange.status == 403)
      // Without Postgres a session cannot begin, and nothing pretends that it has.
      let away = try await client.send("POST", "/login", headers: [origin], body: Array("token=s3cret".utf8))
      #expect(away.status == 503 && away.headers["set-cookie"] == nil)
      // A stranger's buttons do nothing.
      for path in ["/logout", "/owners/pause", "/reviews/x/cancel"] {
        #expect(try await client.send("POST", path, headers: [origin], body: []).status == 401)
      }
    }
  }

  @Test("a server that has made its token names the link instead, and its form has a place of its own")
  func link() async throws {
    let link = LoginLink { _ in }
    try await withServer(apiToken: Secret("s3cret"), loginLink: link) { server in
      let page = try await server.client.send("GET", "/")
      #expect(page.status == 401 && page.body.contains("Open the log-in link"))
      let form = try await server.client.send("GET", "/login")
      #expect(form.status == 200 && form.body.contains("Code of the log-in link"))
      #expect(form.headers["cache-control"] == "no-store")
    }
    try await withServer { server in
      let form = try await server.client.send("GET", "/login")
      #expect(form.body.contains("API token"))
    }
  }

  @Test("what a reader is shown has no button that acts, and everything else")
  func reader() throws {
    let filter: HTML = "<button type=\"submit\">Filter</button>"
    let body: HTML =
      "<p>one</p>\(HTML.button("<b>Go</b>", path: "/x", subject: "</button>"))<p>two</p><button type=\"submit\">Filter</button>"
    #expect(
      (filter + body).withoutButtons.markup.hasPrefix("<button type=\"submit\">Filter</button><p>one</p><p>two</p>"))
    #expect(body.withoutButtons.markup == "<p>one</p><p>two</p><button type=\"submit\">Filter</button>")
    #expect(HTML.none.withoutButtons == .none)
    let boxes: HTML =
      "<td>\(HTML.choice(of: [UUID()], "<span>a</span>"))<b>b</b></td>\(HTML.button("Go", form: "chosen", path: "/x"))"
    #expect(boxes.withoutButtons.markup == "<td><b>b</b></td>")
    let visitor = Visitor(right: .read, actor: "ann", name: "ann")
    let page = Page(title: "t", body: body, visitor: visitor).html.markup
    #expect(
      !page.contains("form=\"act\"") && !page.contains("form=\"chosen\"") && page.contains("read only")
        && page.contains("<bdi>ann</bdi>"))
    let session = try #require(SessionCookie([(Secret("t"), .read)]).begin(with: Secret("t")))
    let signedIn = Page(title: "t", body: body, visitor: Visitor(right: .read, actor: "x", session: session)).html
      .markup
    #expect(signedIn.contains("Sign out<") && !signedIn.contains("Sign out everywhere") && !signedIn.contains(">Go<"))
  }

  @Test("a reader's token reads over HTTP, and every write with it is refused before anything is read")
  func readOnly() async throws {
    try await withServer(apiToken: Secret("s3cret"), readToken: Secret("r3ader")) { server in
      let bearer = ("Authorization", "Bearer r3ader")
      // Without Postgres the rest is a 503, which says that it was admitted.
      for path in ["/api/reviews", "/api/stats", "/reviews"] {
        let status = try await server.client.send("GET", path, headers: [bearer]).status
        #expect(status == 503 || status == 200, "\(path)")
      }
      let id = UUID().uuidString
      for path in [
        "/api/reviews", "/api/reviews/\(id)/cancel", "/api/reviews/\(id)/retry", "/reviews/\(id)/cancel",
        "/reviews/\(id)/retry", "/owners/pause", "/owners/resume",
      ] {
        let reply = try await server.client.send("POST", path, headers: [bearer], body: [])
        #expect(reply.status == 403 && reply.body.contains("BATON_READ_TOKEN"), "\(path): \(reply.status)")
      }
    }
  }

  @Test("without the database the front page says so, and waits for it")
  func databaseAway() async throws {
    try await withServer { server in
      let page = try await server.client.send("GET", "/")
      #expect(page.status == 200)
      #expect(page.body.contains("Postgres cannot be reached"))
      #expect(try PageReader(page.body).all("body").first?["data-live"] == "/live")
      #expect(try await server.client.send("GET", "/reviews").status == 503)
    }
  }
}
