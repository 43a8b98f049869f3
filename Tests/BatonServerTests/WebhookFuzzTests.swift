import Foundation
import HTTPKit
import HTTPTypes
import Primitives
import Reviews
import Support
import Testing

@testable import BatonServer

@Suite("Webhooks against whatever comes")
struct WebhookFuzzTests {
  private static let recordings = [
    "opened", "synchronize", "closed", "labeled", "converted_to_draft", "ready_for_review",
  ]

  private func read(_ platform: Platform, _ body: [UInt8]) -> Bool {
    do throws(HTTPFault) {
      _ = try WebhookEvent(
        "pull_request", payload: Data(body),
        in: WebhookContext(
          owner: Owner(type: .org, id: "acme"), platform: platform, integrationID: UUID(),
          receivedAt: Timestamp(microseconds: 0)))
      return true
    } catch {
      return [400, 422].contains(error.status.code) && !error.faults.isEmpty
    }
  }

  @Test("any payload is an event, or is refused with its faults", arguments: 0..<4)
  func payloads(round: Int) throws {
    let seed = SeededGenerator.seed()
    var random = SeededGenerator(seed: seed &+ UInt64(round))
    let github = try Self.recordings.map { try RecordedWebhook.github($0).body }
    let gitlab = try RecordedWebhook.gitlab(integration: UUID()).body
    for _ in 0..<150 {
      let platform = Bool.random(using: &random) ? Platform.github : .gitlab
      let good = platform == .gitlab ? gitlab : try #require(github.randomElement(using: &random))
      let body = random.mutate(good)
      #expect(read(platform, body), "seed \(seed), round \(round)")
    }
  }

  @Test(
    "payloads of other shapes are refused with their faults",
    arguments: [
      "", "null", "[]", "{}", "7", "\"x\"", "{\"action\":\"opened\"}", "{\"action\":\"closed\",\"pull_request\":[]}",
      "{\"object_kind\":\"merge_request\",\"object_attributes\":{\"action\":\"open\"}}",
      "{\"object_kind\":\"merge_request\",\"object_attributes\":{\"action\":\"merge\",\"iid\":-1}}",
      String(repeating: "[", count: 100_000), "{\"action\":" + String(repeating: "{\"a\":", count: 5_000),
    ])
  func shapes(text: String) {
    for platform in Platform.allCases { #expect(read(platform, Array(text.utf8))) }
  }

  @Test("no request to a webhook, whatever its path, headers and body, is answered with a 500", arguments: 0..<3)
  func requests(round: Int) async throws {
    let seed = SeededGenerator.seed()
    let secret = Secret(RecordedWebhook.webhookSecret)
    try await withServer(webhooks: WebhookSecrets(github: SecretList(secret), gitlab: SecretList(secret))) { server in
      var random = SeededGenerator(seed: seed &+ UInt64(round))
      for _ in 0..<40 {
        let name = try #require(Self.recordings.randomElement(using: &random))
        let webhook =
          Bool.random(using: &random)
          ? try RecordedWebhook.github(name) : try RecordedWebhook.gitlab(integration: UUID())
        // Signed as it is: what follows is believed to come from the platform.
        let body = random.mutate(webhook.body)
        let signature = RecordedWebhook.signature(of: body, secret: RecordedWebhook.webhookSecret)
        var head = "POST \(webhook.path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.count)\r\n"
        for (name, value) in webhook.headers where name != "X-Hub-Signature-256" { head += "\(name): \(value)\r\n" }
        var bytes = Array("\(head)X-Hub-Signature-256: \(signature)\r\n\r\n".utf8)
        if Bool.random(using: &random) {
          let index = Int.random(in: bytes.indices, using: &random)
          bytes[index] = UInt8.random(in: 0...255, using: &random)
        }
        guard let reply = try await server.client.exchange(bytes + body, isAll: true) else { continue }
        // 503 is the missing database: the request was a good one.
        #expect(
          reply.status < 500 || reply.headers["retry-after"] != nil, "seed \(seed), round \(round): \(reply.status)")
      }
      #expect(try await server.client.send("GET", "/livez").status == 200, "seed \(seed), round \(round)")
    }
  }

