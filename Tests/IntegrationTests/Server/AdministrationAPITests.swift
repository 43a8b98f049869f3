import BatonServer
import Foundation
import Platforms
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: administration by programs", .timeLimit(.minutes(3)))
struct AdministrationAPITests {
  @Test("the operator's token changes owners, configurations and integrations as the commands do")
  func changes() async throws {
    try await withServerStack { stack in
      #expect(try await stack.sendChanges() == [200, 200, 201, 201])
      let load = try #require(try await stack.store.load(of: ServerStack.acme, ownerLimit: 20))
      #expect(load.limit == 7 && load.isPaused)
      let configuration = try await stack.store.configuration(of: ServerStack.acme, platform: .github)
      #expect(configuration?.json.contains("strict") == true)
      let integration = try #require(
        try await stack.store.integrations(of: ServerStack.acme, platform: nil, limit: 2).first)
      #expect(integration.instanceUrl == "https://gitlab.com")
      let path = "/api/integrations/\(integration.id.lowercase)/revoke"
      #expect(try await stack.client.send("POST", path).status == 200)
      #expect(try await stack.store.integrations(of: nil, platform: nil, limit: 2).first?.revokedAt != nil)
      let cleared = ("PUT", "/api/owners", #"{"owner":{"type":"org","id":"acme"},"limit":null,"isPaused":false}"#)
      #expect(try await stack.send(cleared).status == 200)
      #expect(try await stack.store.load(of: ServerStack.acme, ownerLimit: 20)?.limit == 20)
    }
  }

