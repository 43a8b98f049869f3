import BatonServer
import Foundation
import Platforms
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: owners, configurations, integrations and endpoints", .timeLimit(.minutes(3)))
struct AdministrationTests {
  private static let reader = Secret("a token that reads only")
  private static let acme = Owner(type: .org, id: "acme")
  /// What changes something: method, path and body.
  private static let changes = [
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

  private func send(_ stack: ServerStack, _ change: (String, String, String), token: String? = nil)
    async throws -> HTTPReply
  {
    try await stack.client.send(
      change.0, change.1, headers: token.map { [("Authorization", "Bearer \($0)")] } ?? [],
      body: Array(change.2.utf8))
  }

  @Test(
    "the operator's token changes what the commands change; secrets are sealed as theirs, and never shown"
  )
  func programs() async throws {
    try await withServerStack { stack in
      let statuses = try await Self.changes.asyncMap { try await send(stack, $0).status }
      #expect(statuses == [200, 200, 201, 201])
      let load = try #require(try await stack.store.load(of: Self.acme, ownerLimit: 20))
      #expect(load.limit == 7 && load.isPaused)
      #expect(
        try await stack.store.configuration(of: Self.acme, platform: .github)?.json.contains(
          "strict") == true)
      let integration = try #require(
        try await stack.store.integrations(of: Self.acme, platform: nil, limit: 2).first)
      let sealed = try #require(
        try await stack.store.sealedSecrets(limit: 2, withRevoked: false).first)
      let token = try ServerStack.cipher.open(
        try #require(sealed.token), in: .token(of: integration.id))
      #expect(token.reveal() == "glpat-hidden" && integration.instanceUrl == "https://gitlab.com")
      for path in [
        "/api/integrations", "/api/endpoints", "/owner?owner=org:acme", "/endpoints", "/owners",
      ] {
        let reply = try await stack.client.send("GET", path)
        #expect(
          reply.status == 200 && !reply.body.contains("-hidden") && !reply.body.contains("whsec_"),
          "\(path)")
      }
      let path = "/api/integrations/\(integration.id.lowercase)/revoke"
      #expect(try await stack.client.send("POST", path).status == 200)
      #expect(
        try await stack.store.integrations(of: nil, platform: nil, limit: 2).first?.revokedAt != nil
      )
      let cleared = (
        "PUT", "/api/owners", #"{"owner":{"type":"org","id":"acme"},"limit":null,"isPaused":false}"#
      )
      #expect(try await send(stack, cleared).status == 200)
      #expect(try await stack.store.load(of: Self.acme, ownerLimit: 20)?.limit == 20)
      let endpoint = try #require(try await stack.store.endpoints().first)
      try await replacesSecret(stack, endpoint.id)
      for (operation, count) in [("disable", 1), ("enable", 1), ("retry", 1), ("remove", 0)] {
        let path = "/api/endpoints/\(endpoint.id.lowercase)/\(operation)"
        #expect(try await stack.client.send("POST", path).status == 200, "\(operation)")
        #expect(try await stack.store.endpoints().count == count)
      }
      #expect(
        try await stack.client.send("POST", "/api/endpoints/\(endpoint.id.lowercase)/enable").status
          == 404)
    }
  }

  @Test("every route of an integration or endpoint takes the start of its id; an ambiguous one changes nothing")
  func startsOfIDs() async throws {
    try await withServerStack { stack in
      for change in Self.changes.suffix(2) { #expect(try await send(stack, change).status == 201) }
      let integration = try #require(
        try await stack.store.integrations(of: nil, platform: nil, limit: 2).first)
      let endpoint = try #require(try await stack.store.endpoints().first)
      for operation in ["disable", "enable", "retry", "secret"] {
        let path = "/api/endpoints/\(endpoint.id.lowercase.prefix(8))/\(operation)"
        let reply = try await send(stack, ("POST", path, operation == "secret" ? "{}" : ""))
        #expect(reply.status == 200, "\(operation): \(reply.body)")
        if operation == "secret" { #expect(reply.object["id"] as? String == endpoint.id.lowercase) }
      }
      let visit = try await DashboardVisit(stack)
      #expect(try await submit(visit, "/endpoints/\(endpoint.id.lowercase.prefix(8))/disable", "").status == 303)
      let revoked = try await stack.client.send(
        "POST", "/api/integrations/\(integration.id.uuidString.prefix(4))/revoke")
      #expect(revoked.status == 200, "\(revoked.body)")

      #expect(try await send(stack, Self.changes[3]).status == 201)
      try await stack.run(
        "UPDATE baton_endpoints SET id = ('abcd1234-0000-4000-8000-00000000000' || CASE id WHEN '\(endpoint.id)' THEN 1 ELSE 2 END)::uuid"
      )
      for operation in ["disable", "enable", "retry", "remove", "secret"] {
        let several = try await send(stack, ("POST", "/api/endpoints/abcd1234/\(operation)", "{}"))
        #expect(several.status == 409 && several.body.contains("abcd1234-0000-4000-8000-000000000002"))
        let none = try await send(stack, ("POST", "/api/endpoints/abcd9/\(operation)", "{}"))
        #expect(none.status == 404 && none.body.contains("begins with abcd9"), "\(none.body)")
        #expect(try await send(stack, ("POST", "/api/endpoints/abc/\(operation)", "{}")).status == 404)
      }
      #expect(try await stack.store.endpoints().count == 2)
      #expect(try await stack.client.send("POST", "/api/integrations/0000ffff/revoke").status == 404)
    }
  }

  /// What is answered names the secrets that are stored from then on, and shows only one that the server has made.
  private func replacesSecret(_ stack: ServerStack, _ id: UUID) async throws {
    let path = "/api/endpoints/\(id.lowercase)/secret"
    let given = "new-secret-of-more-than-24-bytes,old-secret-of-more-than-24-bytes"
    let replaced = try await send(stack, ("POST", path, "{\"secret\":\"\(given)\"}"))
    #expect(replaced.status == 200 && replaced.object["secret"] == nil && !replaced.body.contains("more-than"))
    let keyIDs = EventSignature.keyIDs(Secret(given))
    #expect(replaced.object["keyIds"] as? [String] == keyIDs && keyIDs.count == 2)
    #expect(try await storedSecret(stack, id) == given)
    let made = try await send(stack, ("POST", path, "{}"))
    let secret = try #require(made.object["secret"] as? String)
    #expect(try await storedSecret(stack, id) == secret && secret.hasPrefix("whsec_"))
    #expect(try await send(stack, ("POST", path, #"{"secret":"short"}"#)).status == 422)
    #expect(try await send(stack, ("POST", "/api/endpoints/\(UUID().lowercase)/secret", "{}")).status == 404)
    #expect(try await storedSecret(stack, id) == secret)
  }

  private func storedSecret(_ stack: ServerStack, _ id: UUID) async throws -> String? {
    let sealed = try await stack.store.endpointSecrets().first { $0.id == id }
    return try sealed.map { try ServerStack.cipher.open($0.ciphertext, in: .endpointSecret(of: id)).reveal() }
  }

  @Test("a token that only reads changes nothing, and its pages have no form")
  func readOnly() async throws {
    try await withServerStack(readToken: Self.reader) { stack in
      for change in Self.changes {
        #expect(
          try await send(stack, change, token: Self.reader.reveal()).status == 403, "\(change.1)")
      }
      for table in ["review_owners", "agent_configs", "platform_integrations", "baton_endpoints"] {
        #expect(try await stack.count(table) == 0, "\(table)")
      }
      let visit = try await DashboardVisit(stack, token: Self.reader.reveal())
      for path in ["/owner?owner=org:acme", "/endpoints"] {
        let page = try await stack.client.send("GET", path, headers: [("Cookie", visit.cookie)])
        #expect(
          page.status == 200 && !page.body.contains("method=\"post\" action=\"/owner"), "\(path)")
        #expect(!page.body.contains("method=\"post\" action=\"/endpoints"))
      }
      #expect(try await submit(visit, "/owner/limit", "owner=org%3Aacme&limit=3").status == 403)
    }
  }

  private func submit(
    _ visit: DashboardVisit, _ path: String, _ fields: String, csrf: String? = nil
  ) async throws -> HTTPReply {
    try await visit.stack.client.send(
      "POST", path, headers: [("Cookie", visit.cookie), ("Sec-Fetch-Site", "same-origin")],
      body: Array("csrf=\(csrf ?? visit.csrf)&back=%2Fowners&\(fields)".utf8))
  }

  @Test(
    "a form of our page changes an owner, its configuration and integrations; one of another page does not"
  )
  func forms() async throws {
    try await withServerStack { stack in
      let visit = try await DashboardVisit(stack)
      let forms = [
        ("/owner/limit", "owner=org%3Aacme&limit=3"),
        (
          "/owner/configuration",
          "owner=org%3Aacme&platform=github&config=%7B%22review_style%22%3A%22roast%22%7D"
        ),
        ("/owner/configuration", "owner=org%3Aacme&platform=github&isEnabled=no"),
        (
          "/owner/integration",
          "owner=org%3Aacme&platform=github&installationId=4242&token=&webhookSecret="
        ),
      ]
      for (path, fields) in forms {
        #expect(try await submit(visit, path, fields, csrf: "another").status == 403, "\(path)")
        let reply = try await submit(visit, path, fields)
        #expect(
          reply.status == 303 && reply.headers["location"] == "/owners", "\(path): \(reply.body)")
      }
      #expect(try await stack.store.load(of: Self.acme, ownerLimit: 20)?.limit == 3)
      let stored = try #require(
        try await stack.store.configuration(of: Self.acme, platform: .github))
      #expect(stored.json.contains("roast") && !stored.isEnabled)
      let page = try await stack.client.send(
        "GET", "/owner?owner=org:acme", headers: [("Cookie", visit.cookie)]
      ).body
      #expect(page.contains("installation 4242") && page.contains("config_missing"))
      #expect(try await submit(visit, "/owner/limit", "owner=org%3Aacme&limit=").status == 303)
      #expect(try await stack.store.load(of: Self.acme, ownerLimit: 20)?.limit == 20)
      // A secret that the server has made is on the answer, and on no later page.
      let made = try await submit(
        visit, "/endpoints", "url=https%3A%2F%2Fhooks.example.com%2Fx&owner=&secret=")
      #expect(made.status == 200 && made.body.contains("whsec_"))
      let id = try #require(try await stack.store.endpoints().first?.id)
      let replaced = try await submit(visit, "/endpoints/\(id.lowercase)/secret", "secret=")
      let newSecret = try #require(try await storedSecret(stack, id))
      #expect(replaced.status == 200 && replaced.body.contains(newSecret) && !made.body.contains(newSecret))
      #expect(
        try await submit(visit, "/endpoints/\(id.lowercase)/secret", "secret=", csrf: "another").status == 403)
      #expect(
        try await !stack.client.send("GET", "/endpoints", headers: [("Cookie", visit.cookie)]).body
          .contains("whsec_"))
    }
  }

  /// The forms of a page as a browser would send them, with what a person would fill in.
  private func forms(_ visit: DashboardVisit, _ path: String, filling: [String: String]) async throws
    -> [(action: String, body: String)]
  {
    let page = try await visit.stack.client.send("GET", path, headers: [("Cookie", visit.cookie)]).body
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

  @Test("every form of the pages of an owner and of the endpoints sends what its route takes")
  func everyForm() async throws {
    try await withServerStack { stack in
      let visit = try await DashboardVisit(stack)
      for change in Self.changes { _ = try await send(stack, change) }
      let given = ["installationId": "4242", "url": "https://hooks.example.com/y", "token": "glpat-new"]
      var seen: Set<String> = []
      // Those that take what others need come last; a pause makes the button of its end.
      for (path, passes) in [("/owner?owner=org%3Aacme", 2), ("/endpoints", 2)] {
        for pass in 1...passes {
          let forms = try await forms(visit, path, filling: given)
          #expect(forms.count >= 4, "\(path)")
          func isLast(_ action: String) -> Bool { action.hasSuffix("/revoke") || action.hasSuffix("/remove") }
          let ordered = forms.filter { !isLast($0.action) } + (pass == passes ? forms.filter { isLast($0.action) } : [])
          for (action, body) in ordered {
            let reply = try await stack.client.send(
              "POST", action, headers: [("Cookie", visit.cookie), ("Sec-Fetch-Site", "same-origin")],
              body: Array(body.utf8))
            #expect([200, 303].contains(reply.status), "\(action): \(reply.status) \(reply.body)")
            seen.insert(String(action.split(separator: "/").last ?? ""))
          }
        }
      }
      for name in ["pause", "resume", "limit", "configuration", "integration", "revoke", "disable", "enable", "remove"]
      {
        #expect(seen.contains(name), "\(name)")
      }
    }
  }

  @Test("an operation on an endpoint that there is not is refused, by a program and by a form")
  func unknownEndpoint() async throws {
    try await withServerStack { stack in
      let visit = try await DashboardVisit(stack)
      for operation in ["enable", "disable", "retry", "remove"] {
        let path = "/endpoints/\(UUID().lowercase)/\(operation)"
        #expect(try await stack.client.send("POST", "/api\(path)").status == 404, "\(operation)")
        #expect(try await submit(visit, path, "subject=").status == 404, "\(operation)")
      }
    }
  }

  @Test("a configuration as large as the API takes is shown by the page, and saved by its form")
  func largeConfiguration() async throws {
    try await withServerStack { stack in
      let visit = try await DashboardVisit(stack)
      // Every byte of the text is three in a form.
      func form(_ byteCount: Int) -> String {
        let empty = #"{"other":""}"#
        let json = #"{"other":"\#(String(repeating: "ü", count: (byteCount - empty.utf8.count) / 2))"}"#
        let encoded = json.utf8.map { "%" + (String($0, radix: 16).count < 2 ? "0" : "") + String($0, radix: 16) }
        return "owner=org%3Aacme&platform=github&config=\(encoded.joined())"
      }
      let saved = try await submit(visit, "/owner/configuration", form(200 * 1_024))
      #expect(saved.status == 303, "\(saved.status) \(saved.body.prefix(300))")
      let stored = try #require(try await stack.store.configuration(of: Self.acme, platform: .github))
      #expect(stored.json.utf8.count > 200 * 1_023)
      let page = try await stack.client.send(
        "GET", "/owner?owner=org:acme", headers: [("Cookie", visit.cookie)])
      #expect(page.status == 200 && page.body.utf8.count > 400 * 1_023)
      #expect(
        try await submit(visit, "/owner/configuration", form(ReviewConfiguration.byteCountMax - 64)).status == 303)
      #expect(
        try await submit(visit, "/owner/configuration", form(ReviewConfiguration.byteCountMax + 2)).status == 422)
      #expect(try await submit(visit, "/owner/limit", "owner=\(String(repeating: "a", count: 70_000))").status == 413)
    }
  }

  @Test("an owner's page says that it does not show all integrations")
  func manyIntegrations() async throws {
    try await withServerStack { stack in
      try await stack.run("INSERT INTO review_owners (owner_type, owner_id) VALUES ('org', 'acme')")
      try await stack.run(
        """
        INSERT INTO platform_integrations (id, owner_type, owner_id, platform, installation_id)
        SELECT gen_random_uuid(), 'org', 'acme', 'github', n::text FROM generate_series(1, 200) n
        """)
      func page() async throws -> String { try await stack.client.send("GET", "/owner?owner=org:acme").body }
      #expect(try await !page().contains("These are 200"))
      try await stack.run(
        "INSERT INTO platform_integrations (id, owner_type, owner_id, platform, installation_id) VALUES (gen_random_uuid(), 'org', 'acme', 'github', '201')"
      )
      let more = try await page()
      #expect(more.contains("These are 200") && more.components(separatedBy: "installation ").count == 201)
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
        let reply = try await send(stack, (method, path, body))
        #expect(reply.status == 422, "\(path) \(body): \(reply.body)")
        for word in words { #expect(reply.body.contains(word), "\(path) \(body): \(reply.body)") }
      }
      for table in ["review_owners", "agent_configs", "platform_integrations", "baton_endpoints"] {
        #expect(try await stack.count(table) == 0, "\(table)")
      }
    }
  }

  @Test(
    "failures of the last hour are counted by the worker's version, and the page names the deploy that began them"
  )
  func versions() async throws {
    try await withServerStack { stack in
      for number in 1...12 { _ = try await stack.submit("abc\(number)") }
      try await stack.run(
        """
        UPDATE code_reviews
           SET status = 'queued', claimed_at = now(), published_at = now(),
               dispatched_at = now() - CASE WHEN length(head_sha) > 4 THEN interval '10 min' ELSE interval '3 h' END,
               agent_version = CASE WHEN length(head_sha) > 4 THEN 'v2' ELSE 'v1' END
        """)
      try await stack.run(
        "UPDATE code_reviews SET status = CASE agent_version WHEN 'v2' THEN 'failed' ELSE 'completed' END"
      )
      let versions = try await stack.store.workerVersions()
      #expect(
        versions.map(\.version) == ["v2", "v1"] && versions.map(\.failed) == [3, 0]
          && versions.map(\.ended) == [3, 9])
      let body = try await stack.client.send("GET", "/api/worker-versions").object
      #expect((body["versions"] as? [[String: Any]])?.first?["failed"] as? Int == 3)
      let page = try await stack.client.send("GET", "/").body
      #expect(page.contains("3 of 3 reviews of worker version v2 failed"))
    }
  }
}

extension Sequence {
  fileprivate func asyncMap<Value>(_ body: (Element) async throws -> Value) async rethrows
    -> [Value]
  {
    var values: [Value] = []
    for element in self { values.append(try await body(element)) }
    return values
  }
}
