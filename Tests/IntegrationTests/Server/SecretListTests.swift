import BatonServer
import Foundation
import Platforms
import Primitives
import Reviews
import Support
import Testing
import WorkerAPI

@Suite("Server: secrets that are exchanged")
struct ServerSecretListTests {
  private static let both = SecretList(Secret("new"), former: [Secret("old")])

  @Test(
    "webhooks signed with the new or the old secret are taken, others are not; the same of an integration's own list")
  func webhooks() async throws {
    try await withServerStack(webhookSecrets: Self.both) { stack in
      try await stack.addGitHub()
      try await stack.addGitHub(config: nil, secret: "own new, own old", installation: 7)
      let gitlab = try await stack.addGitLab()
      let own = try await stack.addGitLab(config: nil, secret: "own new,own old")
      func github(_ secret: String, _ sha: Character, _ installation: Int = 1) async throws -> Int {
        let fields = push(sha, at: 1).merging(["installation.id": "\(installation)"]) { $1 }
        return try await stack.client.send(.github("opened", fields, secret: secret)).status
      }
      func lab(_ token: String, _ id: UUID) async throws -> Int {
        try await stack.client.send(.gitlab(integration: id, token: token)).status
      }
      #expect(try await github("new", "a") == 202)
      #expect(try await github("old", "b") < 300)
      #expect(try await github("own new", "c", 7) < 300)
      #expect(try await github("own old", "d", 7) < 300)
      for wrong in ["new,old", "", "ol"] { #expect(try await github(wrong, "e") == 401, "\(wrong)") }
      for wrong in ["new", "old", "own new,own old"] { #expect(try await github(wrong, "f", 7) == 401, "\(wrong)") }
      for token in ["new", "old"] { #expect(try await lab(token, gitlab) < 300) }
      for token in ["own new", "own old"] { #expect(try await lab(token, own) < 300) }
      #expect(try await lab("new,old", gitlab) == 401)
      #expect(try await lab("own new,own old", own) == 401)
    }
  }

  @Test("a webhook whose own secret does not open answers 503, so that nothing is taken for forged")
  func wrongKey() async throws {
    try await withServerStack { stack in
      let own = try await stack.addGitLab(secret: "its own")
      let sealed = try TokenCipher(key: Array(repeating: 9, count: 32)).seal(
        Secret("its own"), in: .webhookSecret(of: own))
      let hex = sealed.map { String(format: "%02x", $0) }.joined()
      try await stack.run("UPDATE platform_integrations SET webhook_secret_ciphertext = '\\x\(hex)'")
      let reply = try await stack.client.send(.gitlab(integration: own, token: "its own"))
      #expect(reply.status == 503 && reply.body.contains("BATON_ENCRYPTION_KEY"), "\(reply.body)")
    }
  }

  @Test("callbacks with the new or the old secret, and with tokens of the new or the old key, are taken")
  func callbacks() async throws {
    let (new, old) = (AuthKey(encryptionKey: Array(repeating: 8, count: 32)), ServerStack.key)
    try await withServerStack(callbackSecrets: Self.both, authKeys: [new, old]) { stack in
      let id = try await stack.submit("abcdef1")
      func report(_ header: (String, String)) async throws -> Int {
        try await stack.client.send(
          "POST", "/api/internal/code-review-status/\(id.lowercase)", headers: [header],
          body: Array(#"{"status":"running","attempt":1}"#.utf8)
        ).status
      }
      for secret in ["new", "old"] { #expect(try await report(("X-Internal-Secret", secret)) == 200) }
      for secret in ["new,old", "third"] { #expect(try await report(("X-Internal-Secret", secret)) == 401) }
      for (key, status) in [(new, 200), (old, 200), (AuthKey(encryptionKey: Array(repeating: 9, count: 32)), 401)] {
        let token = AuthToken.sign(reviewID: id, attempt: 1, now: Date(), key: key)
        #expect(try await report(("Authorization", "Bearer \(token)")) == status)
      }
    }
  }
}
