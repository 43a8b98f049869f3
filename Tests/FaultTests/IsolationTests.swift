import AMQPClient
import Foundation
import PostgresClient
import Primitives
import ReviewQueue
import ReviewStore
import Reviews
import Support
import Testing
import WorkerAPI

@Suite("One bad row, lock or answer costs only itself", .timeLimit(.minutes(5)))
struct IsolationTests {
  /// Claims and publishes reviews, and stops the producer: no consumer runs yet.
  private func publish(_ count: Int, _ cluster: TestCluster) async throws -> [UUID] {
    let producer = try await cluster.start("produce")
    let ids = try await cluster.test.insert(count)
    try await eventually("all published") {
      try await cluster.test.store.reviews(ids).allSatisfy { $0.publishedAt != nil }
    }
    producer.signal(SIGTERM)
    #expect(await producer.wait() == 0)
    return ids
  }

  /// Runs the body while a person in psql has locked what the statement says.
  private func whileLocked(_ sql: String, _ cluster: TestCluster, _ body: () async throws -> Void) async throws {
    let person = try await PostgresConnection.connect(
      testConfiguration(cluster.test.conninfo), logger: .postgresTests)
    try await person.withTransaction { person in
      try await person.query(PostgresStatement(unprepared: sql))
      try await body()
    }
    await person.close()
  }

  /// Has the broker deliver a ticket so many times, as if consumers gave back what they cannot decide.
  private func deliver(_ count: Int, from queue: String) async throws {
    try await withConsumer(ReviewTopology.topology(queue: queue), queue: queue, prefetch: 1) { consumer in
      var left = count
      for await delivery in consumer.deliveries {
        _ = consumer.reject(delivery, requeue: true)
        left -= 1
        if left == 0 { break }
      }
    }
  }

  private func isDead(_ id: UUID) async throws -> Bool {
    try await withPublisher(AMQPTopology()) { publisher in
      try await eventually("the broker answers") { publisher.isConnected }
      return try await publisher.peek(ReviewTopology.deadQueue, limit: 1_000).map { DeadLetter($0) }
        .contains { $0.reviewId == id }
    }
  }

