import Foundation
import PostgresClient
import Support
import Testing

@Suite("A database that fails", .serialized, .timeLimit(.minutes(5)))
struct DatabaseTests {
  enum Outage: String, CaseIterable, Sendable {
    /// No connection is accepted, and those that were there are cut.
    case away
    /// As after a failover to a standby: every write is refused.
    case readOnly

    func statement(_ database: String, begins: Bool) -> String {
      switch self {
      case .away: "ALTER DATABASE \(database) ALLOW_CONNECTIONS \(!begins)"
      case .readOnly: "ALTER DATABASE \(database) SET default_transaction_read_only = \(begins ? "on" : "off")"
      }
    }
  }

  @Test(
    "Postgres fails with work in flight and comes back: nothing is lost, nothing runs twice, no attempt is used up",
    arguments: Outage.allCases)
  func outage(_ outage: Outage) async throws {
    try await withTestCluster(settings: ["BATON_OWNER_LIMIT": "100"]) { cluster in
      cluster.worker.then(.accept, .accept, .accept, .accept, .accept)
      // From here on the worker takes its time: a consumer whose work was done would have nothing to ask Postgres for, and
      // would not notice that it is unreachable.
      cluster.worker.otherwise = .slow(.seconds(1))
      let processes = [
        try await cluster.start("produce"), try await cluster.start("consume", "--prefetch", "8"),
        try await cluster.start("reap", "--interval", "1s"),
      ]
      let ids = try await cluster.test.insert(30)
      try await eventually("five dispatched") { try await cluster.dispatchedCount() >= 5 }
      let name = try #require(cluster.test.conninfo.split(separator: "?").first?.split(separator: "/").last)
      let server = try await PostgresConnection.connect(
        testConfiguration(try postgresTestVariable("BATON_TEST_DATABASE_URL")), logger: .postgresTests)
      let cut = PostgresStatement(
        unprepared: "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '\(name)'")
      try await server.query(PostgresStatement(unprepared: outage.statement(String(name), begins: true)))
      try await server.query(cut)
      try await eventually("the consumer has noticed") { processes[1].output.contains("Postgres does not answer") }
      cluster.worker.otherwise = .accept
      try await server.query(PostgresStatement(unprepared: outage.statement(String(name), begins: false)))
      // Sessions that began read-only stay so: a failover ends them too.
      try await server.query(cut)
      await server.close()
      try await eventually("all dispatched") { (try? await cluster.dispatchedCount()) == ids.count }
      #expect(cluster.worker.runCounts.count == ids.count)
      #expect(cluster.doubleRuns.isEmpty)
      let charged = try await cluster.test.sql("SELECT sum(dispatch_failures + attempt - 1)::int FROM code_reviews")[0]
      #expect(try charged.decode(0, as: Int32.self) == 0)
      for process in processes { process.signal(SIGTERM) }
      for process in processes { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }
}
