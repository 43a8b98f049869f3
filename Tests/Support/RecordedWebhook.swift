internal import Crypto
package import Foundation

/// A webhook of GitHub or GitLab as it was recorded, with changes, ready to be sent.
package struct RecordedWebhook: Sendable {
  /// The path to send it to.
  package var path: String
  package var headers: [(String, String)]
  package var body: [UInt8]

  /// A delivery of GitHub.
  /// - Parameters:
  ///   - name: of the recording, as in `opened`.
  ///   - fields: values as JSON text by path, as in `["pull_request.head.sha": "\"0a1b…\""]`.
  ///   - secret: what it is signed with; nil leaves the signature out.
  package static func github(
    _ name: String, _ fields: [String: String] = [:], event: String = "pull_request", delivery: String? = nil,
    secret: String? = webhookSecret
  ) throws -> RecordedWebhook {
    let body = try changed("github_pull_request_\(name)", fields)
    var headers = [
      ("X-GitHub-Event", event), ("X-GitHub-Delivery", delivery ?? UUID().uuidString),
      ("Content-Type", "application/json"),
    ]
    if let secret { headers.append(("X-Hub-Signature-256", signature(of: body, secret: secret))) }
    return RecordedWebhook(path: "/webhooks/github", headers: headers, body: body)
  }

  /// A delivery of GitLab.
  package static func gitlab(
    integration: UUID, _ fields: [String: String] = [:], delivery: String? = nil, token: String? = webhookSecret
  ) throws -> RecordedWebhook {
    var headers = [
      ("X-Gitlab-Event", "Merge Request Hook"), ("X-Gitlab-Event-UUID", delivery ?? UUID().uuidString),
      ("Content-Type", "application/json"),
    ]
    if let token { headers.append(("X-Gitlab-Token", token)) }
    return RecordedWebhook(
      path: "/webhooks/gitlab/\(integration.uuidString.lowercased())", headers: headers,
      body: try changed("gitlab_merge_request", fields))
  }

  /// What the tests' webhooks are signed with.
  package static let webhookSecret = "w3bhook"

  /// The value of `X-Hub-Signature-256`.
  package static func signature(of body: [UInt8], secret: String) -> String {
    let code = HMAC<SHA256>.authenticationCode(for: body, using: SymmetricKey(data: Data(secret.utf8)))
    return "sha256=" + code.map { String(format: "%02x", $0) }.joined()
  }

  private static func changed(_ name: String, _ fields: [String: String]) throws -> [UInt8] {
    guard let url = Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "RecordedWebhooks") else {
      throw MissingRecording(name: name)
    }
    var value = try JSONSerialization.jsonObject(with: Data(contentsOf: url))
    for (path, text) in fields {
      let field = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
      value = replacing(path.split(separator: ".")[...], in: value, with: field)
    }
    return Array(try JSONSerialization.data(withJSONObject: value, options: [.sortedKeys, .withoutEscapingSlashes]))
  }

  private static func replacing(_ path: ArraySlice<Substring>, in value: Any, with field: Any) -> Any {
    guard let name = path.first else { return field }
    var object = value as? [String: Any] ?? [:]
    object[String(name)] = replacing(path.dropFirst(), in: object[String(name)] ?? [:], with: field)
    return object
  }
}

/// A recording that a test expected is not there.
package struct MissingRecording: Error {
  let name: String
}

extension RawHTTPClient {
  /// Sends a recorded webhook.
  package func send(_ webhook: RecordedWebhook) async throws -> HTTPReply {
    try await send("POST", webhook.path, headers: webhook.headers, body: webhook.body)
  }
}

extension RecordedWebhook {
  /// A delivery of GitHub with a body of the test's own: JSON.
  package static func github(
    event: String, _ body: String, delivery: String? = nil, secret: String? = webhookSecret
  ) -> RecordedWebhook {
    let body = Array(body.utf8)
    var headers = [
      ("X-GitHub-Event", event), ("X-GitHub-Delivery", delivery ?? UUID().uuidString),
      ("Content-Type", "application/json"),
    ]
    if let secret { headers.append(("X-Hub-Signature-256", signature(of: body, secret: secret))) }
    return RecordedWebhook(path: "/webhooks/github", headers: headers, body: body)
  }

  /// A delivery of GitLab with a body of the test's own: JSON.
  package static func gitlab(integration: UUID, event: String, _ body: String) -> RecordedWebhook {
    RecordedWebhook(
      path: "/webhooks/gitlab/\(integration.uuidString.lowercased())",
      headers: [
        ("X-Gitlab-Event", event), ("X-Gitlab-Event-UUID", UUID().uuidString), ("X-Gitlab-Token", webhookSecret),
        ("Content-Type", "application/json"),
      ], body: Array(body.utf8))
  }
}
