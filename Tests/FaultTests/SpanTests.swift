import Foundation
import PostgresClient
import Primitives
import Reviews
import Spans
import Support
import Testing

@Suite("Spans of a review", .timeLimit(.minutes(5)))
struct SpanTests {
  private static let secrets = ["w3bhook", "worker-token", "ghp_test", "collector-key"]

  private func withCollector(_ body: (SpanCollector, [String: String]) async throws -> Void) async throws {
    let collector = try await SpanCollector()
    do {
      try await body(
        collector,
        [
          "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "BATON_OTLP_HEADERS": "x-api-key=collector-key",
          "BATON_GITHUB_WEBHOOK_SECRET": RecordedWebhook.webhookSecret,
          "BATON_HTTP_PORT": "\(try BrokerServer.freePort())",
        ])
      await collector.stop()
    } catch {
      await collector.stop()
      throw error
    }
  }

  /// The name of a span, of its parent, and so on up to the beginning of its trace.
  private func path(of span: SpanCollector.Span, _ spans: [String: SpanCollector.Span]) -> [String] {
    [span.name] + (span.parentID.flatMap { spans[$0] }.map { path(of: $0, spans) } ?? [])
  }

  @Test(
    "a signed webhook, its review and the worker's run are one trace: each span of each process has the right parent, and only the known attributes, none of them a secret"
  )
  func oneTrace() async throws {
    let agent = try NotingAgent()
    defer { agent.remove() }
    agent.letGo()
    try await withCollector { collector, settings in
      let settings = settings.merging([
        "BATON_AGENT_COMMAND": agent.command, "BATON_WORKER_STATE": agent.state, "BATON_TRACE_RATIO": "1",
      ]) { $1 }
      try await withTestCluster(latency: .zero, settings: settings) { cluster in
        var cluster = cluster
        try await cluster.addIntegration()
        let (server, _) = try await cluster.listen("serve")
        let (worker, url) = try await cluster.listen("worker", "--port", "0")
        cluster.settings["BATON_WORKER_URL"] = url
        let others = [try await cluster.start("produce"), try await cluster.start("consume")]
        let port = try #require(Int(settings["BATON_HTTP_PORT"] ?? ""))
        let reply = try await RawHTTPClient(port: port).send(try RecordedWebhook.github("opened"))
        try #require(reply.status == 202, "\(reply.body)")
        try await eventually("it is completed, and the pull request knows it") {
          let completed = try await cluster.count("code_reviews WHERE status = 'completed'")
          let undelivered = try await cluster.count("baton_feedback WHERE due_at IS NOT NULL")
          return completed == 1 && undelivered == 0
        }
        for process in [server, worker] + others { process.signal(SIGTERM) }
        for process in [server, worker] + others { #expect(await process.wait() == 0, "\(process.output)") }
        try check(
          collector, review: try await cluster.test.sql("SELECT id FROM code_reviews")[0].decode(0, as: UUID.self))
      }
    }
  }

  private func check(_ collector: SpanCollector, review: UUID) throws {
    #expect(collector.faults == [])
    #expect(collector.headers.allSatisfy { $0.contains { $0 == ("x-api-key", "collector-key") } })
    let intake = try #require(collector.spans.first { $0.name == "intake" })
    let trace = collector.spans.filter { $0.traceID == intake.traceID }
    // A batch whose answer comes too late is sent again.
    let spans = Dictionary(trace.map { ($0.id, $0) }) { first, _ in first }
    let dispatch = ["dispatch", "publish", "intake"]
    let run = ["accept run", "call worker"] + dispatch
    let paths = Set(trace.map { path(of: $0, spans) })
    #expect(
      paths == [
        ["intake"], ["process webhook", "intake"], ["claim", "intake"], ["publish", "intake"], dispatch,
        ["lease"] + dispatch, ["prepare"] + dispatch, ["call platform", "prepare"] + dispatch,
        ["call worker"] + dispatch, ["record"] + dispatch, run, ["run"] + run, ["agent", "run"] + run, ["report"] + run,
        ["callback", "report"] + run, ["feedback", "intake"], ["call platform", "feedback", "intake"],
      ], "\(paths)")
    // Besides, there is the batch that the review was claimed with.
    let batch = try #require(collector.spans.first { $0.name == "claim batch" })
    let claim = try #require(trace.first { $0.name == "claim" })
    #expect(batch.links == [claim.id] && claim.links == [batch.id] && batch.parentID == nil)

    for span in collector.spans {
      let name = try #require(SpanName(rawValue: span.name))
      let known = Set(name.attributes + ["error.type"])
      #expect(known.isSuperset(of: span.attributes.keys), "\(span.name): \(span.attributes.keys)")
      #expect(span.status == 0, "\(span)")
      if let id = span.attributes["baton.review.id"] { #expect(id == review.uuidString.lowercased()) }
      for secret in Self.secrets { #expect(!"\(span)".contains(secret), "\(span)") }
    }
    #expect(Set(trace.map(\.service)) == ["baton-serve", "baton-produce", "baton-consume", "baton-worker"])
    #expect(trace.filter { $0.name == "dispatch" }.allSatisfy { $0.attributes["baton.outcome"] == "dispatched" })
    #expect(trace.filter { $0.name == "call worker" }.map { $0.attributes["http.response.status_code"] } == ["202"])
  }
}
