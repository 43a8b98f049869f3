import Foundation
import Primitives
import ReviewStore
import Support
import Testing

@Suite("The start of a role", .timeLimit(.minutes(5)))
struct StartTests {
  private static func settings(_ database: String) throws -> (values: [String: String], probes: Int, main: Int) {
    let (probes, main) = (try BrokerServer.freePort(), try BrokerServer.freePort())
    return (
      [
        "BATON_DATABASE_URL": database, "BATON_AMQP_URL": "amqp://127.0.0.1:1",
        "BATON_WORKER_URL": "http://127.0.0.1:1", "BATON_WORKER_TOKEN": "t",
        "BATON_ENCRYPTION_KEY": Data(repeating: 7, count: 32).base64EncodedString(),
        "BATON_API_TOKEN": TestCluster.apiToken, "BATON_METRICS_PORT": "\(probes)", "BATON_HTTP_PORT": "\(main)",
      ], probes, main
    )
  }

  /// What of a server that waits needs no database, and what does.
  private func checkServer(_ client: RawHTTPClient) async throws {
    #expect(try await client.send("GET", "/livez").status == 200)
    #expect(try await client.send("GET", "/readyz").status == 503)
    #expect(try await client.send("GET", "/api/openapi.json").status == 200)
    #expect(try await client.stranger.send("GET", "/api/stats").status == 401)
    for (method, path) in [
      ("GET", "/api/stats"), ("POST", "/api/reviews"), ("POST", "/webhooks/github"), ("GET", "/"),
      ("POST", "/api/internal/code-review-status/0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11"),
    ] {
      let reply = try await client.send(method, path, body: method == "POST" ? Array("{}".utf8) : nil)
      #expect(reply.status == 503 && reply.headers["retry-after"] != nil, "\(method) \(path): \(reply)")
    }
  }

  @Test(
    "a role that waits for Postgres is alive and not ready, says why, and ends in good order", .timeLimit(.minutes(2)),
    arguments: [["produce"], ["consume"], ["reap", "--interval", "2s"], ["serve"], ["up"]], [true, false])
  func waits(_ arguments: [String], isRefused: Bool) async throws {
    let silent = try ListeningAddress()
    let (settings, probes, main) = try Self.settings(
      "postgresql://nobody@127.0.0.1:\(isRefused ? 1 : silent.port)/none?connect_timeout=600")
    let process = try BatonProcess(arguments, settings: settings)
    let client = RawHTTPClient(port: probes)
    try await eventually("alive") { (try? await client.send("GET", "/livez").status) == 200 }
    let ready = try await client.send("GET", "/readyz")
    #expect(ready.status == 503 && ready.body.contains("waits for Postgres"), "\(ready.body)")
    #expect(try await client.send("GET", "/metrics").status == 200)
    if ["serve", "up"].contains(arguments[0]) {
      let server = RawHTTPClient(port: main, bearer: TestCluster.apiToken)
      try await eventually("it listens") { (try? await server.send("GET", "/livez").status) == 200 }
      try await checkServer(server)
    }
    if isRefused { try await eventually("the log says it") { process.output.contains("waiting for Postgres") } }
    #expect(!process.output.contains("holder=") && !process.output.contains(" listening url="), "\(process.output)")
    process.signal(SIGTERM)
    #expect(await process.wait() == 0, "\(process.output)")
  }