  @Test("without what could be a signature, or the right token, a body is not even read")
  func unread() async throws {
    try await withServer(webhooks: WebhookSecrets(github: SecretList(Secret("s")))) { server in
      for signature in ["", "X-Hub-Signature-256: sha256=00\r\n"] {
        let head = "POST /webhooks/github HTTP/1.1\r\nHost: localhost\r\n\(signature)Content-Length: 1000\r\n\r\n"
        let reply = try await server.client.exchange(Array(head.utf8))
        #expect(reply?.status == 401)
      }
    }
  }

  @Test("without any secret, a body is not even read, whatever its signature")
  func off() async throws {
    try await withServer { server in
      let signature = RecordedWebhook.signature(of: [], secret: "s")
      let head =
        "POST /webhooks/github HTTP/1.1\r\nHost: a\r\nX-Hub-Signature-256: \(signature)\r\nContent-Length: 1000\r\n\r\n"
      let reply = try await server.client.exchange(Array(head.utf8))
      #expect(reply?.status == 503)
      #expect(reply?.body.contains("BATON_GITHUB_WEBHOOK_SECRET") == true)
    }
  }

  @Test("a forged body is refused without a question to the database, whatever installation it names")
  func forged() async throws {
    // There is no database: a question would be a 503.
    try await withServer(webhooks: WebhookSecrets(github: SecretList(Secret("s")))) { server in
      let signature = RecordedWebhook.signature(of: [], secret: "s")
      let wide =
        #"{"installation":{"id":1},"x":["# + Array(repeating: "[]", count: 500_000).joined(separator: ",") + "]}"
      for body in [#"{"installation":{"id":1}}"#, wide, String(repeating: "[", count: 1_000_000), "x"] {
        let reply = try await server.client.send(
          "POST", "/webhooks/github", headers: [("X-Hub-Signature-256", signature)], body: Array(body.utf8))
        #expect(reply.status == 401)
      }
    }
  }

  @Test("an event of another kind that is too large to be read is no fault of its sender")
  func otherEvent() async throws {
    try await withServer(webhooks: WebhookSecrets(github: SecretList(Secret("s")))) { server in
      let signature = RecordedWebhook.signature(of: [], secret: "s")
      for (event, status) in [("push", 200), ("pull_request", 413)] {
        let head =
          "POST /webhooks/github HTTP/1.1\r\nHost: a\r\nX-GitHub-Event: \(event)\r\nX-Hub-Signature-256: \(signature)\r\n"
        let reply = try await server.client.exchange(Array("\(head)Content-Length: 20000000\r\n\r\n".utf8))
        #expect(reply?.status == status)
      }
    }
  }

  @Test("a body over the limit is refused, announced or not, and a header without end")
  func limits() async throws {
    try await withServer(webhooks: WebhookSecrets(github: SecretList(Secret("s")))) { server in
      let signature = RecordedWebhook.signature(of: [], secret: "s")
      let head = "POST /webhooks/github HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: \(signature)\r\n"
      let limit = WebhookBodies.strangerByteCountMax
      // Nothing of it is sent, nothing has to be.
      let announced = try await server.client.exchange(Array("\(head)Content-Length: \(limit + 1)\r\n\r\n".utf8))
      #expect(announced?.status == 413)
      let chunk = Array("\(String(limit + 1, radix: 16))\r\n".utf8) + Array(repeating: 32, count: limit + 1)
      let chunked = try await server.client.exchange(Array("\(head)Transfer-Encoding: chunked\r\n\r\n".utf8) + chunk)
      #expect(chunked == nil || chunked?.status == 413)
      // As long as it may be: read, and found not to be signed like this.
      let longest = try await server.client.send(
        "POST", "/webhooks/github", headers: [("X-Hub-Signature-256", signature)],
        body: Array(repeating: 32, count: limit))
      #expect(longest.status == 401)
      let header = [("X-Hub-Signature-256", String(repeating: "a", count: 40_000))]
      let reply = try? await server.client.send("POST", "/webhooks/github", headers: header, body: [123, 125])
      if let reply { #expect((400..<500).contains(reply.status)) }
    }
  }
}
