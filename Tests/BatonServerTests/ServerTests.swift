import BatonServer
import Foundation
import HTTPKit
import Primitives
import Reviews
import Support
import Telemetry
import Testing
import WorkerAPI

@Suite("Server without its database")
struct ServerTests {
  static let id = "0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11"

  @Test(
    "what needs Postgres answers 503 and says when to come back",
    arguments: [
      ("GET", "/api/reviews", nil), ("GET", "/api/reviews/\(id)", nil), ("POST", "/api/reviews", reviewJSON),
      ("POST", "/api/reviews/\(id)/cancel", nil), ("POST", "/api/reviews/\(id)/retry", nil), ("GET", "/api/stats", nil),
      ("POST", "/api/internal/code-review-status/\(id)", #"{"status":"running"}"#),
    ] as [(String, String, String?)])
  func databaseDown(method: String, path: String, body: String?) async throws {
    try await withServer(callbackSecret: Secret("s3cret")) { server in
      let reply = try await server.client.send(
        method, path, headers: [("X-Internal-Secret", "s3cret")], body: body.map { Array($0.utf8) })
      #expect(reply.status == 503)
      #expect(reply.headers["retry-after"] == "5")
      #expect(reply.json["error"] as? String == "Postgres cannot be reached: try again")
    }
  }

  @Test("health, metrics and the front page still answer")
  func withoutDatabase() async throws {
    try await withServer(queue: QueueFigures(name: "q", ready: 5, consumers: 1, dead: 2)) { server in
      let client = server.client
      server.readiness.register("postgres") { "no connection" }
      server.readiness.register("broker") { nil }
      #expect(try await client.send("GET", "/livez").status == 200)
      let ready = try await client.send("GET", "/readyz")
      #expect(ready.status == 503)
      #expect(ready.body == #"{"checks":{"broker":"ok","postgres":"no connection"},"status":"not ready"}"#)
      let page = try await client.send("GET", "/")
      #expect(page.status == 200)
      for link in ["/metrics", "/readyz"] { #expect(page.body.contains("href=\"\(link)\"")) }
      let metrics = try await client.send("GET", "/metrics")
      #expect(metrics.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
      #expect(metrics.body.contains("baton_queue_messages_ready 5\n"))
      #expect(metrics.body.contains("baton_dead_messages 2\n"))
      #expect(!metrics.body.contains("baton_reviews{"), "what was not measured must not be shown")
    }
  }

  @Test("requests are counted by the template of their path, never by the path")
  func counted() async throws {
    try await withServer { server in
      for path in [
        "/api/reviews/nonsense", "/api/reviews/\(Self.id)/cancel", "/secret-\(Self.id)", "/api/reviews?limit=x",
      ] {
        _ = try await server.client.send("GET", path)
      }
      let text = server.registry.exposition()
      for line in [
        #"baton_http_requests_total{route="/api/reviews/{id}",status="404"} 1"#,
        #"baton_http_requests_total{route="/api/reviews/{id}/cancel",status="405"} 1"#,
        #"baton_http_requests_total{route="other",status="404"} 1"#,
        // Of a route that nothing has called, from the start.
        #"baton_http_requests_total{route="/webhooks/github",status="202"} 0"#,
        #"baton_http_requests_total{route="/api/reviews",status="400"} 1"#,
      ] { #expect(text.contains(line + "\n")) }
      #expect(!text.contains(Self.id))
    }
  }

  @Test(
    "a wrong method answers 405 with those that there are; an unknown path 404",
    arguments: [
      ("DELETE", "/api/reviews", 405, "GET, HEAD, POST"), ("POST", "/metrics", 405, "GET, HEAD"),
      ("GET", "/api/reviews/\(id)/cancel", 405, "POST"), ("PURGE", "/", 405, "GET, HEAD"),
      ("GET", "/api/internal/code-review-status/\(id)", 405, "POST"), ("GET", "/nothing", 404, nil),
      ("OPTIONS", "*", 404, nil), ("POST", "/api/reviews/\(id)/destroy", 404, nil),
    ] as [(String, String, Int, String?)])
  func wrongMethodOrPath(method: String, path: String, status: Int, allow: String?) async throws {
    try await withServer { server in
      let reply = try await server.client.send(method, path)
      #expect(reply.status == status)
      #expect(reply.headers["allow"] == allow)
      #expect(reply.headers["content-type"] == "application/json; charset=utf-8")
      #expect((reply.json["error"] as? String)?.isEmpty == false)
    }
  }

  @Test("HEAD answers as GET does, without the body")
  func head() async throws {
    try await withServer { server in
      let reply = try await server.client.send("HEAD", "/livez")
      #expect(reply.status == 200)
      #expect(reply.headers["content-length"] == "18")
      #expect(reply.body.isEmpty)
    }
  }

  @Test("the API and the front page are for the bearer of the token, on this machine too; health and metrics for all")
  func token() async throws {
    try await withServer(apiToken: Secret("s3cret")) { server in
      for path in ["/", "/api/reviews", "/api/reviews/x", "/api/stats"] {
        let refused = try await server.client.send("GET", path)
        #expect(refused.status == 401)
        #expect(refused.headers["www-authenticate"] == "Bearer")
        let admitted = try await server.client.send("GET", path, headers: [("Authorization", "Bearer s3cret")])
        #expect(admitted.status != 401)
      }
      for path in ["/livez", "/metrics", "/readyz"] {
        #expect(try await server.client.send("GET", path).status == 200)
      }
    }
  }

  @Test(
    "an unfit review is refused with every fault named",
    arguments: [
      ("", 400, 1), ("[]", 400, 1), ("{", 400, 1), ("{}", 422, 10),
      (#"{"owner":{"type":"team","id":""},"platform":"svn","prNumber":0}"#, 422, 11),
      (reviewJSON.replacing("acme/shop\"", with: "shop\""), 422, 1),
      (reviewJSON.replacing("\"ann\"", with: "\"a\\u0000\""), 422, 1),
      (reviewJSON.replacing(":7,", with: ":1e400,"), 400, 1),
      (reviewJSON.replacing(":7,", with: ":99999999999,"), 422, 1),
    ])
  func unfitReview(body: String, status: Int, faultCount: Int) async throws {
    try await withServer { server in
      let reply = try await server.client.send("POST", "/api/reviews", body: Array(body.utf8))
      #expect(reply.status == status)
      #expect(reply.faults.count == faultCount)
    }
  }

  @Test("a body over 1 MiB answers 413, announced or not, and the server stays well")
  func tooLarge() async throws {
    try await withServer { server in
      let body = Array(repeating: UInt8(ascii: "x"), count: 1 << 20 + 1)
      let announced = try await server.client.send("POST", "/api/reviews", body: body)
      #expect(announced.status == 413)
      let head =
        "POST /api/reviews HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(ServerHarness.token)\r\nTransfer-Encoding: chunked\r\n\r\n"
      let chunk = "100001\r\n" + String(decoding: body, as: UTF8.self) + "\r\n0\r\n\r\n"
      #expect(try await server.client.exchange(Array((head + chunk).utf8))?.status == 413)
      #expect(try await server.client.send("GET", "/livez").status == 200)
    }
  }

  @Test(
    "a callback's answer depends on what is configured and sent",
    arguments: [
      (false, false, "secret", 503), (true, false, "secret", 503), (true, false, "none", 401),
      (true, false, "token", 401),
      (false, true, "secret", 401), (false, true, "token", 503), (true, true, "strange", 401),
    ])
  func callbackAuthority(hasSecret: Bool, hasKey: Bool, sent: String, status: Int) async throws {
    // 503 with a Retry-After is the missing database: the caller was let through.
    let isThrough = status == 503 && (hasSecret || hasKey)
    try await withServer(
      callbackSecret: hasSecret ? Secret("s3cret") : nil, authKey: hasKey ? ServerHarness.key : nil
    ) { server in
      let id = try #require(UUID(uuidString: Self.id))
      let headers: [(String, String)] =
        switch sent {
        case "secret": [("X-Internal-Secret", "s3cret")]
        case "token":
          [("Authorization", "Bearer \(AuthToken.sign(reviewID: id, attempt: 1, now: Date(), key: ServerHarness.key))")]
        case "strange":
          [
            (
              "Authorization",
              "Bearer \(AuthToken.sign(reviewID: UUID(), attempt: 1, now: Date(), key: ServerHarness.key))"
            )
          ]
        default: []
        }
      let reply = try await server.client.send(
        "POST", "/api/internal/code-review-status/\(Self.id)", headers: headers,
        body: Array(#"{"status":"running"}"#.utf8))
      #expect(reply.status == status)
      #expect((reply.headers["retry-after"] != nil) == isThrough)
    }
  }
}
