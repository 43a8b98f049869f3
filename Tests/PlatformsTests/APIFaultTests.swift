import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import Testing

@testable import Platforms

@Suite("API fault")
struct APIFaultTests {
  private static let now = Date(timeIntervalSince1970: 1_700_000_000)

  private static func fault(_ status: Int, _ headers: HTTPHeaders = [:], _ body: String = #"{"message":"no"}"#)
    -> APIFault?
  {
    APIFault(status: status, headers: headers, body: Data(body.utf8), now: now)
  }

  @Test("every 2xx is a success", arguments: [200, 201, 202, 204, 299])
  func success(_ status: Int) {
    #expect(Self.fault(status) == nil)
  }

  @Test(
    "a status decides the class",
    arguments: [
      (400, "refused"), (401, "unauthorized"), (403, "refused"), (404, "missing"), (406, "refused"), (408, "failing"),
      (410, "missing"), (422, "refused"), (429, "rateLimited"), (451, "refused"), (500, "failing"), (502, "failing"),
      (503, "failing"), (504, "failing"), (599, "failing"), (304, "failing"), (302, "failing"),
    ])
  func classes(_ status: Int, _ name: String) {
    #expect(Self.fault(status).map { String(describing: $0).hasPrefix(name) } == true)
  }

  @Test(
    "without the API's own JSON a status decides nothing: something in front of the API has answered",
    arguments: [400, 401, 403, 404, 406, 410, 422, 451],
    ["", "<html>404 not found</html>", "default backend - 404", "{}", "[]", "null", #""no""#, #"{"status":404}"#])
  func proxies(_ status: Int, _ body: String) {
    guard case .failing(let message)? = Self.fault(status, [:], body) else {
      Issue.record("\(status) \(body) is taken for the platform's verdict")
      return
    }
    #expect(message.contains("\(status)") && message.contains("proxy"))
  }

  @Test("a success that is not JSON is no answer of the API; one of another shape is an answer that cannot be used")
  func notJSON() {
    struct Wire: Decodable {
      var id: Int
    }
    func fault(_ body: String) -> APIFault? {
      #expect(throws: APIFault.self) { _ = try APIClient.decode(Wire.self, from: Data(body.utf8)) }
    }
    for body in ["<html>sign in</html>", "", "ok"] {
      guard case .failing? = fault(body) else { return #expect(Bool(false), "\(body)") }
    }
    for body in [#"{"id":"x"}"#, "[]", "{}"] {
      guard case .malformed? = fault(body) else { return #expect(Bool(false), "\(body)") }
    }
    #expect(throws: Never.self) { _ = try APIClient.decode(Wire.self, from: Data(#"{"id":1}"#.utf8)) }
  }

  @Test("a 403 is a rate limit when a header or the text says so")
  func forbidden() {
    #expect(
      Self.fault(403, ["x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000030"])
        == .rateLimited(retryAfter: .seconds(30)))
    #expect(Self.fault(403, ["retry-after": "9"]) == .rateLimited(retryAfter: .seconds(9)))
    let secondary = #"{"message":"You have exceeded a secondary rate limit."}"#
    #expect(Self.fault(403, [:], secondary) == .rateLimited(retryAfter: .seconds(60)))
    for text in [
      "You have triggered an abuse detection mechanism. Please wait a few minutes before you try again.",
      "Max number of login attempt exceeded", "Too many requests",
      "This endpoint has been requested too many times. Try again later.",
    ] {
      for body in [#"{"message":"\#(text)"}"#, #"{"message":{"error":"\#(text)"}}"#] {
        #expect(Self.fault(403, [:], body) == .rateLimited(retryAfter: .seconds(60)), "\(body)")
      }
    }
    #expect(
      Self.fault(403, ["x-ratelimit-remaining": "41"], #"{"message":"Resource not accessible by integration"}"#)
        == .refused(message: "it answered 403: Resource not accessible by integration"))
  }

  @Test("the platform's words are quoted on one line, and bounded")
  func quoted() {
    let body = #"{"message":"a\nb\#(String(repeating: "x", count: 1000))"}"#
    guard case .refused(let message)? = Self.fault(422, [:], body) else {
      Issue.record("not refused")
      return
    }
    #expect(message.hasPrefix("it answered 422: a b"))
    #expect(message.count < 250)
    #expect(Self.fault(422, [:], #"{"message":{"name":["is taken"]}}"#) == .refused(message: "it answered 422"))
    #expect(
      Self.fault(401, [:], #"{"error":"invalid_token","error_description":"Token was revoked"}"#)
        == .unauthorized(message: "it answered 401: Token was revoked"))
  }

  @Test(
    "an error before there is a connection is unreachable, one after it is failing",
    arguments: [
      (HTTPClientError.connectTimeout as any Error, true), (HTTPClientError.tlsHandshakeTimeout, true),
      (HTTPClientError.invalidURL, true), (IOError(errnoCode: 111, reason: "connect"), true),
      (IOError(errnoCode: 113, reason: "connect"), true), (HTTPClientError.remoteConnectionClosed, false),
      (HTTPClientError.readTimeout, false), (HTTPClientError.deadlineExceeded, false),
      (HTTPClientError.getConnectionFromPoolTimeout, false), (IOError(errnoCode: 104, reason: "read"), false),
      (HTTPParserError.invalidEOFState, false),
    ] as [(any Error, Bool)])
  func transport(_ error: any Error, _ isUnreachable: Bool) {
    switch APIFault(transport: error) {
    case .unreachable: #expect(isUnreachable)
    case .failing: #expect(!isUnreachable)
    default: Issue.record("neither")
    }
  }
}
