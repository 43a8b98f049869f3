import BatonServer
import Foundation
import HTTPKit
import Primitives
import Reviews
import Support
import Testing

@Suite("Server with faulty requests")
struct FuzzTests {
  /// Whole requests that no client sends.
  static let requests: [String] = [
    "", "\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
    "GET http:// HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://host HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET http://host:99999999999 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET http://host? HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET ? HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET # HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /api/reviews? HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /api/reviews?%=%&&==&a HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /api/reviews?limit=-9223372036854775808 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /api/reviews?cursor=-9223372036854775808_\(ServerTests.id) HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /api/reviews/%00%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /\u{FFFD}é HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\n: empty\r\n\r\n",
    "POST /api/reviews HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "POST /api/reviews HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "POST /api/reviews HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "POST /api/reviews HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "POST /api/reviews HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n0\r\n\r\n",
    "POST /api/reviews HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
    "POST /api/reviews HTTP/1.1\r\nHost: localhost\r\nContent-Type: \u{1}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + String(repeating: "a", count: 100_000) + "\r\n\r\n",
    "GET /" + String(repeating: "a", count: 100_000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\n" + String(repeating: "a: b\r\n", count: 5_000) + "\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \u{80}\r\ntraceparent: --\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\nCookie: baton_session=..;;=; =a;baton_session\r\n\r\n",
    "GET /reviews?cursor=%00&owner=org:%ff&status= HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /live?review=%&list HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /assets/..%2f?v= HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 5\r\n\r\n%&=%0",
    "POST /owners/pause HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 4\r\n\r\nx=%z",
    "GET / HTTP/1.1\r\nHost: [::1\r\nOrigin: ://\r\n\r\n", "GET / HTTP/1.1\r\nHost: :\r\nOrigin: //\r\n\r\n",
  ]

  /// Bodies of a submission or a callback that are not what they should be.
  static let bodies: [String] = [
    "", " ", "null", "true", "0", "1e999", "-0", "\"", "\"\\ud800\"", "{\"a\":1,\"a\":2}", "\u{FEFF}{}",
    "{\"status\":\"\\u0000\"}",
    String(repeating: "[", count: 100_000), String(repeating: "{\"a\":", count: 100_000),
    String(repeating: "[", count: 500) + String(repeating: "]", count: 500),
    "[" + String(repeating: "1e999,", count: 1_000) + "1]", "{\"prNumber\":1.5,\"priority\":\"high\",\"owner\":[]}",
    "{\"status\":[\"running\"],\"attempt\":9223372036854775807,\"usage\":[]}",
    "{\"status\":\"running\",\"attempt\":-1}",
    "{\"status\":\"running\",\"sessionId\":\"\(String(repeating: "s", count: 5_000))\"}",
    reviewJSON.replacing("\"Faster\"", with: "\"\(String(repeating: "t", count: 5_000))\""),
    reviewJSON.replacing("github\"", with: "GitHub\""), reviewJSON.replacing("\"org\"", with: "null"),
    reviewJSON.replacing("https://", with: "javascript:"), reviewJSON.replacing("}", with: ""),
  ]

  @Test(
    "a request that no client sends is refused, or its connection closed: never a 500, never a crash",
    arguments: requests)
  func request(text: String) async throws {
    try await withServer { server in
      let reply = try await server.client.exchange(Array(text.utf8), isAll: true)
      // 503 is the missing database: the request was a good one.
      if let reply { #expect(reply.status < 500 || reply.headers["retry-after"] != nil, "\(reply.status)") }
      #expect(try await server.client.send("GET", "/livez").status == 200)
    }
  }

  @Test("a body that is not what it should be is refused", arguments: bodies)
  func body(text: String) async throws {
    try await withServer(callbackSecret: Secret("s3cret")) { server in
      for path in ["/api/reviews", "/api/internal/code-review-status/\(ServerTests.id)"] {
        let reply = try await server.client.send(
          "POST", path, headers: [("X-Internal-Secret", "s3cret")], body: Array(text.utf8))
        #expect([400, 422].contains(reply.status), "\(reply.status) \(reply.body) of \(path)")
        #expect(!reply.faults.isEmpty)
      }
      #expect(try await server.client.send("GET", "/livez").status == 200)
    }
  }

  @Test("random changes of good requests are answered without a 500", arguments: 0..<4)
  func random(round: Int) async throws {
    let seed = SeededGenerator.seed()
    let good = Array(
      "POST /api/reviews?limit=5 HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(reviewJSON.utf8.count)\r\n\r\n\(reviewJSON)"
        .utf8)
    try await withServer { server in
      var random = SeededGenerator(seed: seed &+ UInt64(round))
      for _ in 0..<50 {
        var bytes = good
        for _ in 0..<Int.random(in: 1...8, using: &random) {
          bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        guard let reply = try await server.client.exchange(bytes, isAll: true) else { continue }
        // 503 is the missing database: the change did no harm.
        #expect(
          reply.status < 500 || reply.headers["retry-after"] != nil, "seed \(seed), round \(round): \(reply.status)")
      }
      #expect(try await server.client.send("GET", "/livez").status == 200, "seed \(seed), round \(round)")
    }
  }
}
