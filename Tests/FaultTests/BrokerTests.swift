import AMQPClient
import Foundation
import PostgresClient
import ReviewQueue
import Support
import Testing

/// With a broker of their own, which they break.
@Suite("A broker that fails", .serialized, .timeLimit(.minutes(10)))
struct BrokerTests {
  @Test("a broker that is killed and started again: nothing is lost and nothing runs twice")
  func crash() async throws {
    try await withBroker { broker, url in
      try await withTestCluster(settings: ["BATON_AMQP_URL": url, "BATON_OWNER_LIMIT": "100"]) { cluster in
        // RabbitMQ 3.10 writes the name of a new quorum queue down with a delay: one that is killed within a second of the
        // declaration comes back with the queue, but without the queue's log, and never elects its leader. This has it written.
        try await broker.control("stop_app")
        try await broker.control("start_app")
        let processes = [
          try await cluster.start("produce"), try await cluster.start("consume", "--prefetch", "8"),
          try await cluster.start("consume", "--prefetch", "8"), try await cluster.start("reap", "--interval", "2s"),
        ]
        let ids = try await cluster.test.insert(30)
        try await eventually("five dispatched") { try await cluster.dispatchedCount() >= 5 }
        try await broker.crash()
        // Submitted while there is no broker.
        let more = try await cluster.test.insert(10)
        try await broker.start()
        try await eventually("all 40 dispatched") { try await cluster.dispatchedCount() == 40 }
        #expect(
          Set(cluster.worker.runCounts.keys) == Set((ids + more).map { "\($0.uuidString.lowercased())/1" }))
        #expect(cluster.doubleRuns.isEmpty)
        for process in processes { process.signal(SIGTERM) }
        for process in processes { #expect(await process.wait() == 0, "\(process.output)") }
      }
    }
  }

