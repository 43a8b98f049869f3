import Foundation
import PostgresClient
import Support
import Testing

@Suite("Access to a real server", .timeLimit(.minutes(3)))
struct LoginLinkTests {
  private func withoutToken(_ cluster: TestCluster) throws -> (TestCluster, RawHTTPClient) {
    var cluster = cluster
    let port = try BrokerServer.freePort()
    cluster.settings["BATON_API_TOKEN"] = nil
    cluster.settings["BATON_HTTP_PORT"] = "\(port)"
    return (cluster, RawHTTPClient(port: port))
  }

  private func link(_ server: BatonProcess, number: Int = 1) async throws -> String {
    var links: [String] = []
    try await eventually("link \(number) in the log") {
      links = server.output.matches(of: /(http:\/\/[0-9.:]+\/login#code=)([0-9a-f]{64})/).map { String($0.2) }
      return links.count >= number
    }
    return links[number - 1]
  }

  @Test("without a token a server opens nothing, not even to its own machine, and its log has a link that works once")
  func closed() async throws {
    try await withTestCluster { original in
      let (cluster, client) = try withoutToken(original)
      let (server, _) = try await cluster.listen("serve")
      for path in ["/", "/reviews", "/live", "/dead-letters", "/api/reviews", "/api/stats"] {
        #expect(try await client.send("GET", path).status == 401, "\(path)")
      }
      // A stock nginx in front looks like a program of this machine.
      let proxied = [("Host", "127.0.0.1:\(client.port)"), ("Connection", "close")]
      #expect(try await client.send("GET", "/api/stats", headers: proxied).status == 401)
      #expect(try await client.send("GET", "/livez").status == 200)
      let code = try await link(server)
      // The code is not the token.
      #expect(try await client.send("GET", "/api/stats", headers: [("Authorization", "Bearer \(code)")]).status == 401)
      let own = ("Sec-Fetch-Site", "same-origin")
      let reply = try await client.send("POST", "/login", headers: [own], body: Array("token=\(code)".utf8))
      #expect(reply.status == 303)
      let cookie = String((reply.headers["set-cookie"] ?? "").prefix { $0 != ";" })
      #expect(try await client.send("GET", "/", headers: [("Cookie", cookie)]).status == 200)
      #expect(try await client.send("POST", "/login", headers: [own], body: Array("token=\(code)".utf8)).status == 401)
      #expect(try await link(server, number: 2) != code)
      server.signal(SIGTERM)
      #expect(await server.wait() == 0)
      // With the process its token ends, and with that its sessions.
      let (again, _) = try await cluster.listen("serve")
      #expect(try await client.send("GET", "/", headers: [("Cookie", cookie)]).status == 401)
      again.signal(SIGTERM)
      #expect(await again.wait() == 0)
    }
  }

  @Test("a server that other machines reach warns of a token of its own making, and of plain text")
  func warnings() async throws {
    try await withTestCluster { original in
      var (cluster, _) = try withoutToken(original)
      cluster.settings["BATON_HTTP_HOST"] = "0.0.0.0"
      let (server, _) = try await cluster.listen("serve")
      try await eventually("the warnings") {
        server.output.contains("set BATON_API_TOKEN") && server.output.contains("deploy/proxy.md")
      }
      #expect(server.output.contains("http://127.0.0.1:"))
      server.signal(SIGTERM)
      #expect(await server.wait() == 0)
      cluster.settings["BATON_API_TOKEN"] = TestCluster.apiToken
      cluster.settings["BATON_TRUSTED_PROXIES"] = "10.0.0.7"
      let (quiet, _) = try await cluster.listen("serve")
      quiet.signal(SIGTERM)
      #expect(await quiet.wait() == 0)
      #expect(!quiet.output.contains("BATON_API_TOKEN") && !quiet.output.contains("proxy.md"))
      #expect(!quiet.output.contains("login#"))
    }
  }

  @Test("a short token is refused at the start, with status 78 and without the token", arguments: ["API", "READ"])
  func short(kind: String) async throws {
    try await withTestCluster { original in
      let (cluster, _) = try withoutToken(original)
      let outcome = try await cluster.run("serve", settings: ["BATON_\(kind)_TOKEN": "s3cret-15-bytes"])
      #expect(outcome.status == 78 && outcome.output.contains("BATON_\(kind)_TOKEN"))
      #expect(outcome.output.contains("shorter than 16 bytes") && !outcome.output.contains("s3cret"))
    }
  }

  @Test("the history names the account that cancels and retries by command")
  func account() async throws {
    try await withTestCluster { cluster in
      let id = try await cluster.test.insert(1)[0]
      #expect(try await cluster.run("cancel", id.uuidString).status == 0)
      let actor = try await cluster.test.sql(
        "SELECT actor FROM review_transitions WHERE to_status = 'cancelled'")[0].decode(0, as: String.self)
      #expect(actor == "baton cancel (\(NSUserName()))")
    }
  }
}