  private func end(_ processes: [BatonProcess]) async {
    for process in processes { process.signal(SIGTERM) }
    for process in processes { #expect(await process.wait() == 0, "\(process.output)") }
  }

  @Test(
    "a locked row waits alone and is named; the others are dispatched, it is not taken for lost, and follows at once")
  func lockedRow() async throws {
    try await withTestCluster(latency: .zero, settings: ["BATON_OWNER_LIMIT": "100"]) { cluster in
      let ids = try await publish(40, cluster)
      var processes: [BatonProcess] = []
      try await whileLocked("SELECT FROM code_reviews WHERE id = '\(ids[7])' FOR UPDATE", cluster) {
        let consumer = try await cluster.start("consume")
        processes = [consumer, try await cluster.start("reap", "--interval", "1s")]
        try await eventually("all others are dispatched") { try await cluster.dispatchedCount() == 39 }
        try await eventually("the row is named") {
          consumer.output.contains("another transaction has locked the review \(ids[7].uuidString.lowercased())")
        }
        #expect(!consumer.output.contains("Postgres does not answer"), "\(consumer.output)")
      }
      try await eventually("it is dispatched") { try await cluster.dispatchedCount() == 40 }
      let row = try await cluster.test.row(ids[7])
      #expect(row.republishCount == 0 && row.leaseLosses == 0)
      #expect(cluster.doubleRuns.isEmpty)
      await end(processes)
    }
  }

  @Test("rows locked while their worker is called are recorded later, and hold up no other's record")
  func lockedRecord() async throws {
    try await withTestCluster(latency: .zero, settings: ["BATON_OWNER_LIMIT": "100"]) { cluster in
      cluster.worker.otherwise = .slow(.seconds(2))
      _ = try await publish(20, cluster)
      let consumer = try await cluster.start("consume")
      try await eventually("all are at the worker") { cluster.worker.starts.count == 20 }
      cluster.worker.otherwise = .accept
      // More rows than the pool has connections.
      try await whileLocked("SELECT FROM code_reviews WHERE pr_number <= 8 FOR UPDATE", cluster) {
        try await eventually("the others are recorded") { try await cluster.dispatchedCount() >= 12 }
        _ = try await publish(5, cluster)
        try await eventually("new ones are dispatched") { try await cluster.dispatchedCount() >= 17 }
      }
      try await eventually("all are recorded") { try await cluster.dispatchedCount() == 25 }
      #expect(cluster.worker.starts.count == 25 && cluster.doubleRuns.isEmpty)
      await end([consumer])
    }
  }

  @Test("a row that breaks its batch's statement is left alone and named; the others go on")
  func brokenRow() async throws {
    try await withTestCluster(latency: .zero, settings: ["BATON_OWNER_LIMIT": "100"]) { cluster in
      let ids = try await publish(20, cluster)
      // By hand, without the constraint: one more loss is more than the column can hold.
      try await cluster.test.sql("ALTER TABLE code_reviews DROP CONSTRAINT code_reviews_small_counters")
      try await cluster.test.sql(
        """
        UPDATE code_reviews SET lease_owner = 'gone', lease_expires_at = now() + interval '1 hour', lease_losses = 2147483647
         WHERE id = '\(ids[3])'
        """)
      let consumer = try await cluster.start("consume")
      try await eventually("the others are dispatched") { try await cluster.dispatchedCount() == 19 }
      try await eventually("it is named") { consumer.output.contains("the review cannot be leased") }
      #expect(consumer.output.contains(ids[3].uuidString.lowercased()))
      #expect(!consumer.output.contains("Postgres does not answer"), "\(consumer.output)")
      await end([consumer])
    }
  }

  @Test("a row of a newer version is given back with its reason, and dispatched when it can be read")
  func unreadableRow() async throws {
    try await withTestCluster(latency: .zero, settings: ["BATON_OWNER_LIMIT": "100"]) { cluster in
      let ids = try await publish(10, cluster)
      try await cluster.test.sql("ALTER TABLE code_reviews DROP CONSTRAINT code_reviews_platform_check")
      try await cluster.test.sql("UPDATE code_reviews SET platform = 'gitea' WHERE id = '\(ids[3])'")
      let consumer = try await cluster.start("consume")
      try await eventually("the others are dispatched") { try await cluster.dispatchedCount() == 9 }
      try await eventually("it waits as pending") {
        let row = try await cluster.test.sql(
          "SELECT status || ': ' || status_reason FROM code_reviews WHERE id = '\(ids[3])'")[0]
        let text = try row.decode(0, as: String.self)
        return text.hasPrefix("pending: ") && text.contains("gitea")
      }
      try await cluster.test.sql(
        "UPDATE code_reviews SET platform = 'github', available_at = now() WHERE id = '\(ids[3])'")
      let producer = try await cluster.start("produce")
      try await eventually("it is dispatched") { try await cluster.dispatchedCount() == 10 }
      #expect(try await cluster.test.row(ids[3]).dispatchFailures == 0)
      await end([consumer, producer])
    }
  }

  @Test("a locked table is an outage: what it gives back, however often, never adds up to a dead letter")
  func lockedTable() async throws {
    try await withTestCluster(latency: .zero) { cluster in
      let id = try await publish(1, cluster)[0]
      let queue = try #require(cluster.settings["BATON_QUEUE"])
      var processes: [BatonProcess] = []
      try await whileLocked("LOCK TABLE code_reviews IN ACCESS EXCLUSIVE MODE", cluster) {
        for _ in 0..<2 {
          try await deliver(11, from: queue)
          let consumer = try await cluster.start("consume")
          try await eventually("the ticket is published anew") { consumer.output.contains("is published anew") }
          #expect(consumer.output.contains("Postgres does not answer"), "\(consumer.output)")
          processes.append(consumer)
          await consumer.die()
        }
      }
      // More deliveries by now than the broker's limit.
      let consumer = try await cluster.start("consume")
      try await eventually("dispatched") { try await cluster.dispatchedCount() == 1 }
      #expect(cluster.worker.runCount(of: id, attempt: 1) == 1)
      #expect(try await !isDead(id))
      await end([consumer])
    }
  }

  @Test("a ticket that the broker has given up is replaced: the row carries the review")
  func deadTicket() async throws {
    try await withTestCluster(latency: .zero) { cluster in
      let id = try await publish(1, cluster)[0]
      try await deliver(21, from: try #require(cluster.settings["BATON_QUEUE"]))
      try await eventually("it is a dead letter") { try await isDead(id) }
      let processes = [try await cluster.start("consume"), try await cluster.start("reap", "--interval", "1s")]
      try await eventually("dispatched") { try await cluster.dispatchedCount() == 1 }
      #expect(cluster.worker.runCount(of: id, attempt: 1) == 1)
      await end(processes)
    }
  }

  @Test(
    "what is not the worker's answer fails no review: it is an outage, which readiness names, and all go on after it",
    arguments: [
      ScriptedFront(401, #"{"error":"wrong token"}"#), ScriptedFront(403, "<html>Forbidden</html>"),
      ScriptedFront(404, "default backend - 404"), ScriptedFront(302, ""), ScriptedFront(405, ""),
      ScriptedFront(408, ""), ScriptedFront(422, #"{"message":"schema violation"}"#),
      ScriptedFront(200, "<html>It works!</html>"), ScriptedFront(502, "<html>Bad Gateway</html>"),
    ])
  func front(_ front: ScriptedFront) async throws {
    let port = try BrokerServer.freePort()
    let settings = ["BATON_RETRY_BASE": "100ms", "BATON_RETRY_MAX": "1s", "BATON_METRICS_PORT": "\(port)"]
    try await withTestCluster(latency: .zero, settings: settings) { cluster in
      cluster.worker.front = front
      var other = cluster
      other.settings["BATON_METRICS_PORT"] = nil
      let processes = [
        try await cluster.start("consume"), try await other.start("produce"),
        try await other.start("reap", "--interval", "500ms"),
      ]
      _ = try await cluster.test.insert(5)
      let client = RawHTTPClient(port: port)
      try await eventually("readiness names the answer") {
        let reply = try await client.send("GET", "/readyz")
        return reply.status == 200 && reply.body.contains("answered \(front.status)")
      }
      #expect(processes[0].output.contains("answered \(front.status)"), "\(processes[0].output)")
      cluster.worker.front = nil
      try await eventually("all are dispatched") { try await cluster.dispatchedCount() == 5 }
      let charged = try await cluster.test.sql(
        """
        SELECT (SELECT count(*) FROM review_transitions WHERE to_status = 'failed')
               + (SELECT sum(dispatch_failures + attempt - 1) FROM code_reviews)::bigint
        """)[0]
      #expect(try charged.decode(0, as: Int64.self) == 0)
      #expect(cluster.doubleRuns.isEmpty)
      await end(processes)
    }
  }

  @Test("a 404 of something in front of the worker loses no run; the worker's own does")
  func frontOfRun() async throws {
    let settings = ["BATON_RUNNING_TIMEOUT": "300ms"]
    try await withTestCluster(latency: .zero, settings: settings) { cluster in
      let id = try await publish(1, cluster)[0]
      let consumer = try await cluster.start("consume")
      try await eventually("dispatched") { try await cluster.dispatchedCount() == 1 }
      cluster.worker.setState(of: id, to: .running)
      #expect(try await cluster.test.store.report(id, RunReport(status: .running, attempt: 1)) == .applied)
      let reaper = try await cluster.start("reap", "--interval", "200ms")
      try await eventually("the worker was asked") { !cluster.worker.statusRequests.isEmpty }
      try await eventually("it has answered") {
        try await cluster.test.store.workerHasAnswered(cluster.worker.url)
      }
      cluster.worker.front = ScriptedFront(404, "default backend - 404")
      try await eventually("it could not be asked") {
        reaper.output.contains("could not be asked") && reaper.output.contains("default backend")
      }
      #expect(try await cluster.test.row(id).status == .running)
      cluster.worker.forget(id)
      cluster.worker.front = nil
      try await eventually("it is lost") { try await cluster.test.row(id).errorCode == "worker_lost" }
      await end([consumer, reaper])
    }
  }

  @Test("a configuration over the limit fails its owner's reviews with its size, and is not read")
  func largeConfiguration() async throws {
    try await withTestCluster(latency: .zero) { cluster in
      let id = try await cluster.test.insert(1)[0]
      // As from before the limit.
      try await cluster.test.sql("ALTER TABLE agent_configs DROP CONSTRAINT agent_configs_size")
      try await cluster.test.sql(
        "UPDATE agent_configs SET config = jsonb_build_object('custom_instructions', repeat('x', 6000000))")
      let processes = [try await cluster.start("consume"), try await cluster.start("produce")]
      try await eventually("failed") { try await cluster.test.row(id).status == .failed }
      let row = try await cluster.test.row(id)
      #expect(row.errorCode == "config_invalid" && row.errorMessage?.contains("6000027 bytes") ?? false)
      await end(processes)
    }
  }

  @Test("a lease that would run out under every call is refused at the start, with both settings named")
  func durations() async throws {
    let settings = ["BATON_PREPARE_TIMEOUT": "10s", "BATON_WORKER_TIMEOUT": "10s"]
    var plain = settings
    plain["BATON_DATABASE_URL"] = "postgresql://127.0.0.1:1/none"
    let process = try BatonProcess(["consume"], settings: plain)
    #expect(await process.wait() == 78)
    for name in settings.keys { #expect(process.output.contains(name), "\(process.output)") }
  }
}
