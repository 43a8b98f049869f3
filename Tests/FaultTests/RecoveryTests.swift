import AMQPClient
import Foundation
import PostgresClient
import Primitives
import ReviewQueue
import ReviewStore
import Reviews
import Support
import Synchronization
import Testing

/// What must not hold up recovery.
@Suite("Recovery", .timeLimit(.minutes(5)))
struct RecoveryTests {
  private static let silentCount = 400

  /// Silent runs, which the worker is to be asked about.
  private func addSilentRuns(_ cluster: TestCluster) async throws {
    let ids = try await cluster.test.insert(Self.silentCount, owner: "silent")
    _ = try await cluster.test.store.claim(limit: Self.silentCount, ownerLimit: Self.silentCount, by: Holder.ID())
    try await cluster.test.sql(
      "UPDATE code_reviews SET status = 'running', dispatched_at = now() WHERE owner_id = 'silent'")
    try await cluster.test.sql(
      "UPDATE code_reviews SET updated_at = now() - interval '2 hours' WHERE owner_id = 'silent'")
    #expect(ids.count == Self.silentCount)
  }

  /// Claims of a producer that was killed before it could publish them.
  private func addKilledClaims(_ cluster: TestCluster, _ count: Int) async throws {
    _ = try await cluster.test.insert(count, owner: "killed")
    let claims = try await cluster.test.store.claim(limit: count, ownerLimit: count, by: Holder.ID())
    #expect(claims.count == count)
  }

  private static let published = "code_reviews WHERE owner_id = 'killed' AND published_at IS NOT NULL"
  /// Silent runs that would be asked about again only after BATON_RUNNING_TIMEOUT.
  private static let asked = "code_reviews WHERE owner_id = 'silent' AND reconciled_at > now() - interval '29 minutes'"

  @Test(
    "a hung worker and hundreds of silent runs: a killed producer's claims do not wait, and SIGTERM ends the reaper")
  func hungWorker() async throws {
    try await withTestCluster { cluster in
      cluster.worker.hangsOnQuestions = true
      try await addSilentRuns(cluster)
      let reaper = try await cluster.start("reap", "--interval", "1s")
      try await eventually("the worker is asked") { cluster.worker.statusRequests.count >= 16 }
      try await addKilledClaims(cluster, 20)
      try await eventually("published again") { try await cluster.count(Self.published) == 20 }
      #expect(cluster.worker.statusRequests.count <= 32, "a few at once, each for the whole time-out")
      reaper.signal(SIGTERM)
      #expect(await reaper.wait() == 0, "\(reaper.output)")
      #expect(try await cluster.count(Self.asked) == 0, "without an answer none counts as asked")
    }
  }

  @Test("a hung worker gets only single probes; when it answers again, all are asked")
  func circuit() async throws {
    try await withTestCluster(settings: ["BATON_WORKER_TIMEOUT": "100ms"]) { cluster in
      cluster.worker.hangsOnQuestions = true
      try await addSilentRuns(cluster)
      let reaper = try await cluster.start("reap", "--interval", "200ms")
      try await eventually("the circuit opens") { reaper.output.contains("the worker does not answer") }
      try await eventually("it is probed") { cluster.worker.statusRequests.count >= 17 }
      #expect(cluster.worker.statusRequests.count < 48)
      cluster.worker.hangsOnQuestions = false
      try await eventually("all are asked") { try await cluster.count(Self.asked) == Self.silentCount }
      reaper.signal(SIGTERM)
      #expect(await reaper.wait() == 0, "\(reaper.output)")
    }
  }

  @Test("SIGTERM while a hung worker is notified of a cancel: the server ends, and the cancel is delivered by another")
  func hungCancel() async throws {
    let port = try BrokerServer.freePort()
    try await withTestCluster(settings: ["BATON_WORKER_TIMEOUT": "1h", "BATON_HTTP_PORT": "\(port)"]) { cluster in
      cluster.worker.hangsOnQuestions = true
      let (server, _) = try await cluster.listen("serve")
      let id = try await cluster.test.insert(1)[0]
      _ = try await cluster.test.claim()
      _ = try await cluster.test.store.cancel(id)
      try await eventually("the worker is notified") { cluster.worker.cancels.count == 1 }
      server.signal(SIGTERM)
      #expect(await server.wait() == 0, "\(server.output)")
      cluster.worker.hangsOnQuestions = false
      try await cluster.test.sql("UPDATE baton_outbox SET due_at = now(), last_error = 'no answer'")
      #expect(try await cluster.run("show", id.uuidString).output.contains("not accepted, tried once, next try"))
      #expect(try await cluster.run("reap").output.contains(#""cancelsDelivered":1"#))
    }
  }