  @Test("secrets are sealed as the commands seal them, and never shown")
  func secrets() async throws {
    try await withServerStack { stack in
      #expect(try await stack.sendChanges() == [200, 200, 201, 201])
      let integration = try #require(
        try await stack.store.integrations(of: ServerStack.acme, platform: nil, limit: 2).first)
      let sealed = try #require(try await stack.store.sealedSecrets(limit: 2, withRevoked: false).first)
      let token = try ServerStack.cipher.open(try #require(sealed.token), in: .token(of: integration.id))
      #expect(token.reveal() == "glpat-hidden")
      for path in ["/api/integrations", "/api/endpoints", "/owner?owner=org:acme", "/endpoints", "/owners"] {
        let reply = try await stack.client.send("GET", path)
        #expect(
          reply.status == 200 && !reply.body.contains("-hidden") && !reply.body.contains("whsec_"),
          "\(path)")
      }
    }
  }

  @Test("an endpoint is disabled, enabled, sent to again and removed; then it is unknown")
  func endpoints() async throws {
    try await withServerStack { stack in
      #expect(try await stack.sendChanges() == [200, 200, 201, 201])
      let id = try #require(try await stack.store.endpoints().first).id.lowercase
      for (operation, count) in [("disable", 1), ("enable", 1), ("retry", 1), ("remove", 0)] {
        #expect(try await stack.client.send("POST", "/api/endpoints/\(id)/\(operation)").status == 200, "\(operation)")
        #expect(try await stack.store.endpoints().count == count)
      }
      #expect(try await stack.client.send("POST", "/api/endpoints/\(id)/enable").status == 404)
    }
  }

  @Test("the answer to a new secret names the secrets that are stored, and shows only one that the server has made")
  func endpointSecret() async throws {
    try await withServerStack { stack in
      #expect(try await stack.sendChanges() == [200, 200, 201, 201])
      let id = try #require(try await stack.store.endpoints().first).id
      let path = "/api/endpoints/\(id.lowercase)/secret"
      let given = "new-secret-of-more-than-24-bytes,old-secret-of-more-than-24-bytes"
      let replaced = try await stack.send(("POST", path, "{\"secret\":\"\(given)\"}"))
      #expect(replaced.status == 200 && replaced.object["secret"] == nil && !replaced.body.contains("more-than"))
      let keyIDs = EventSignature.keyIDs(Secret(given))
      #expect(replaced.object["keyIds"] as? [String] == keyIDs && keyIDs.count == 2)
      #expect(try await stack.storedSecret(id) == given)
      let made = try await stack.send(("POST", path, "{}"))
      let secret = try #require(made.object["secret"] as? String)
      #expect(try await stack.storedSecret(id) == secret && secret.hasPrefix("whsec_"))
      #expect(try await stack.send(("POST", path, #"{"secret":"short"}"#)).status == 422)
      #expect(try await stack.send(("POST", "/api/endpoints/\(UUID().lowercase)/secret", "{}")).status == 404)
      #expect(try await stack.storedSecret(id) == secret)
    }
  }

  @Test("every route of an integration or endpoint takes the start of its id; an ambiguous one changes nothing")
  func startsOfIDs() async throws {
    try await withServerStack { stack in
      for change in ServerStack.changes.suffix(2) { #expect(try await stack.send(change).status == 201) }
      let integration = try #require(
        try await stack.store.integrations(of: nil, platform: nil, limit: 2).first)
      let endpoint = try #require(try await stack.store.endpoints().first)
      for operation in ["disable", "enable", "retry", "secret"] {
        let path = "/api/endpoints/\(endpoint.id.lowercase.prefix(8))/\(operation)"
        let reply = try await stack.send(("POST", path, operation == "secret" ? "{}" : ""))
        #expect(reply.status == 200, "\(operation): \(reply.body)")
        if operation == "secret" { #expect(reply.object["id"] as? String == endpoint.id.lowercase) }
      }
      let visit = try await DashboardVisit(stack)
      #expect(try await visit.submit("/endpoints/\(endpoint.id.lowercase.prefix(8))/disable", "").status == 303)
      let revoked = try await stack.client.send(
        "POST", "/api/integrations/\(integration.id.uuidString.prefix(4))/revoke")
      #expect(revoked.status == 200, "\(revoked.body)")

      #expect(try await stack.send(ServerStack.changes[3]).status == 201)
      try await stack.run(
        "UPDATE baton_endpoints SET id = ('abcd1234-0000-4000-8000-00000000000' || CASE id WHEN '\(endpoint.id)' THEN 1 ELSE 2 END)::uuid"
      )
      for operation in ["disable", "enable", "retry", "remove", "secret"] {
        let several = try await stack.send(("POST", "/api/endpoints/abcd1234/\(operation)", "{}"))
        #expect(several.status == 409 && several.body.contains("abcd1234-0000-4000-8000-000000000002"))
        let none = try await stack.send(("POST", "/api/endpoints/abcd9/\(operation)", "{}"))
        #expect(none.status == 404 && none.body.contains("begins with abcd9"), "\(none.body)")
        #expect(try await stack.send(("POST", "/api/endpoints/abc/\(operation)", "{}")).status == 404)
      }
      #expect(try await stack.store.endpoints().count == 2)
      #expect(try await stack.client.send("POST", "/api/integrations/0000ffff/revoke").status == 404)
    }
  }

  @Test("an operation on an endpoint that there is not is refused")
  func unknownEndpoint() async throws {
    try await withServerStack { stack in
      for operation in ["enable", "disable", "retry", "remove"] {
        let path = "/api/endpoints/\(UUID().lowercase)/\(operation)"
        let status = try await stack.client.send("POST", path).status
        #expect(status == 404, "\(operation)")
      }
    }
  }

  @Test("a token that only reads changes nothing")
  func readOnly() async throws {
    let reader = Secret("a token that reads only")
    try await withServerStack(readToken: reader) { stack in
      for change in ServerStack.changes {
        let status = try await stack.send(change, token: reader.reveal()).status
        #expect(status == 403, "\(change.path)")
      }
      for table in ["review_owners", "agent_configs", "platform_integrations", "baton_endpoints"] {
        #expect(try await stack.count(table) == 0, "\(table)")
      }
    }
  }

  @Test("what is faulty is refused with every fault named, and nothing is changed")
  func faults() async throws {
    try await withServerStack { stack in
      for (method, path, body, words) in [
        (
          "PUT", "/api/owners", #"{"owner":"acme","limit":"7","max":1}"#, ["owner", "limit", "max"]
        ),
        ("PUT", "/api/owners", #"{"owner":"org:acme","limit":0}"#, ["limit"]),
        ("PUT", "/api/owners", #"{"owner":"org:acme"}"#, ["limit, isPaused"]),
        (
          "PUT", "/api/configurations", #"{"owner":"org:acme","platform":"svn","config":{}}"#,
          ["platform"]
        ),
        (
          "PUT", "/api/configurations",
          #"{"owner":"org:acme","platform":"github","config":{"review_style":"kind"}}"#,
          ["review_style"]
        ),
        (
          "POST", "/api/integrations", #"{"owner":"org:acme","platform":"github"}"#,
          ["installationId"]
        ),
        (
          "POST", "/api/integrations",
          #"{"owner":"org:acme","platform":"gitlab","token":"t","instanceUrl":"https://169.254.169.254"}"#,
          ["instanceUrl", "BATON_GITLAB_HOSTS"]
        ),
        (
          "POST", "/api/endpoints", #"{"url":"http://169.254.169.254/latest"}"#,
          ["BATON_EVENT_HOSTS"]
        ),
        (
          "POST", "/api/endpoints", #"{"url":"https://hooks.example.com/","secret":"short"}"#,
          ["24 bytes"]
        ),
      ] {
        let reply = try await stack.send((method, path, body))
        #expect(reply.status == 422, "\(path) \(body): \(reply.body)")
        for word in words { #expect(reply.body.contains(word), "\(path) \(body): \(reply.body)") }
      }
      for table in ["review_owners", "agent_configs", "platform_integrations", "baton_endpoints"] {
        #expect(try await stack.count(table) == 0, "\(table)")
      }
    }
  }
}
