import Foundation
import HTTPKit
import HTTPTypes
import Logging
import NIOCore
import Primitives
import Reviews
import Support
import Telemetry
import Testing

@testable import BatonServer

@Suite("Refused log-ins")
struct RefusalTests {
  private let start = ContinuousClock.now

  private func source(
    _ address: String, forwarded: String? = nil, proxies: [String] = []
  ) throws -> Refusals.Source {
    var headers: HTTPFields = [:]
    if let forwarded { headers[.xForwardedFor] = forwarded }
    return Refusals.Source(
      peer: try SocketAddress(ipAddress: address, port: 1), headers: headers,
      proxies: TrustedProxies(ranges: try proxies.map { try #require(AddressRange($0)) }))
  }

  @Test("behind trusted proxies the client's own address counts, whatever it writes into the header")
  func trustedProxies() throws {
    let refusals = Refusals(logger: CapturedLog().logger)
    let proxies = ["10.0.0.0/8"]
    // The client has made up the first address; the second proxy has appended the first one's.
    for number in 0..<Refusals.refusalMax {
      refusals.note(
        .login, from: try source("10.0.0.1", forwarded: "1.1.1.\(number), 198.51.100.1, 10.0.0.2", proxies: proxies),
        now: start)
    }
    let evil = try source("10.0.0.1", forwarded: "8.8.8.8, 198.51.100.1, 10.0.0.2", proxies: proxies)
    let good = try source("10.0.0.1", forwarded: "198.51.100.2, 10.0.0.2", proxies: proxies)
    #expect(refusals.wait(of: evil, now: start) != nil)
    #expect(refusals.wait(of: good, now: start) == nil)
    // The header of a sender that is not a trusted proxy does not count.
    let direct = try source("203.0.113.9", forwarded: "198.51.100.1", proxies: proxies)
    #expect(direct == (try source("203.0.113.9", proxies: proxies)))
    #expect(refusals.wait(of: direct, now: start) == nil)
  }

  @Test("an address has one warning a minute, and the number of what came after it")
  func warnings() throws {
    let log = CapturedLog()
    let refusals = Refusals(logger: log.logger)
    let (one, two) = (try source("192.0.2.1"), try source("192.0.2.2"))
    for _ in 0..<500 { refusals.note(.login, from: one, now: start) }
    refusals.note(.webhook, from: two, now: start + .seconds(1))
    let lines = log.lines(from: .warning)
    #expect(lines.count == 2)
    #expect(lines[0].contains("address=192.0.2.1") && lines[0].contains("kind=log-in"))
    #expect(lines[1].contains("address=192.0.2.2") && lines[1].contains("kind=webhook"))
    refusals.note(.login, from: one, now: start + .seconds(60))
    let later = log.lines(from: .warning).dropFirst(2)
    #expect(later.count == 2)
    #expect(later.contains { $0.contains("count=499") && $0.contains("address=192.0.2.1") })
  }

  @Test("after ten refusals an address has to wait until the minute is over, and no other has")
  func patience() throws {
    let refusals = Refusals(logger: CapturedLog().logger)
    let (one, two) = (try source("192.0.2.1"), try source("192.0.2.2"))
    for number in 0..<Refusals.refusalMax {
      #expect(refusals.wait(of: one, now: start) == nil, "\(number)")
      refusals.note(.login, from: one, now: start)
    }
    let wait = try #require(refusals.wait(of: one, now: start + .seconds(20)))
    #expect((40...41).contains(wait))
    #expect(refusals.wait(of: two, now: start) == nil)
    #expect(refusals.wait(of: one, now: start + .seconds(60)) == nil)
  }

  @Test("clients of a proxy are distinguished by the proxy's header, within limits")
  func proxy() throws {
    let refusals = Refusals(logger: CapturedLog().logger)
    let evil = try source("10.0.0.1", forwarded: "1.2.3.4, 198.51.100.1")
    let good = try source("10.0.0.1", forwarded: "198.51.100.2")
    for _ in 0..<Refusals.refusalMax { refusals.note(.login, from: evil, now: start) }
    #expect(refusals.wait(of: evil, now: start) != nil)
    #expect(refusals.wait(of: good, now: start) == nil)
    for number in 0..<Refusals.peerRefusalMax {
      refusals.note(.login, from: try source("10.0.0.9", forwarded: "198.51.100.\(number)"), now: start)
    }
    #expect(refusals.wait(of: try source("10.0.0.9", forwarded: "another"), now: start) != nil)
  }

  @Test("it remembers a bounded number of addresses")
  func bounded() throws {
    let log = CapturedLog()
    let refusals = Refusals(logger: log.logger)
    let first = try source("192.0.2.1")
    for _ in 0..<20 { refusals.note(.login, from: first, now: start) }
    for number in 0..<Refusals.sourceCountMax {
      refusals.note(.login, from: try source("10.1.\(number >> 8).\(number & 255)"), now: start + .seconds(1))
    }
    #expect(refusals.wait(of: first, now: start + .seconds(1)) == nil)
    #expect(log.lines(from: .warning).contains { $0.contains("192.0.2.1") && $0.contains("count=19") })
  }

  @Test(
    "the answers of all that has to show something count, and the page that asks for the token does not",
    arguments: [
      (.githubWebhook, false, 401, .webhook), (.gitlabWebhook, false, 401, .webhook),
      (.callback, false, 401, .callback),
      (.login, false, 401, .login), (.reviews, true, 401, .bearer), (.dashboard, true, 401, .bearer),
      (.dashboard, false, 401, nil), (.reviews, true, 200, nil), (.githubWebhook, false, 503, nil),
    ] as [(RoutePath, Bool, Int, Refusals.Kind?)])
  func kinds(path: RoutePath, hasBearer: Bool, status: Int, kind: Refusals.Kind?) {
    let headers: HTTPFields = hasBearer ? [.authorization: "Bearer x"] : [:]
    #expect(Refusals.Kind(refusing: path, headers, status: .init(code: status)) == kind)
  }

  private func logIn(_ server: ServerHarness, _ token: String) async throws -> HTTPReply {
    try await server.client.send(
      "POST", "/login", headers: [("Sec-Fetch-Site", "same-origin")], body: Array("token=\(token)".utf8))
  }

  @Test("the eleventh wrong log-in has to wait, and so has the right one; a right bearer goes on")
  func form() async throws {
    try await withServer(apiToken: Secret("s3cret-s3cret-s3cret")) { server in
      for _ in 0..<10 { #expect(try await logIn(server, "wrong").status == 401) }
      for token in ["wrong", "s3cret-s3cret-s3cret"] {
        let refused = try await logIn(server, token)
        #expect(refused.status == 429)
        #expect(refused.headers["retry-after"].flatMap { Int($0) }.map { (1...61).contains($0) } == true)
      }
      let wrong = try await server.client.send("GET", "/api/stats", headers: [("Authorization", "Bearer wrong")])
      #expect(wrong.status == 429)
      let right = [("Authorization", "Bearer s3cret-s3cret-s3cret")]
      #expect(try await server.client.send("GET", "/api/stats", headers: right).status == 503)
    }
  }

  @Test("a form of many fields has an answer that does not grow with it", arguments: ["/login", "/api/reviews"])
  func many(path: String) async throws {
    try await withServer(apiToken: Secret("s3cret-s3cret-s3cret")) { server in
      let fields = Array(repeating: "a", count: 32_000).joined(separator: "&")
      let reply =
        path == "/login"
        ? try await server.client.send(
          "POST", path, headers: [("Sec-Fetch-Site", "same-origin")], body: Array(fields.utf8))
        : try await server.client.send(
          "GET", "\(path)?\(fields.prefix(20_000))", headers: [("Authorization", "Bearer s3cret-s3cret-s3cret")])
      #expect(reply.status == 400)
      #expect(reply.body.utf8.count < 16_384)
    }
  }

  @Test("a form over 64 KiB is refused before it is sent")
  func large() async throws {
    try await withServer(apiToken: Secret("s3cret-s3cret-s3cret")) { server in
      let head = "POST /login HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 65537\r\n\r\n"
      let reply = try await server.client.exchange(Array(head.utf8))
      #expect(reply?.status == 413)
    }
  }
}
