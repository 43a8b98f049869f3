import AMQPClient
import Foundation
import PostgresClient
import Primitives
import ReviewQueue
import ReviewStore
import Reviews
import Sandbox
import Support
import Testing

@Suite("Bad messages and outages", .timeLimit(.minutes(5)))
struct MessageTests {
  @Test(
    "poison goes to the dead letters with a reason and a time, where the dashboard shows it, and the consumer goes on")
  func poison() async throws {
    try await withTestCluster(latency: .zero) { cluster in
      var cluster = cluster
      let queue = try #require(cluster.settings["BATON_QUEUE"])
      let url = try #require(cluster.settings["BATON_AMQP_URL"])
      let publisher = AMQPPublisher(
        configuration: try AMQPConfiguration(urls: url, connectionName: "test"), topology: AMQPTopology(),
        logger: .postgresTests)
      let publishing = Task { try await publisher.run() }
      defer { publishing.cancel() }
      let unknown = Ticket(reviewID: UUID(), attempt: 1, claimedAt: Timestamp(microseconds: 0))
      let marker = "poison-\(UUID().uuidString)"
      let bodies = [
        Array("not json: \(marker)".utf8), Array(#"{"version":99}"#.utf8), unknown.body,
        Array(repeating: UInt8(ascii: "x"), count: 3_000_000),
      ]
      for body in bodies {
        let message = AMQPMessage(body: body, messageID: "\(marker)-\(UUID().uuidString)")
        // A quorum queue that was declared just now nacks until it has a leader.
        try await eventually("confirmed") {
          await publisher.publish(message, exchange: ReviewTopology.exchange, routingKey: queue) == .confirmed
        }
      }
      let consumer = try await cluster.start("consume")
      let producer = try await cluster.start("produce")
      _ = try await cluster.test.insert(1)
      try await eventually("the good review is dispatched") { try await cluster.dispatchedCount() == 1 }
      // The dead-letter queue is shared: only this test's letters count.
      @Sendable func letters() async throws -> [DeadLetter] {
        try await publisher.peek(ReviewTopology.deadQueue, limit: 1_000).map { DeadLetter($0) }
          .filter { $0.messageId?.hasPrefix(marker) ?? false }
      }
      try await eventually("four dead letters") { try await letters().count == 4 }
      #expect(try await letters().allSatisfy { $0.diedAt != nil && !$0.isOverDeliveryLimit })

      let port = try BrokerServer.freePort()
      cluster.settings["BATON_HTTP_PORT"] = "\(port)"
      let (server, _) = try await cluster.listen("serve")
      let client = RawHTTPClient(port: port, bearer: TestCluster.apiToken)
      try await eventually("the page of dead letters") {
        try await client.send("GET", "/dead-letters").body.contains(marker)
      }
      #expect(try await letters().count == 4)
      let list = try await cluster.run("dead", "list", "--limit", "3", "--json")
      #expect(list.status == 0 && list.output.contains("More: add --limit"), "\(list)")
      let unwanted = try #require(try await letters().first?.messageId)
      let pressed = try await client.send(
        "POST", "/dead-letters/delete", headers: [("Accept", "text/plain")], body: Array("subject=\(unwanted)".utf8))
      #expect(pressed.status == 200)
      #expect(try await letters().map(\.messageId).contains(unwanted) == false)
      #expect(try await letters().count == 3)
      for process in [server, consumer, producer] {
        process.signal(SIGTERM)
        #expect(await process.wait() == 0)
      }
    }
  }

  @Test("poison whose headers no dead letter can carry holds no slot: it goes without them, and the good reviews go on")
  func largeHeaders() async throws {
    try await withTestCluster(latency: .zero) { cluster in
      let queue = try #require(cluster.settings["BATON_QUEUE"])
      let url = try #require(cluster.settings["BATON_AMQP_URL"])
      let publisher = AMQPPublisher(
        configuration: try AMQPConfiguration(urls: url, connectionName: "test"), topology: AMQPTopology(),
        logger: .postgresTests)
      let publishing = Task { try await publisher.run() }
      defer { publishing.cancel() }
      let marker = "headers-\(UUID().uuidString)"
      // With Baton's own headers next to them they are too many bytes.
      let headers: AMQPTable = ["big": .string(String(repeating: "x", count: 65_500))]
      for number in 1...3 {
        let message = AMQPMessage(body: Array("no json".utf8), messageID: "\(marker)-\(number)", headers: headers)
        try await eventually("confirmed") {
          await publisher.publish(message, exchange: ReviewTopology.exchange, routingKey: queue) == .confirmed
        }
      }
      // No slot more than the poison could hold.
      let consumer = try await cluster.start("consume", "--prefetch", "3")
      let producer = try await cluster.start("produce")
      _ = try await cluster.test.insert(1)
      try await eventually("the good review is dispatched") { try await cluster.dispatchedCount() == 1 }
      try await eventually("three dead letters with a note of what they lack") {
        let letters = try await publisher.peek(ReviewTopology.deadQueue, limit: 1_000).filter {
          $0.correlationID?.hasPrefix(marker) ?? false
        }
        let size = AMQPValue.int(Int64(headers.encodedByteCount))
        return letters.count == 3
          && letters.allSatisfy { $0.headers[ReviewTopology.deadHeaderBytesHeader] == size && $0.headers["big"] == nil }
      }
      for process in [consumer, producer] {
        process.signal(SIGTERM)
        #expect(await process.wait() == 0)
      }
    }
  }

  @Test("a queue that was deleted with its tickets is declared again, and every review is dispatched")
  func deletedQueue() async throws {
    try await withTestCluster(latency: .zero) { cluster in
      let producer = try await cluster.start("produce")
      let ids = try await cluster.test.insert(5)
      try await eventually("published") {
        try await cluster.test.sql("SELECT count(*) FROM code_reviews WHERE published_at IS NOT NULL")[0]
          .decode(0, as: Int64.self) == 5
      }
      let configuration = try AMQPConfiguration(
        urls: try #require(cluster.settings["BATON_AMQP_URL"]), connectionName: "test")
      let connection = try await AMQPConnection.connect(configuration, logger: .postgresTests)
      try await connection.deleteQueue(try #require(cluster.settings["BATON_QUEUE"]))
      await connection.close()
      // No consumer is there to notice: the producer and the reaper have to.
      let reaper = try await cluster.start("reap", "--interval", "1s")
      let more = try await cluster.test.insert(5)
      let consumer = try await cluster.start("consume")
      try await eventually("all dispatched") { try await cluster.dispatchedCount() == 10 }
      #expect(cluster.worker.runCounts.count == ids.count + more.count)
      #expect(cluster.doubleRuns.isEmpty)
      for process in [producer, reaper, consumer] {
        process.signal(SIGTERM)
        #expect(await process.wait() == 0)
      }
    }
  }

  @Test("a full queue is filled up again as consumers take from it, without waiting for the poll")
  func fullQueue() async throws {
    let settings = ["BATON_MAX_QUEUE_DEPTH": "5", "BATON_POLL_INTERVAL": "10m", "BATON_OWNER_LIMIT": "1000"]
    try await withTestCluster(latency: .zero, settings: settings) { cluster in
      let producer = try await cluster.start("produce")
      let ids = try await cluster.test.insert(60)
      try await eventually("the queue is full") {
        try await cluster.test.sql("SELECT count(*) FROM code_reviews WHERE status = 'queued'")[0].decode(
          0, as: Int64.self)
          >= 5
      }
      // A pass may claim a few before it knows how full the queue is, never the whole backlog.
      let claimed = try await cluster.test.sql("SELECT count(*) FROM code_reviews WHERE status = 'queued'")[0]
      #expect(try claimed.decode(0, as: Int64.self) <= 25)
      let consumer = try await cluster.start("consume")
      try await eventually("all dispatched") { try await cluster.dispatchedCount() == ids.count }
      #expect(cluster.doubleRuns.isEmpty)
      for process in [producer, consumer] {
        process.signal(SIGTERM)
        #expect(await process.wait() == 0)
      }
    }
  }

  @Test("an outage of the worker costs no review an attempt")
  func workerOutage() async throws {
    let settings = ["BATON_RETRY_BASE": "100ms", "BATON_RETRY_MAX": "1s"]
    try await withTestCluster(latency: .zero, settings: settings) { cluster in
      let down = cluster.settings.merging(["BATON_WORKER_URL": "http://127.0.0.1:1"]) { $1 }
      let producer = try await cluster.start("produce")
      let lost = try BatonProcess(["consume"], settings: down)
      _ = try await cluster.test.insert(10)
      try await eventually("handed back") {
        try await cluster.test.sql(
          "SELECT count(*) FROM review_transitions WHERE from_status = 'queued' AND to_status = 'pending'")[0]
          .decode(0, as: Int64.self) >= 10
      }
      lost.signal(SIGTERM)
      #expect(await lost.wait() == 0, "\(lost.output)")
      let consumer = try await cluster.start("consume")
      try await eventually("all dispatched") { try await cluster.dispatchedCount() == 10 }
      let counted = try await cluster.test.sql("SELECT count(*) FROM code_reviews WHERE dispatch_failures > 0")
      #expect(try counted[0].decode(0, as: Int64.self) == 0)
      for process in [consumer, producer] {
        process.signal(SIGTERM)
        #expect(await process.wait() == 0)
      }
    }
  }

  @Test("a worker that answers every call with its own failure is not asked indefinitely")
  func failingWorker() async throws {
    let settings = ["BATON_MAX_ATTEMPTS": "3", "BATON_RETRY_BASE": "100ms"]
    try await withTestCluster(latency: .zero, settings: settings) { cluster in
      cluster.worker.lacksStatusRoute = true
      cluster.worker.otherwise = .status(500, error: "no disk")
      let consumer = try await cluster.start("consume")
      let roles = [
        consumer, try await cluster.start("produce"), try await cluster.start("reap", "--interval", "100ms"),
      ]
      let id = try await cluster.test.insert(1)[0]
      try await eventually("failed") { try await cluster.test.row(id).status == .failed }
      let row = try await cluster.test.row(id)
      #expect(row.errorCode == "attempts_exhausted" && row.errorMessage?.contains("no disk") == true)
      #expect(cluster.worker.starts.count == 3)
      try await eventually("the log says so") { consumer.output.contains("review failed as attempts_exhausted: ") }
      for role in roles {
        role.signal(SIGTERM)
        #expect(await role.wait() == 0)
      }
    }
  }

  @Test("a worker that takes the request and says nothing is asked, and runs the review once")
  func ambiguous() async throws {
    try await withTestCluster(latency: .zero, settings: ["BATON_WORKER_TIMEOUT": "1s", "BATON_RETRY_BASE": "100ms"]) {
      cluster in
      cluster.worker.then(.hangs(starting: true), .cutsAfterReading(starting: true), .cutAfterReading, .status(500))
      let producer = try await cluster.start("produce")
      let consumer = try await cluster.start("consume")
      let reaper = try await cluster.start("reap", "--interval", "1s")
      _ = try await cluster.test.insert(8)
      try await eventually("all dispatched") { try await cluster.dispatchedCount() == 8 }
      #expect(cluster.worker.runCounts.count == 8)
      #expect(cluster.doubleRuns.isEmpty)
      for process in [consumer, producer, reaper] {
        process.signal(SIGTERM)
        #expect(await process.wait() == 0)
      }
    }
  }

  @Test("an outage of GitHub costs no review an attempt, and GitLab's reviews go on during it")
  func platformOutage() async throws {
    let settings = ["BATON_RETRY_BASE": "100ms", "BATON_RETRY_MAX": "1s", "BATON_GITLAB_HOSTS": "localhost"]
    try await withTestCluster(latency: .zero, settings: settings) { cluster in
      cluster.fakePlatform.add(FakeFault(path: "/repos/", status: 503))
      let producer = try await cluster.start("produce")
      let consumer = try await cluster.start("consume")
      let github = try await cluster.test.insert(10)
      try await eventually("handed back") {
        try await cluster.test.sql(
          "SELECT count(*) FROM review_transitions WHERE from_status = 'queued' AND to_status = 'pending'")[0]
          .decode(0, as: Int64.self) >= 10
      }
      // The same stand-in under another name is another host.
      let port = try #require(cluster.settings["BATON_GITHUB_API_URL"]?.split(separator: ":").last)
      try await cluster.test.store.setConfiguration("{}", of: Owner(type: .org, id: "acme"), platform: .gitlab)
      try await cluster.test.sql(
        """
        INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                  base_ref, head_ref, head_sha)
        SELECT 'org', 'acme', 'gitlab', 'acme/shop', g, 'http://localhost:\(port)/acme/shop/-/merge_requests/' || g, 'T',
               'ada', 'main', 'feature', md5(g::text)
          FROM generate_series(1, 3) g
        """)
      try await eventually("GitLab's are dispatched") { try await cluster.dispatchedCount() == 3 }
      cluster.fakePlatform.clear()
      try await eventually("all dispatched") { try await cluster.dispatchedCount() == github.count + 3 }
      let charged = try await cluster.test.sql("SELECT sum(dispatch_failures + attempt - 1)::int FROM code_reviews")[0]
      #expect(try charged.decode(0, as: Int32.self) == 0)
      #expect(cluster.doubleRuns.isEmpty)
      for process in [consumer, producer] {
        process.signal(SIGTERM)
        #expect(await process.wait() == 0)
      }
    }
  }
}
