import BatonServer
import Foundation
import Platforms
import Primitives
import ReviewStore
import Reviews
import Support

extension ServerStack {
  /// The owner of the changes.
  static let acme = Owner(type: .org, id: "acme")

  /// What changes something: method, path and body.
  static let changes: [(method: String, path: String, body: String)] = [
    ("PUT", "/api/owners", #"{"owner":{"type":"org","id":"acme"},"limit":7,"isPaused":true}"#),
    (
      "PUT", "/api/configurations",
      #"{"owner":{"type":"org","id":"acme"},"platform":"github","config":{"review_style":"strict","other":1}}"#
    ),
    (
      "POST", "/api/integrations",
      #"{"owner":{"type":"org","id":"acme"},"platform":"gitlab","token":"glpat-hidden","webhookSecret":"hook-hidden"}"#
    ),
    ("POST", "/api/endpoints", #"{"url":"https://hooks.example.com/x"}"#),
  ]

  func send(_ change: (method: String, path: String, body: String), token: String? = nil) async throws -> HTTPReply {
    try await client.send(
      change.method, change.path, headers: token.map { [("Authorization", "Bearer \($0)")] } ?? [],
      body: Array(change.body.utf8))
  }

  /// Makes every change.
  /// - Returns: the statuses of the answers.
  func sendChanges() async throws -> [Int] {
    var statuses: [Int] = []
    for change in Self.changes { statuses.append(try await send(change).status) }
    return statuses
  }

  /// The secret that an endpoint's events are signed with; nil if there is no such endpoint.
  func storedSecret(_ id: UUID) async throws -> String? {
    let sealed = try await store.endpointSecrets().first { $0.id == id }
    return try sealed.map { try ServerStack.cipher.open($0.ciphertext, in: .endpointSecret(of: id)).reveal() }
  }
}

extension DashboardVisit {
  /// The forms of a page as a browser would send them, with what a person would fill in.
  func forms(_ path: String, filling: [String: String]) async throws
    -> [(action: String, body: String)]
  {
    let page = try await stack.client.send("GET", path, headers: [("Cookie", cookie)]).body
    func decoded(_ text: Substring) -> String {
      String(text).replacing("&quot;", with: "\"").replacing("&#39;", with: "'").replacing("&lt;", with: "<")
        .replacing("&gt;", with: ">").replacing("&amp;", with: "&")
    }
    return page.matches(of: /<form [^>]*method="post" action="([^"]+)"[^>]*>(.*?)<\/form>/.dotMatchesNewlines())
      .compactMap {
        form in
        // What a button of the script sends, and the end of the session.
        guard form.1 != "/", form.1 != "/logout" else { return nil }
        var fields = form.2.matches(of: /<input [^>]*name="(\w+)"[^>]*>/).map { input in
          (String(input.1), input.0.firstMatch(of: #/ value="([^"]*)"/#).map { decoded($0.1) } ?? "")
        }
        fields += form.2.matches(of: /<textarea name="(\w+)"[^>]*>(.*?)<\/textarea>/.dotMatchesNewlines()).map {
          (String($0.1), decoded($0.2))
        }
        let body = fields.map { name, value in
          "\(name)=\((value.isEmpty ? filling[name] ?? "" : value).percentEncoded)"
        }
        return (decoded(form.1), body.joined(separator: "&"))
      }
  }
}
