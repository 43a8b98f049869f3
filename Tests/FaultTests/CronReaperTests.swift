import Foundation
import ReviewStore
import Reviews
import Support
import Testing
import WorkerAPI

@Suite("A reaper that cron runs", .timeLimit(.minutes(5)))
struct CronReaperTests {
  @Test("what it decides is in the metrics of those that stay: reaps, answers of the worker, failures by their code")
  func metrics() async throws {
    let port = try BrokerServer.freePort()
    let settings = ["BATON_RUNNING_TIMEOUT": "1s", "BATON_HTTP_PORT": "\(port)"]
    try await withTestCluster(latency: .zero, settings: settings) { cluster in
      let ids = try await cluster.test.insert(2)
      let (server, _) = try await cluster.listen("serve")
      let roles = [server, try await cluster.start("produce"), try await cluster.start("consume")]
      try await eventually("dispatched") { try await cluster.dispatchedCount() == 2 }
      for id in ids { _ = try await cluster.test.store.report(id, RunReport(status: .running, attempt: 1)) }
      cluster.worker.setState(of: ids[0], to: .running)
      cluster.worker.forget(ids[1])
      // A 404 is evidence once the worker has answered for another.
      try await eventually("the one that the worker has lost has failed") {
        #expect(try await cluster.run("reap").status == 0)
        return try await cluster.test.row(ids[1]).status == .failed
      }
      #expect(try await cluster.test.row(ids[0]).status == .running)
      let text = try await RawHTTPClient(port: port).send("GET", "/metrics").body
      for line in [
        #"baton_reviews_failed_total{error_code="worker_lost"} 1"#,
        #"baton_reviews_failed_total{error_code="other"} 0"#,
        #"baton_reviews_reconciled_total{result="lost"} 1"#, #"baton_reviews_reaped_total{reason="lost"} 0"#,
        "baton_reviews_completed_total 0",
      ] {
        #expect(text.contains("\n\(line)\n"), "\(line)")
      }
      for role in roles { role.signal(SIGTERM) }
      for role in roles { #expect(await role.wait() == 0, "\(role.output)") }
    }
  }

  @Test("produce --once publishes what is due, and reap prints one line of counts")
  func once() async throws {
    try await withTestCluster { cluster in
      _ = try await cluster.test.insert(3)
      let produced = try await cluster.run("produce", "--once")
      #expect(produced.status == 0)
      #expect(produced.output.contains(#"{"claimed":3,"published":3}"#), "\(produced.output)")
      let reaped = try await cluster.run("reap")
      #expect(reaped.status == 0)
      #expect(reaped.output.contains(#""unpublished":0"#), "\(reaped.output)")
      // For the alert that watches over reapers, also those that cron runs.
      #expect(try await cluster.test.store.capacityStats(ownerLimit: 20).reaperLastRun != nil)
    }
  }
}
