import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import Primitives
import Reviews
import ServiceLifecycle
import Synchronization
import Testing

@testable import Sandbox

@Suite("Platform stand-in")
struct FakePlatformTests {
  private struct Caller: Sendable {
    let fakePlatform: FakePlatform
    let address: String
    let client: HTTPClient

    func call(
      _ path: String, method: HTTPMethod = .GET, headers: HTTPHeaders = [:], body: String? = nil
    ) async throws -> (status: Int, headers: HTTPHeaders, body: JSONValue) {
      var request = HTTPClientRequest(url: address + path)
      request.method = method
      request.headers = headers
      if let body { request.body = .bytes(ByteBuffer(string: body)) }
      let response = try await client.execute(request, timeout: .seconds(30))
      let data = Data(try await response.body.collect(upTo: 1_048_576).readableBytesView)
      return (Int(response.status.code), response.headers, try JSONDecoder().decode(JSONValue.self, from: data))
    }
  }

  private static func run(_ body: @Sendable (Caller) async throws -> Void) async throws {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let (ports, port) = AsyncStream.makeStream(of: Int.self)
    let fakePlatform = FakePlatform(logger: logger) { port.yield($0) }
    let group = ServiceGroup(services: [fakePlatform], logger: logger)
    let client = HTTPClient(configuration: .init(redirectConfiguration: .disallow))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask {
        defer { port.finish() }
        try await group.run()
      }
      var iterator = ports.makeAsyncIterator()
      let bound = try #require(await iterator.next())
      let outcome: Result<Void, any Error>
      do {
        try await body(Caller(fakePlatform: fakePlatform, address: "http://127.0.0.1:\(bound)", client: client))
        outcome = .success(())
      } catch {
        outcome = .failure(error)
      }
      try await client.shutdown()
      await group.triggerGracefulShutdown()
      try await tasks.waitForAll()
      try outcome.get()
    }
  }

  @Test("a recorded pull request is played as it was, except for the API's address")
  func recorded() async throws {
    try await Self.run { caller in
      let answer = try await caller.call("/repos/PyGithub/PyGithub/pulls/1171")
      let text = Recording.pull1171.body.replacing("https://api.github.com", with: caller.address)
      #expect(answer.body == (try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))))
      #expect(answer.headers.first(name: "x-ratelimit-limit") == "5000")
      let request = try await caller.call("/api/v4/projects/278964/merge_requests/14656")
      #expect(
        request.body == (try JSONDecoder().decode(JSONValue.self, from: Data(Recording.mergeRequest14656.body.utf8))))
    }
  }

  @Test("a made-up pull request is consistent in itself and with its comments")
  func madeUp() async throws {
    try await Self.run { caller in
      let expected = MadeUpPullRequest(repository: "acme/shop", number: 42)
      let pull = try await caller.call("/repos/acme/shop/pulls/42").body
      #expect(pull["number"] == .integer(42) && pull["state"] == .string("open"))
      #expect(pull["url"]?.string == "\(caller.address)/repos/acme/shop/pulls/42")
      #expect(pull["html_url"]?.string == "https://github.com/acme/shop/pull/42")
      #expect(pull["title"]?.string == expected.title && pull["user"]?["login"]?.string == expected.author)
      #expect(pull["head"]?["sha"]?.string == expected.headSha && pull["head"]?["ref"]?.string == expected.headRef)
      for side in ["head", "base"] {
        let repository = pull[side]?["repo"]
        #expect(repository?["full_name"]?.string == "acme/shop")
        #expect(repository?["name"]?.string == "shop")
      }
      #expect(pull["base"]?["repo"]?["owner"]?["login"]?.string == "acme")
      #expect("\(pull)".contains("1171") == false && "\(pull)".contains("Ferada") == false)
      for list in ["pulls/42/comments", "issues/42/comments", "pulls/42/commits", "pulls/42/files"] {
        let body = try await caller.call("/repos/acme/shop/\(list)").body
        guard case .array(let items) = body else {
          Issue.record("\(list)")
          continue
        }
        #expect(!items.isEmpty && !"\(body)".contains("repos/PyGithub"), "\(list)")
      }
      let request = try await caller.call("/api/v4/projects/acme%2Ftools%2Fshop/merge_requests/7").body
      #expect(request["iid"] == .integer(7))
      #expect(request["web_url"]?.string == "https://gitlab.com/acme/tools/shop/merge_requests/7")
    }
  }

  @Test("lists come in pages that link to one another")
  func pages() async throws {
    try await Self.run { caller in
      let first = try await caller.call("/repos/PyGithub/PyGithub/pulls/31/files?per_page=20")
      guard case .array(let items) = first.body else {
        Issue.record("no list")
        return
      }
      #expect(items.count == 20)
      let link = try #require(first.headers.first(name: "link"))
      #expect(
        link.hasPrefix("<\(caller.address)/repos/PyGithub/PyGithub/pulls/31/files?per_page=20&page=2>; rel=\"next\""))
    }
  }

  @Test("a renamed repository answers 301 with the way to go on")
  func renamed() async throws {
    try await Self.run { caller in
      let moved = try await caller.call("/repos/ReDASers/Phishing-Detection/pulls/5")
      #expect(moved.status == 301)
      let location = try #require(moved.headers.first(name: "location"))
      #expect(location == "\(caller.address)/repositories/146139403/pulls/5")
      let pull = try await caller.call("/repositories/146139403/pulls/5")
      #expect(pull.status == 200 && pull.body["base"]?["repo"]?["full_name"]?.string == "ReDASers/PhishBench")
    }
  }

  @Test("installation tokens are given, or refused as they were when recorded")
  func tokens() async throws {
    try await Self.run { caller in
      func jwt(expiringIn seconds: Double) -> HTTPHeaders {
        let claims = Data(#"{"exp":\#(Date().timeIntervalSince1970 + seconds)}"#.utf8).base64EncodedString()
        return ["authorization": "Bearer e30.\(claims.replacing("=", with: "")).c2ln"]
      }
      func token(_ id: Int, _ headers: HTTPHeaders, _ body: String = "{}") async throws -> (Int, JSONValue) {
        let answer = try await caller.call(
          "/app/installations/\(id)/access_tokens", method: .POST, headers: headers, body: body)
        return (answer.status, answer.body)
      }
      let (status, body) = try await token(30_614_431, jwt(expiringIn: 300))
      #expect(status == 201 && body["token"]?.string?.hasPrefix("ghs_") == true)
      let expiry = try #require(body["expires_at"]?.string.flatMap { Timestamp($0) })
      #expect(Double(expiry.microseconds) / 1_000_000 > Date().timeIntervalSince1970 + 3500)
      #expect(try await token(30_614_431, jwt(expiringIn: 300)).1["token"] != body["token"])
      #expect(try await token(30_614_431, [:]).0 == 401)
      #expect(try await token(30_614_431, jwt(expiringIn: -5)).0 == 401)
      #expect(try await token(40_432_121, jwt(expiringIn: 300)).0 == 404)
      #expect(try await token(30_614_431, jwt(expiringIn: 300), #"{"permissions":{"issues":"write"}}"#).0 == 422)
    }
  }

  @Test("faults apply to what they name, as often as they say, and are counted as calls")
  func faults() async throws {
    try await Self.run { caller in
      caller.fakePlatform.add(
        FakeFault(route: .githubPull, path: "/shop/", times: 2, status: 503, headers: ["retry-after": "3"]))
      #expect(try await caller.call("/repos/acme/billing/pulls/1").status == 200)
      for _ in 0..<2 {
        let answer = try await caller.call("/repos/acme/shop/pulls/1")
        #expect(answer.status == 503 && answer.headers.first(name: "retry-after") == "3")
      }
      #expect(try await caller.call("/repos/acme/shop/pulls/1").status == 200)
      caller.fakePlatform.add(FakeFault(cut: true))
      await #expect(throws: (any Error).self) { try await caller.call("/repos/acme/shop/pulls/1") }
      #expect(caller.fakePlatform.callCounts == [.githubPull: 5])
      caller.fakePlatform.clear()
      #expect(caller.fakePlatform.callCounts.isEmpty)
      #expect(try await caller.call("/repos/acme/shop/pulls/1").status == 200)
    }
  }

  @Test("the control sets and shows the same from outside")
  func control() async throws {
    try await Self.run { caller in
      let set = try await caller.call(
        "/_control", method: .POST, body: #"{"latencyMs":[0,1],"faults":[{"route":"github.pull","status":404}]}"#)
      #expect(set.status == 200)
      #expect(try await caller.call("/repos/acme/shop/pulls/1").status == 404)
      let report = try await caller.call("/_control").body
      #expect(report["calls"]?["github.pull"] == .integer(1) && report["callCount"] == .integer(1))
      #expect(
        try await caller.call("/_control", method: .POST, body: #"{"clear":true}"#).body["callCount"] == .integer(0))
      #expect(try await caller.call("/repos/acme/shop/pulls/1").status == 200)
      for body in ["", "[]", #"{"latencyMs":-1}"#, #"{"faults":[{"route":"nonsense"}]}"#] {
        #expect(try await caller.call("/_control", method: .POST, body: body).status == 400, "\(body)")
      }
      guard case .array(let pulls) = try await caller.call("/_control/pull-requests").body else {
        Issue.record("no list")
        return
      }
      #expect(pulls.count == FakePlatform.pullRequests().count)
      #expect(try await caller.call("/_control/nonsense").status == 404)
    }
  }

  @Test("renames, suspended installations, webhooks that failed and merge groups are played, set from outside")
  func hostedApp() async throws {
    try await Self.run { caller in
      let received = Mutex<[String]>([])
      let set = try await caller.call(
        "/_control", method: .POST,
        body:
          #"{"renamed":{"acme/shop":"acme/store"},"suspended":[3],"openPullRequests":{"acme/store":[{"number":1}]}}"#)
      #expect(set.status == 200)
      #expect(try await caller.call("/repos/acme/shop/pulls/1").status == 301)
      let written = try await caller.call("/repos/acme/shop/issues/1/reactions", method: .POST, body: "{}")
      #expect(written.status == 307)
      #expect(written.headers.first(name: "location") == "\(caller.address)/repos/acme/store/issues/1/reactions")
      #expect(
        try await caller.call("/repos/acme/store/pulls?state=open").body == .array([.object(["number": .integer(1)])]))
      // There is no receiver: it failed, and is listed.
      let failed = try await caller.call(
        "/_control/deliver", method: .POST, body: #"{"event":"merge_group","repository":"acme/store","number":17}"#)
      #expect(failed.body["status"] == .integer(0))
      guard case .array(let list) = try await caller.call("/app/hook/deliveries").body,
        case .integer(let id)? = list.first?["id"]
      else { return #expect(Bool(false), "no delivery") }
      #expect(list[0]["status_code"] == .integer(0) && list[0]["event"] == .string("merge_group"))
      caller.fakePlatform.setHook { event, body in
        received.withLock { $0.append("\(event) \(body)") }
        return 202
      }
      #expect(try await caller.call("/app/hook/deliveries/\(id)/attempts", method: .POST, body: "{}").status == 202)
      let body = try #require(received.withLock { $0.first })
      #expect(body.contains("gh-readonly-queue/master/pr-17-") && body.contains(#""action":"checks_requested""#))
      for wanted in [
        #"{"event":"pull_request"}"#, #"{"event":"installation"}"#, #"{"event":"ping","body":{"zen":"x"}}"#,
      ] {
        #expect(try await caller.call("/_control/deliver", method: .POST, body: wanted).body["status"] == .integer(202))
      }
      for wanted in ["", #"{"event":"ping"}"#] {
        #expect(try await caller.call("/_control/deliver", method: .POST, body: wanted).status == 400)
      }
    }
  }

  @Test("an ETag answers 304 without a body to its own caller, and costs nothing of the limit")
  func etags() async throws {
    try await Self.run { caller in
      caller.fakePlatform.setRateLimit(2, resetAt: 2_000_000_000)
      func get(_ headers: HTTPHeaders) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: caller.address + "/repos/acme/shop/pulls/1")
        request.headers = headers
        let response = try await caller.client.execute(request, timeout: .seconds(30))
        #expect(try await response.body.collect(upTo: 1_048_576).readableBytes == 0 || response.status != .notModified)
        return response
      }
      let first = try await get(["authorization": "Bearer a"])
      let etag = try #require(first.headers.first(name: "etag"))
      #expect(first.headers.first(name: "x-ratelimit-remaining") == "1")
      for _ in 0..<3 {
        #expect(try await get(["authorization": "Bearer a", "if-none-match": etag]).status == .notModified)
      }
      #expect(try await get(["authorization": "Bearer b", "if-none-match": etag]).status == .ok)
      let last = try await get(["authorization": "Bearer a"])
      #expect(last.status == .ok && last.headers.first(name: "x-ratelimit-remaining") == "0")
      let limited = try await get(["authorization": "Bearer a"])
      #expect(limited.status == .forbidden && limited.headers.first(name: "x-ratelimit-reset") == "2000000000")
      #expect(caller.fakePlatform.notModifiedCount == 3)
    }
  }

  @Test("GitLab's tokens are made by maintainers, rotate, and end with their family when one is rotated twice")
  func gitlabTokens() async throws {
    try await Self.run { caller in
      caller.fakePlatform.setToken("person", FakeToken(id: 1, userID: 5, username: "ann", isMaintainer: true))
      caller.fakePlatform.setToken("guest", FakeToken(id: 2, userID: 6, username: "bob"))
      func call(_ path: String, _ token: String, _ method: HTTPMethod = .POST) async throws -> (Int, JSONValue) {
        let answer = try await caller.call(
          "/api/v4\(path)", method: method, headers: ["private-token": token],
          body: method == .POST ? #"{"expires_at":"2027-01-31"}"# : nil)
        return (answer.status, answer.body)
      }
      #expect(try await call("/projects/7/access_tokens", "guest").0 == 400)
      let (status, made) = try await call("/projects/7/access_tokens", "person")
      let first = try #require(made["token"]?.string)
      #expect(status == 201 && made["expires_at"] == .string("2027-01-31"))
      #expect(try await call("/user", first, .GET).1["bot"] == .bool(true))
      #expect(try await call("/personal_access_tokens/self", first, .GET).1["active"] == .bool(true))
      let second = try #require(try await call("/projects/7/access_tokens/self/rotate", first).1["token"]?.string)
      #expect(try await call("/user", first, .GET).0 == 401)
      let third = try #require(try await call("/personal_access_tokens/self/rotate", second).1["token"]?.string)
      #expect(try await call("/user", third, .GET).0 == 200)
      #expect(try await call("/personal_access_tokens/self/rotate", first).0 == 401)
      #expect(try await call("/user", third, .GET).0 == 401)
    }
  }

  @Test("a call that hangs does not hold up the end")
  func hang() async throws {
    try await Self.run { caller in
      caller.fakePlatform.add(FakeFault(hang: true))
      await #expect(throws: (any Error).self) {
        var request = HTTPClientRequest(url: caller.address + "/repos/acme/shop/pulls/1")
        request.method = .GET
        _ = try await caller.client.execute(request, timeout: .milliseconds(200))
      }
    }
  }
}