  @Test("what waited for Postgres is ready when it is there, and a server then takes what it refused")
  func comesBack() async throws {
    let own = try await OwnAddress()
    do {
      try await withTestCluster { cluster in
        let url = try #require(URLComponents(string: cluster.test.conninfo))
        var away = url
        (away.host, away.port) = ("127.0.0.1", own.proxy.port)
        let (settings, probes, main) = try Self.settings(try #require(away.string))
        let more = settings.merging(["BATON_AMQP_URL": cluster.settings["BATON_AMQP_URL"] ?? ""]) { $1 }
        let names = ["BATON_METRICS_PORT": "\(try BrokerServer.freePort())"]
        let server = try BatonProcess(["serve"], settings: cluster.settings.merging(more) { $1 })
        let producer = try BatonProcess(
          ["produce"], settings: cluster.settings.merging(more) { $1 }.merging(names) { $1 })
        let client = RawHTTPClient(port: main, bearer: TestCluster.apiToken)
        try await eventually("it listens") { (try? await client.send("GET", "/livez").status) == 200 }
        try await checkServer(client)
        own.proxy.redirect(to: try #require(url.port))
        try await eventually("ready") { (try? await RawHTTPClient(port: probes).send("GET", "/readyz").status) == 200 }
        try await eventually("it says that it listens") { server.output.contains(" listening url=") }
        let review =
          #"{"owner":{"type":"org","id":"acme"},"platform":"github","repoFullName":"acme/shop","prNumber":1,"#
          + #""prUrl":"https://github.com/acme/shop/pull/1","prTitle":"T","prAuthor":"ada","baseRef":"main","headRef":"f","headSha":"0123abcd"}"#
        #expect(try await client.send("POST", "/api/reviews", body: Array(review.utf8)).status == 201)
        try await eventually("published") {
          try await cluster.count("code_reviews WHERE published_at IS NOT NULL") == 1
        }
        for process in [server, producer] { process.signal(SIGTERM) }
        for process in [server, producer] { #expect(await process.wait() == 0, "\(process.output)") }
      }
    } catch {
      await own.proxy.stop()
      throw error
    }
    await own.proxy.stop()
  }

  /// An address at which nothing answers yet.
  private struct OwnAddress {
    let proxy: TCPProxy

    init() async throws { proxy = try await TCPProxy(to: try BrokerServer.freePort()) }
  }

  @Test("a role whose schema is missing or too old ends with what to do, and has begun nothing")
  func wrongSchema() async throws {
    try await withTestDatabase { try await expectRefusal(of: $0) }
    try await withTestStore { test in
      try await test.sql("DELETE FROM baton_migrations WHERE version = \(Migrator.version)")
      try await expectRefusal(of: test.conninfo)
    }
  }

  private func expectRefusal(of database: String) async throws {
    let (settings, _, _) = try Self.settings(database)
    for name in ["serve", "produce", "consume"] {
      let process = try BatonProcess([name], settings: settings)
      #expect(await process.wait() == 1, "\(process.output)")
      #expect(process.output.contains("baton migrate"), "\(process.output)")
      #expect(!process.output.contains("holder="), "\(process.output)")
    }
  }

  @Test("two settings that leave no time to prepare a review are a warning which names both")
  func noTime() async throws {
    var (settings, probes, _) = try Self.settings("postgresql://nobody@127.0.0.1:1/none")
    settings["BATON_PREPARE_TIMEOUT"] = "20s"
    for (timeout, isWarned) in [("15s", true), ("5s", false)] {
      settings["BATON_WORKER_TIMEOUT"] = timeout
      let process = try BatonProcess(["consume"], settings: settings)
      try await eventually("it has begun") {
        (try? await RawHTTPClient(port: probes).send("GET", "/livez").status) == 200
      }
      let warning = process.output.split(separator: "\n").first {
        $0.contains("BATON_PREPARE_TIMEOUT") && $0.contains("BATON_WORKER_TIMEOUT")
      }
      #expect((warning != nil) == isWarned, "\(process.output)")
      process.signal(SIGTERM)
      #expect(await process.wait() == 0)
    }
  }

  @Test("a secret that can be guessed is a warning at the start, and no more")
  func shortSecret() async throws {
    try await withTestCluster { cluster in
      let consumer = try await cluster.start("consume")
      let warnings = consumer.output.split(separator: "\n").filter { $0.contains("BATON_WORKER_TOKEN") }
      #expect(warnings.count == 1 && warnings[0].contains("16 bytes"), "\(consumer.output)")
      #expect(!consumer.output.contains("worker-token"))
      consumer.signal(SIGTERM)
      #expect(await consumer.wait() == 0, "\(consumer.output)")
    }
  }

  @Test("a worker answers probes and metrics on a port of their own")
  func workerHealth() async throws {
    let state = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).sqlite").path
    defer { try? FileManager.default.removeItem(atPath: state) }
    let port = try BrokerServer.freePort()
    let process = try BatonProcess(
      ["worker", "--port", "0", "--demo"],
      settings: [
        "BATON_WORKER_TOKEN": "t", "BATON_WORKER_STATE": state, "BATON_METRICS_PORT": "\(port)",
      ])
    let client = RawHTTPClient(port: port)
    try await eventually("ready") { (try? await client.send("GET", "/readyz").status) == 200 }
    #expect(try await client.send("GET", "/livez").status == 200)
    // Its own requests are counted there as well.
    let url = try #require(process.output.firstMatch(of: /url=http:[0-9.\/]+:([0-9]+)/)?.1)
    #expect(try await RawHTTPClient(port: try #require(Int(url))).send("GET", "/health").status == 200)
    let counted = #"baton_http_requests_total{route="/health",status="200"} 1"#
    #expect(try await client.send("GET", "/metrics").body.contains(counted + "\n"))
    process.signal(SIGTERM)
    #expect(await process.wait() == 0, "\(process.output)")
  }
}