  @Test("a queue that is declared otherwise while a consumer works ends it with 78, whatever it has in flight")
  func otherQueue() async throws {
    try await withBroker { broker, url in
      // The platform answers later than this test may last.
      try await withTestCluster(latency: .seconds(600), settings: ["BATON_AMQP_URL": url]) { cluster in
        let producer = try await cluster.start("produce")
        let consumer = try await cluster.start("consume")
        _ = try await cluster.test.insert(3)
        try await eventually("they are prepared") {
          try await cluster.count("code_reviews WHERE lease_owner IS NOT NULL") == 3
        }
        let queue = try #require(cluster.settings["BATON_QUEUE"])
        let connection = try await AMQPConnection.connect(
          AMQPConfiguration(urls: url, connectionName: "test"), logger: .postgresTests)
        // So that they do not declare it first. They declare it once they are connected again.
        for process in [producer, consumer] { process.signal(SIGSTOP) }
        _ = try await connection.deleteQueue(queue)
        try await connection.declare(AMQPTopology(queues: [.quorum(queue, arguments: ["x-delivery-limit": 7])]))
        await connection.close()
        try await broker.control("close_all_connections", "test")
        for process in [producer, consumer] { process.signal(SIGCONT) }
        for process in [producer, consumer] { #expect(await process.wait() == 78, "\(process.output)") }
        let leased = try await cluster.count(
          """
          code_reviews r
           WHERE r.lease_owner IS NOT NULL AND EXISTS (SELECT 1 FROM baton_holders h WHERE h.id::text = r.lease_owner)
          """)
        #expect(leased == 0, "it has signed off")
      }
    }
  }

  @Test("an outage longer than the broker's delivery timeout: the work in flight adopts what is delivered again")
  func consumerTimeout() async throws {
    try await withBroker { broker, url in
      // Two seconds, looked at every half second; the stand-in takes four for each call.
      try await broker.control(
        "eval",
        "application:set_env(rabbit, consumer_timeout, 2000), application:set_env(rabbit, channel_tick_interval, 500).")
      try await withTestCluster(latency: .seconds(4), settings: ["BATON_AMQP_URL": url]) { cluster in
        let processes = [try await cluster.start("produce"), try await cluster.start("consume")]
        let ids = try await cluster.test.insert(8)
        try await eventually("all dispatched") { try await cluster.dispatchedCount() == ids.count }
        #expect(cluster.worker.runCounts.count == ids.count)
        #expect(cluster.doubleRuns.isEmpty)
        #expect(processes[1].output.contains("timed out"), "the broker never lost its patience: \(processes[1].output)")
        let losses = try await cluster.test.sql("SELECT sum(lease_losses)::int FROM code_reviews")[0]
        #expect(try losses.decode(0, as: Int32.self) == 0)
        for process in processes { process.signal(SIGTERM) }
        for process in processes { #expect(await process.wait() == 0, "\(process.output)") }
      }
    }
  }

  @Test(
    "a queue that refuses tickets: reviews wait without going round, the log stays short, and all go out as there is room"
  )
  func refusingQueue() async throws {
    try await withBroker { broker, url in
      try await withTestCluster(latency: .zero, settings: ["BATON_AMQP_URL": url, "BATON_OWNER_LIMIT": "100"]) {
        cluster in
        let queue = try #require(cluster.settings["BATON_QUEUE"])
        try await broker.control(
          "set_policy", "full", "^\(queue)$", #"{"max-length":1,"overflow":"reject-publish"}"#, "--apply-to", "queues")
        let producer = try await cluster.start("produce")
        let reaper = try await cluster.start("reap", "--interval", "500ms")
        // The broker refuses only what comes when it knows that the queue is full.
        for number in 1...5 {
          _ = try await cluster.test.insert(10, owner: "owner-\(number)")
          try await Task.sleep(for: .milliseconds(200))
        }
        try await eventually("the first refusal") { producer.output.contains("were not confirmed") }
        // Long enough for a dozen tries.
        try await Task.sleep(for: .seconds(8))
        let transitions = try await cluster.test.sql("SELECT count(*)::int FROM review_transitions")[0]
        #expect(try transitions.decode(0, as: Int32.self) <= 100, "an insert and a claim each")
        for role in [producer, reaper] {
          #expect(role.output.split(separator: "\n").count { $0.contains("not confirmed") } <= 2, "\(role.output)")
        }
        let consumer = try await cluster.start("consume")
        try await eventually("all dispatched") { try await cluster.dispatchedCount() == 50 }
        #expect(cluster.doubleRuns.isEmpty)
        for process in [producer, reaper, consumer] { process.signal(SIGTERM) }
        for process in [producer, reaper, consumer] { #expect(await process.wait() == 0, "\(process.output)") }
      }
    }
  }

  @Test("under a disk alarm /readyz says so, no abandoned review is taken, and all are published once it is over")
  func diskAlarm() async throws {
    try await withBroker { broker, url in
      try await withTestCluster(latency: .zero, settings: ["BATON_AMQP_URL": url]) { cluster in
        let port = try BrokerServer.freePort()
        let reaper = try await cluster.start(
          "reap", "--interval", "500ms", settings: ["BATON_METRICS_PORT": "\(port)"])
        let client = RawHTTPClient(port: port)
        func abandon() async throws {
          let id = try await cluster.test.insert(1)[0]
          try await cluster.test.sql(
            """
            UPDATE code_reviews SET status = 'queued', claimed_at = now() - interval '1 hour', claimed_by = 'gone'
             WHERE id = '\(id)'
            """)
        }
        func takenCount() async throws -> Int { try await cluster.count("code_reviews WHERE republish_count > 0") }
        try await abandon()
        try await eventually("the first is published") {
          try await cluster.count("code_reviews WHERE published_at > claimed_at") == 1
        }
        try await broker.control("set_disk_free_limit", "900000000000000")
        // RabbitMQ blocks a connection when it publishes, not before.
        try await abandon()
        try await eventually("the alarm shows") {
          let reply = try await client.send("GET", "/readyz")
          return reply.status == 503 && reply.body.contains("memory or disk alarm")
        }
        #expect(try await takenCount() == 2)
        try await abandon()
        // Time for several passes.
        try await Task.sleep(for: .seconds(3))
        #expect(try await takenCount() == 2)
        try await broker.control("set_disk_free_limit", "50000000")
        let consumer = try await cluster.start("consume")
        try await eventually("all dispatched") { try await cluster.dispatchedCount() == 3 }
        try await eventually("ready again") { try await client.send("GET", "/readyz").status == 200 }
        #expect(cluster.doubleRuns.isEmpty)
        for process in [reaper, consumer] { process.signal(SIGTERM) }
        for process in [reaper, consumer] { #expect(await process.wait() == 0, "\(process.output)") }
      }
    }
  }

  @Test("a consumer that is connected but gets nothing notices by itself, and rebuilds")
  func silent() async throws {
    try await withBroker { broker, url in
      try await withTestCluster(latency: .zero, settings: ["BATON_AMQP_URL": url, "BATON_OWNER_LIMIT": "100"]) {
        cluster in
        let consumer = try await cluster.start("consume", "--prefetch", "1")
        // The consumer's channel at the broker stands still; its connection answers, heartbeats included.
        let channels = "P || P <- rabbit_channel:list()"
        let consumes = "element(2, hd(rabbit_channel:info(P, [consumer_count]))) > 0"
        try await eventually("it consumes") {
          try await broker.control("eval", "length([\(channels), \(consumes)]).").hasPrefix("1")
        }
        try await broker.control("eval", "[sys:suspend(P) || P <- [\(channels), \(consumes)]].")
        let producer = try await cluster.start("produce")
        let ids = try await cluster.test.insert(5)
        try await eventually("all dispatched") { try await cluster.dispatchedCount() == ids.count }
        #expect(consumer.output.contains("messages are ready and none is delivered"), "\(consumer.output)")
        #expect(cluster.doubleRuns.isEmpty)
        for process in [producer, consumer] { process.signal(SIGTERM) }
        for process in [producer, consumer] { #expect(await process.wait() == 0, "\(process.output)") }
      }
    }
  }

  private func withBroker(_ body: (BrokerServer, String) async throws -> Void) async throws {
    let broker = try BrokerServer()
    do {
      try await broker.start()
      try await body(broker, "amqp://guest:guest@127.0.0.1:\(broker.port)")
    } catch {
      try await broker.wipe()
      throw error
    }
    try await broker.wipe()
  }
}
