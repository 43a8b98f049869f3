import Foundation
import Support
import Testing

/// What those who are not known may make a server do.
@Suite("Strangers", .serialized, .timeLimit(.minutes(10)))
struct StrangerTests {
  private static let secret = RecordedWebhook.webhookSecret

  /// Connections whose heads come a byte at a time; a new one for each that the server closes.
  private static func dribble(_ client: RawHTTPClient) async throws {
    while !Task.isCancelled {
      guard (try? await client.dribble("POST /webhooks/github HTTP/1.1\r\nHost: a\r\nX: ", every: .seconds(2))) != nil
      else {
        try await Task.sleep(for: .milliseconds(100))
        continue
      }
    }
  }

  /// One forged webhook after another, as large as it may be.
  private static func forge(_ client: RawHTTPClient) async throws {
    let values = Array(repeating: "[]", count: 40_000).joined(separator: ",")
    let body = Array("{\"installation\":{\"id\":1},\"x\":[\(values)]}".utf8)
    let headers = [
      ("X-GitHub-Event", "pull_request"), ("X-GitHub-Delivery", "forged"),
      ("X-Hub-Signature-256", RecordedWebhook.signature(of: body, secret: "wrong")),
    ]
    while !Task.isCancelled {
      let status = try? await client.send("POST", "/webhooks/github", headers: headers, body: body).status
      if let status { #expect([401, 503].contains(status)) }
    }
  }

  @Test("1,030 connections that dribble and 32 that forge keep out no webhook, and no probe")
  func flood() async throws {
    let (main, probes) = (try BrokerServer.freePort(), try BrokerServer.freePort())
    let settings = [
      "BATON_HTTP_PORT": "\(main)", "BATON_METRICS_PORT": "\(probes)", "BATON_GITHUB_WEBHOOK_SECRET": Self.secret,
    ]
    try await withTestCluster(latency: .zero, settings: settings) { cluster in
      try await cluster.addIntegration()
      let server = try await cluster.start("serve")
      let (client, prober) = (RawHTTPClient(port: main), RawHTTPClient(port: probes))
      try await eventually("ready") { (try? await prober.send("GET", "/readyz").status) == 200 }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<1_030 { group.addTask { try await Self.dribble(client) } }
        for _ in 0..<32 { group.addTask { try await Self.forge(client) } }
        try await Task.sleep(for: .seconds(3))
        for number in 1...5 {
          let fields = ["number": "\(number)", "pull_request.number": "\(number)"]
          let webhook = try RecordedWebhook.github("opened", fields)
          #expect(try await client.send(webhook).status == 202)
          for path in ["/livez", "/readyz", "/metrics"] { #expect(try await prober.send("GET", path).status == 200) }
          #expect(try await client.send("GET", "/livez").status == 200)
        }
        group.cancelAll()
        while let ended = await group.nextResult() { _ = ended }
      }
      #expect(try await cluster.count("code_reviews") == 5)
      server.signal(SIGTERM)
      #expect(await server.wait() == 0, "\(server.output.suffix(2_000))")
      #expect(server.output.contains("a request was refused"))
    }
  }
}
