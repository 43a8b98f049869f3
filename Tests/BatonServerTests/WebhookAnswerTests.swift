import Foundation
import HTTPKit
import HTTPTypes
import Primitives
import Support
import Testing

@testable import BatonServer

@Suite("Webhooks: what is answered before the body is read")
struct WebhookAnswerTests {
  @Test("without a secret the webhook is off, whether the request has a signature or not")
  func off() async throws {
    try await withServer { server in
      for secret in [nil, "wrong"] {
        let webhook = RecordedWebhook.github(event: "ping", "{}", secret: secret)
        let reply = try await server.client.send(webhook)
        #expect(reply.status == 503)
        #expect(reply.body.contains("BATON_GITHUB_WEBHOOK_SECRET"))
      }
    }
    try await withServer(webhooks: WebhookSecrets(github: SecretList(Secret("w3bhook")))) { server in
      let reply = try await server.client.send(RecordedWebhook.github(event: "ping", "{}", secret: nil))
      #expect(reply.status == 401)
    }
  }

  @Test(
    "an event that is too large is refused if something is done for it, and answered without being read otherwise",
    arguments: [
      ("pull_request", 413), ("installation", 413), ("installation_repositories", 413), ("repository", 413),
      ("check_run", 413), ("check_suite", 413), ("merge_group", 413), ("issue_comment", 413), ("push", 200),
    ])
  func tooLarge(event: String, status: Int) async throws {
    try await withServer(webhooks: WebhookSecrets(github: SecretList(Secret("w3bhook")))) { server in
      let head = """
        POST /webhooks/github HTTP/1.1\r\nHost: a\r\nX-GitHub-Event: \(event)\r\nX-GitHub-Delivery: d\r
        X-Hub-Signature-256: sha256=\(String(repeating: "0", count: 64))\r\nContent-Length: 3000000\r\n\r\n
        """
      let reply = try await server.client.exchange(Array(head.utf8))
      #expect(reply?.status == status)
    }
  }

  @Test("who has signed a webhook of GitLab is looked at before the time is")
  func signatureFirst() throws {
    let id = UUID()
    let list = SecretList(EventSignature.newSecret())
    let body = Array("{}".utf8)
    let signature = try #require(
      WebhookSignature(EventSignature.headers(id, at: 1, body: body, list).fields))
    let fault = #expect(throws: HTTPFault.self) {
      try signature.check(
        Data(body), with: SecretList(EventSignature.newSecret()), now: Timestamp(microseconds: 1_800_000_000_000_000))
    }
    #expect(fault?.message.contains("webhook-signature") == true)
  }
}

extension [(name: String, value: String)] {
  fileprivate var fields: HTTPFields {
    reduce(into: HTTPFields()) { fields, header in
      if let name = HTTPField.Name(header.name) { fields[name] = header.value }
    }
  }
}