  @Test("one pass with a hung worker: recovers, asks for a limited time, says what is left, and ends")
  func oneShot() async throws {
    try await withTestCluster(settings: ["BATON_WORKER_TIMEOUT": "500ms"]) { cluster in
      cluster.worker.hangsOnQuestions = true
      try await addSilentRuns(cluster)
      try await addKilledClaims(cluster, 20)
      let (status, output) = try await cluster.run("reap")
      #expect(status == 0, "\(output)")
      #expect(try await cluster.count(Self.published) == 20)
      #expect(
        output.contains(#""unpublished":20"#) && output.contains(#""silentLeft":\#(Self.silentCount)"#), "\(output)")
      #expect(cluster.worker.statusRequests.count <= 32)
    }
  }

  @Test(
    "a purged queue, with several consumers and reapers: every ticket is published again, and what consumers had is not",
    arguments: [false, true])
  func purge(isBusy: Bool) async throws {
    try await withTestCluster(latency: .zero, settings: ["BATON_OWNER_LIMIT": "1000"]) { cluster in
      let queue = try #require(cluster.settings["BATON_QUEUE"])
      var processes = [try await cluster.start("produce")]
      let ids = try await cluster.test.insert(20)
      try await eventually("published") {
        try await cluster.count("code_reviews WHERE published_at IS NOT NULL") == ids.count
      }
      try await purge(queue, cluster)
      for _ in 0..<4 { processes.append(try await cluster.start("consume", "--prefetch", "4")) }
      for _ in 0..<2 { processes.append(try await cluster.start("reap", "--interval", "1s")) }
      // Traffic goes on: each look may find the queue in use.
      let isOver = Mutex(!isBusy)
      let traffic = Task {
        while !isOver.withLock({ $0 }) {
          _ = try await cluster.test.insert(5, owner: "traffic")
          try await Task.sleep(for: .milliseconds(100))
        }
      }
      try await eventually("dispatched") {
        try await cluster.count("code_reviews WHERE owner_id = 'acme' AND dispatched_at IS NOT NULL") == ids.count
      }
      isOver.withLock { $0 = true }
      try await traffic.value
      let total = try await cluster.count("code_reviews")
      try await eventually("all dispatched") { try await cluster.dispatchedCount() == total }
      #expect(try await cluster.count("code_reviews WHERE owner_id = 'acme' AND republish_count = 1") == ids.count)
      #expect(try await cluster.count("code_reviews WHERE owner_id = 'traffic' AND republish_count > 0") == 0)
      #expect(cluster.doubleRuns.isEmpty)
      for process in processes { process.signal(SIGTERM) }
      for process in processes { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }

  @Test("a consumer that stands still with tickets in its socket: they are not lost")
  func paused() async throws {
    try await withTestCluster(latency: .zero, settings: ["BATON_LEASE": "2m"]) { cluster in
      let paused = try await cluster.start("consume")
      let other = try await cluster.start("consume")
      // Both consume; then one stands still before anything is published.
      paused.signal(SIGSTOP)
      let producer = try await cluster.start("produce")
      let ids = try await cluster.test.insert(20)
      let reaper = try await cluster.start("reap", "--interval", "500ms")
      try await eventually("the other consumer's are dispatched, and it has answered a roll call") {
        try await cluster.count(
          "baton_roll_calls WHERE seen_at IS NOT NULL AND array_length(waiting, 1) = 1") >= 2
      }
      let waiting = try await cluster.count("code_reviews WHERE lease_owner IS NULL AND dispatched_at IS NULL")
      #expect(waiting > 0, "it was given its share")
      paused.signal(SIGCONT)
      try await eventually("all dispatched") { try await cluster.dispatchedCount() == ids.count }
      #expect(try await cluster.count("code_reviews WHERE republish_count > 0") == 0, "\(reaper.output)")
      #expect(cluster.doubleRuns.isEmpty)
      for process in [paused, other, producer, reaper] { process.signal(SIGTERM) }
      for process in [paused, other, producer, reaper] { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }

  @Test("tickets that say they were claimed in 2099 or 1970 change nothing for other reviews")
  func foreignTimes() async throws {
    try await withTestCluster(latency: .zero, settings: ["BATON_OWNER_LIMIT": "1000"]) { cluster in
      let queue = try #require(cluster.settings["BATON_QUEUE"])
      let ids = try await cluster.test.insert(3, owner: "forged")
      let claims = try await cluster.test.store.claim(limit: 3, ownerLimit: 3, by: Holder.ID())
      try await cluster.test.store.recordPublished(claims)
      try await publish(
        zip(ids, ["2099-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]).map { id, time in
          #"{"version":1,"reviewId":"\#(id.uuidString)","attempt":1,"claimedAt":"\#(time)"}"#
        }, to: queue, cluster)
      let consumer = try await cluster.start("consume", "--prefetch", "2")
      try await eventually("the forged ones are dispatched") { try await cluster.dispatchedCount() == 3 }
      // A backlog that waits in the queue for longer than the consumer takes to report.
      cluster.worker.otherwise = .slow(.milliseconds(700))
      let producer = try await cluster.start("produce")
      let more = try await cluster.test.insert(20)
      let reaper = try await cluster.start("reap", "--interval", "500ms")
      try await eventually("all dispatched") { try await cluster.dispatchedCount() == 3 + more.count }
      #expect(try await cluster.count("code_reviews WHERE republish_count > 0") == 0, "\(reaper.output)")
      for process in [consumer, producer, reaper] { process.signal(SIGTERM) }
      for process in [consumer, producer, reaper] { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }

  private func purge(_ queue: String, _ cluster: TestCluster) async throws {
    try await withConnection(cluster) { connection in
      try await eventually("purged") { try await connection.purge(queue) > 0 }
    }
  }

  private func publish(_ bodies: [String], to queue: String, _ cluster: TestCluster) async throws {
    let publisher = AMQPPublisher(
      configuration: try AMQPConfiguration(urls: #require(cluster.settings["BATON_AMQP_URL"]), connectionName: "test"),
      topology: AMQPTopology(), logger: .postgresTests)
    let publishing = Task { try await publisher.run() }
    for body in bodies {
      let message = AMQPMessage(body: Array(body.utf8), messageID: UUID().uuidString)
      try await eventually("confirmed") {
        await publisher.publish(message, exchange: ReviewTopology.exchange, routingKey: queue) == .confirmed
      }
    }
    publishing.cancel()
    _ = await publishing.result
  }

  private func withConnection(_ cluster: TestCluster, _ body: (AMQPConnection) async throws -> Void) async throws {
    let connection = try await AMQPConnection.connect(
      AMQPConfiguration(urls: #require(cluster.settings["BATON_AMQP_URL"]), connectionName: "test"),
      logger: .postgresTests)
    try await body(connection)
    await connection.close()
  }
}
