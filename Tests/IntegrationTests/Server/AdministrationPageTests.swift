import BatonServer
import Foundation
import Platforms
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: administration by pages", .timeLimit(.minutes(3)))
struct AdministrationPageTests {
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
        #expect(try await visit.submit(path, fields, csrf: "another").status == 403, "\(path)")
        let reply = try await visit.submit(path, fields, back: "%2Fowners")
        #expect(
          reply.status == 303 && reply.headers["location"] == "/owners", "\(path): \(reply.body)")
      }
      #expect(try await stack.store.load(of: ServerStack.acme, ownerLimit: 20)?.limit == 3)
      let stored = try #require(
        try await stack.store.configuration(of: ServerStack.acme, platform: .github))
      #expect(stored.json.contains("roast") && !stored.isEnabled)
      let page = try await stack.client.send(
        "GET", "/owner?owner=org:acme", headers: [("Cookie", visit.cookie)]
      ).body
      #expect(page.contains("installation 4242") && page.contains("config_missing"))
      #expect(try await visit.submit("/owner/limit", "owner=org%3Aacme&limit=").status == 303)
      #expect(try await stack.store.load(of: ServerStack.acme, ownerLimit: 20)?.limit == 20)
      // A secret that the server has made is on the answer, and on no later page.
      let made = try await visit.submit("/endpoints", "url=https%3A%2F%2Fhooks.example.com%2Fx&owner=&secret=")
      #expect(made.status == 200 && made.body.contains("whsec_"))
      let id = try #require(try await stack.store.endpoints().first?.id)
      let replaced = try await visit.submit("/endpoints/\(id.lowercase)/secret", "secret=")
      let newSecret = try #require(try await stack.storedSecret(id))
      #expect(replaced.status == 200 && replaced.body.contains(newSecret) && !made.body.contains(newSecret))
      #expect(
        try await visit.submit("/endpoints/\(id.lowercase)/secret", "secret=", csrf: "another").status == 403)
      #expect(
        try await !stack.client.send("GET", "/endpoints", headers: [("Cookie", visit.cookie)]).body
          .contains("whsec_"))
    }
  }

  @Test("every form of the pages of an owner and of the endpoints sends what its route takes")
  func everyForm() async throws {
    try await withServerStack { stack in
      let visit = try await DashboardVisit(stack)
      _ = try await stack.sendChanges()
      let given = ["installationId": "4242", "url": "https://hooks.example.com/y", "token": "glpat-new"]
      var seen: Set<String> = []
      // Those that take what others need come last; a pause makes the button of its end.
      for (path, passes) in [("/owner?owner=org%3Aacme", 2), ("/endpoints", 2)] {
        for pass in 1...passes {
          let forms = try await visit.forms(path, filling: given)
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

  @Test("a form for an endpoint that there is not is refused")
  func unknownEndpoint() async throws {
    try await withServerStack { stack in
      let visit = try await DashboardVisit(stack)
      for operation in ["enable", "disable", "retry", "remove"] {
        let path = "/endpoints/\(UUID().lowercase)/\(operation)"
        #expect(try await visit.submit(path, "subject=").status == 404, "\(operation)")
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
      let saved = try await visit.submit("/owner/configuration", form(200 * 1_024))
      #expect(saved.status == 303, "\(saved.status) \(saved.body.prefix(300))")
      let stored = try #require(try await stack.store.configuration(of: ServerStack.acme, platform: .github))
      #expect(stored.json.utf8.count > 200 * 1_023)
      let page = try await stack.client.send(
        "GET", "/owner?owner=org:acme", headers: [("Cookie", visit.cookie)])
      #expect(page.status == 200 && page.body.utf8.count > 400 * 1_023)
      #expect(
        try await visit.submit("/owner/configuration", form(ReviewConfiguration.byteCountMax - 64)).status == 303)
      #expect(
        try await visit.submit("/owner/configuration", form(ReviewConfiguration.byteCountMax + 2)).status == 422)
      #expect(try await visit.submit("/owner/limit", "owner=\(String(repeating: "a", count: 70_000))").status == 413)
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

  @Test("pages for a token that only reads have no form, and a form is refused")
  func readOnly() async throws {
    let reader = Secret("a token that reads only")
    try await withServerStack(readToken: reader) { stack in
      let visit = try await DashboardVisit(stack, token: reader.reveal())
      for path in ["/owner?owner=org:acme", "/endpoints"] {
        let page = try await stack.client.send("GET", path, headers: [("Cookie", visit.cookie)])
        #expect(
          page.status == 200 && !page.body.contains("method=\"post\" action=\"/owner"), "\(path)")
        #expect(!page.body.contains("method=\"post\" action=\"/endpoints"))
      }
      #expect(try await visit.submit("/owner/limit", "owner=org%3Aacme&limit=3").status == 403)
      #expect(try await stack.count("review_owners") == 0)
    }
  }
}
