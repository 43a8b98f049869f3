import AMQPClient
import Foundation
import Primitives
import ReviewQueue
import Reviews
import Support
import Testing

@Suite("Upgrades", .timeLimit(.minutes(5)))
struct UpgradeTests {
  /// What the next version's `baton migrate` may do, while roles run that have the old tables' statements prepared.
  /// Each by itself: in one transaction the first two could wait for the roles' statements while these wait for it.
  private static let futureMigrations = [
    "ALTER TABLE code_reviews ADD COLUMN future text",
    "ALTER TABLE baton_holders ADD COLUMN future int NOT NULL DEFAULT 7",
    "CREATE TABLE baton_future (id bigserial PRIMARY KEY)",
    "INSERT INTO baton_migrations (version, name) VALUES (999, 'future')",
  ]

  @Test(
    "a schema that is upgraded under load, newer tickets and roles of both versions lose nothing and run nothing twice")
  func rolling() async throws {
    try await withTestCluster { cluster in
      let old = [
        try await cluster.start("produce"), try await cluster.start("consume", "--prefetch", "5"),
        try await cluster.start("reap", "--interval", "1s"),
      ]
      var ids = try await cluster.test.insert(20)
      try await eventually("three dispatched") { try await cluster.dispatchedCount() >= 3 }
      for sql in Self.futureMigrations { try await cluster.test.sql(sql) }
      try await publishFutureTicket(of: ids[19], cluster)
      // Along with the old ones, as a rolling deploy starts them; then the old ones are stopped.
      let new = [
        try await cluster.start("produce"), try await cluster.start("consume", "--prefetch", "5"),
        try await cluster.start("reap", "--interval", "1s"),
      ]
      ids += try await cluster.test.insert(20, owner: "other")
      for process in old { process.signal(SIGTERM) }
      for process in old { #expect(await process.wait() == 0, "\(process.output)") }
      try await eventually("all 40 dispatched") { try await cluster.dispatchedCount() == 40 }
      #expect(Set(cluster.worker.runCounts.keys) == Set(ids.map { "\($0.uuidString.lowercased())/1" }))
      #expect(cluster.doubleRuns.isEmpty)
      for process in new { process.signal(SIGTERM) }
      for process in new { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }

  /// A ticket with a field and a header that this version does not know.
  private func publishFutureTicket(of id: UUID, _ cluster: TestCluster) async throws {
    let ticket =
      #"{"version":1,"future":{"a":[1]},"reviewId":"\#(id.uuidString.lowercased())","attempt":1,"#
      + #""claimedAt":"2026-01-01T00:00:00Z"}"#
    let publisher = AMQPPublisher(
      configuration: try AMQPConfiguration(
        urls: try #require(cluster.settings["BATON_AMQP_URL"]), connectionName: "test"), topology: AMQPTopology(),
      logger: .postgresTests)
    let publishing = Task { try await publisher.run() }
    defer { publishing.cancel() }
    let queue = try #require(cluster.settings["BATON_QUEUE"])
    let message = AMQPMessage(body: Array(ticket.utf8), messageID: "future-\(UUID().uuidString)")
    try await eventually("confirmed") {
      await publisher.publish(message, exchange: ReviewTopology.exchange, routingKey: queue) == .confirmed
    }
  }
}
