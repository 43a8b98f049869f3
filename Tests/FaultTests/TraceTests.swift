import Foundation
import PostgresClient
import Primitives
import Reviews
import Support
import Testing
import WorkerAPI

@Suite("Traces", .timeLimit(.minutes(5)))
struct TraceTests {
  private static let given = "4bf92f3577b34da6a3ce929d0e0e4736"
  private static let settings = [
    "BATON_GITHUB_WEBHOOK_SECRET": RecordedWebhook.webhookSecret, "BATON_CALLBACK_SECRET": "c4llback",
    "BATON_RUNNING_TIMEOUT": "1s", "BATON_LOG_FORMAT": "json", "BATON_LOG_LEVEL": "debug",
  ]

  /// A line of a role's log, as far as it is looked at.
  private struct Line: Decodable {
    var message: String
    var metadata: [String: String]?
  }

  @Test(
    "every line of every role that names a review carries one trace, from the webhook to the worker and back: the sender's, or the one of the id of a review that SQL has inserted"
  )
  func oneTrace() async throws {
    let port = try BrokerServer.freePort()
    try await withTestCluster(latency: .zero, settings: Self.settings.merging(["BATON_HTTP_PORT": "\(port)"]) { $1 }) {
      cluster in
      try await cluster.addIntegration()
      let client = RawHTTPClient(port: port, bearer: TestCluster.apiToken)
      let server = try await cluster.start("serve")
      try await eventually("it listens") { server.output.contains(#""listening""#) }
      let roles = [
        "serve": server, "produce": try await cluster.start("produce"), "consume": try await cluster.start("consume"),
        "reap": try await cluster.start("reap", "--interval", "200ms"),
      ]
      var webhook = try RecordedWebhook.github("opened")
      webhook.headers.append(("traceparent", "00-\(Self.given)-00f067aa0ba902b7-01"))
      let sent = try await client.send(webhook)
      try #require(sent.status == 202, "\(sent.status) \(sent.body)")
      let fromWebhook = try #require(
        try await cluster.test.sql("SELECT id FROM code_reviews")[0].decode(0, as: UUID?.self))
      let fromSQL = try await cluster.test.insert(1)[0]
      for id in [fromWebhook, fromSQL] { try await live(id, cluster, client) }

      let traces = [fromWebhook: Self.given, fromSQL: fromSQL.text.filter { $0 != "-" }]
      for (id, trace) in traces {
        #expect(cluster.worker.starts(of: id).allSatisfy { $0.traceparent?.contains(trace) == true })
        for (role, process) in roles {
          let lines = try self.lines(of: process, naming: id)
          #expect(!lines.isEmpty, "\(role) says nothing of \(id.text)")
          for line in lines { #expect(line.metadata?["trace"] == trace, "\(role): \(line)") }
        }
      }
      for process in roles.values { process.signal(SIGTERM) }
      for process in roles.values { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }

  /// Dispatched, running, silent, asked about, cancelled; then a callback that comes too late.
  private func live(_ id: UUID, _ cluster: TestCluster, _ client: RawHTTPClient) async throws {
    try await eventually("dispatched") { try await cluster.test.row(id).dispatchedAt != nil }
    #expect(try await callback(id, "running", client).status == 200)
    cluster.worker.setState(of: id, to: .running)
    try await eventually("it was asked about") { cluster.worker.statusRequests.contains(id) }
    #expect(try await client.send("POST", "/api/reviews/\(id.text)/cancel").status == 202)
    try await eventually("the worker is notified") { cluster.worker.cancels.contains { $0.reviewID == id } }
    try await eventually("the reaper has noted it") { try await cluster.count("baton_outbox") == 0 }
    try await eventually("the pull request is updated") {
      try await cluster.count("baton_feedback WHERE due_at IS NOT NULL") == 0
    }
    #expect(try await callback(id, "completed", client).status == 200)
    #expect(try await cluster.test.row(id).status == .cancelled)
  }

  private func callback(_ id: UUID, _ status: String, _ client: RawHTTPClient) async throws -> HTTPReply {
    try await client.send(
      "POST", "/api/internal/code-review-status/\(id.text)", headers: [("X-Internal-Secret", "c4llback")],
      body: Array(#"{"status":"\#(status)","attempt":1}"#.utf8))
  }

  private func lines(of process: BatonProcess, naming id: UUID) throws -> [Line] {
    try process.output.split(separator: "\n").filter { $0.contains(id.text) }.map {
      try JSONDecoder().decode(Line.self, from: Data($0.utf8))
    }
  }
}

extension UUID {
  fileprivate var text: String { uuidString.lowercased() }
}
