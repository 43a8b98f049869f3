import BatonServer
import Foundation
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: API")
struct ServerAPITests {
  @Test("pages go from the newest to the oldest, each review once, while new ones come in")
  func pages() async throws {
    try await withServerStack { stack in
      var expected: [String] = []
      for index in 0..<7 { expected.insert(try await stack.submit("abcdef\(index)").lowercase, at: 0) }
      var seen: [String] = []
      var cursor = ""
      repeat {
        let page = try await stack.client.send("GET", "/api/reviews?limit=3&cursor=\(cursor)")
        #expect(page.status == 200)
        #expect(page.reviews.count <= 3)
        seen += page.reviews.compactMap { $0["id"] as? String }
        cursor = page.object["nextCursor"] as? String ?? ""
        if seen.count == 3 { _ = try await stack.submit("fedcba9") }
      } while !cursor.isEmpty
      #expect(seen == expected)
    }
  }

  @Test("filters are by status, owner and repository, each percent-encoded")
  func filters() async throws {
    try await withServerStack { stack in
      for (sha, repository, owner) in [
        ("abcdef1", "acme/shop", "acme"), ("abcdef2", "acme/c++", "o p"), ("abcdef3", "x/y", "acme"),
      ] {
        let body = ServerStack.review(sha, repository: repository, owner: owner)
        #expect(try await stack.client.send("POST", "/api/reviews", body: body).status == 201)
      }
      let counts = [
        ("", 3), ("?", 3), ("?status=", 3), ("?status=pending", 3), ("?status=queued", 0), ("?owner=org:acme", 2),
        ("?owner=user:acme", 0), ("?owner=org:o+p", 1), ("?owner=org%3Ao%20p", 1), ("?repo=acme/c%2B%2B", 1),
        ("?repo=acme/c++", 0), ("?owner=org:acme&repo=x/y&status=pending&limit=1&cursor=", 1),
      ]
      for (query, count) in counts {
        let reply = try await stack.client.send("GET", "/api/reviews\(query)")
        #expect(reply.status == 200, "\(query)")
        #expect(reply.reviews.count == count, "\(query)")
      }
    }
  }

  @Test("a review is shown with all its fields and its transitions, oldest first")
  func show() async throws {
    try await withServerStack { stack in
      let id = try await stack.submit("abcdef1")
      _ = try await stack.client.send("POST", "/api/reviews/\(id)/cancel")
      let reply = try await stack.client.send("GET", "/api/reviews/\(id.uuidString)")
      #expect(reply.status == 200)
      let row = reply.object
      #expect(row["id"] as? String == id.lowercase)
      #expect(row["repoFullName"] as? String == "acme/shop")
      #expect(row["status"] as? String == "cancelled")
      #expect(row["errorCode"] as? String == "cancelled_by_user")
      #expect(row["priority"] as? Int == 3)
      #expect(row["sessionId"] is NSNull)
      #expect((row["createdAt"] as? String)?.hasSuffix("Z") == true)
      let transitions = row["transitions"] as? [[String: Any]] ?? []
      #expect(transitions.map { $0["toStatus"] as? String } == ["pending", "cancelled"])
      #expect(transitions.first?["fromStatus"] is NSNull)
      #expect(try await stack.client.send("GET", "/api/reviews/\(UUID().uuidString)").status == 404)
      #expect(try await stack.client.send("GET", "/api/reviews/7").status == 404)
    }
  }

  @Test("cancel and retry answer 202 if the status allows it, 409 if not, 404 for what is not there")
  func operate() async throws {
    try await withServerStack { stack in
      let id = try await stack.submit("abcdef1")
      func post(_ verb: String, _ id: String) async throws -> HTTPReply {
        try await stack.client.send("POST", "/api/reviews/\(id)/\(verb)")
      }
      #expect(try await post("retry", id.lowercase).status == 409)
      let cancelled = try await post("cancel", id.lowercase)
      #expect(cancelled.status == 202)
      #expect(cancelled.object["status"] as? String == "cancelled")
      let again = try await post("cancel", id.lowercase)
      #expect(again.status == 409)
      #expect((again.object["error"] as? String)?.contains("cancelled") == true)
      let retried = try await post("retry", id.lowercase)
      #expect(retried.status == 202)
      #expect(retried.object["status"] as? String == "pending")
      #expect(retried.object["attempt"] as? Int == 2)
      for verb in ["cancel", "retry"] {
        #expect(try await post(verb, UUID().uuidString).status == 404)
        #expect(try await post(verb, "nonsense").status == 404)
      }
    }
  }

  @Test("the figures count every status; the metrics those that have not ended")
  func stats() async throws {
    try await withServerStack(queue: QueueFigures(name: "baton.reviews", ready: 4, consumers: 0, dead: 1)) { stack in
      _ = try await stack.submit("abcdef1")
      let second = try await stack.submit("abcdef2")
      _ = try await stack.client.send("POST", "/api/reviews/\(second)/cancel")
      let reply = try await stack.client.send("GET", "/api/stats")
      #expect(reply.status == 200)
      let stats = try JSONDecoder().decode(StatsBody.self, from: Data(reply.body.utf8))
      #expect(stats.queue?.ready == 4)
      #expect(
        stats.reviews == [
          "pending": 1, "queued": 0, "running": 0, "completed": 0, "failed": 0, "cancelled": 1,
        ])
      #expect(try #require(stats.oldestPendingSeconds) >= 0)
      #expect(stats.oldestQueuedSeconds == nil)
      let metrics = try await stack.client.send("GET", "/metrics").body
      for line in [
        "baton_reviews{status=\"pending\"} 1", "baton_queue_messages_ready 4", "baton_dead_messages 1",
        "baton_reviews_held_back{reason=\"owner_limit\"} 0", "baton_oldest_running_seconds 0",
      ] { #expect(metrics.contains(line + "\n")) }
      #expect(!metrics.contains("baton_reaper_last_run_timestamp_seconds "), "absent before a reaper has run")
      try await stack.store.recordReaperRun()
      try await eventually("a scrape shows what the last one could not") {
        try await stack.client.send("GET", "/metrics").body.contains("\nbaton_reaper_last_run_timestamp_seconds 1")
      }
    }
  }

  @Test("while the database refuses connections requests answer 503, and afterwards they work again")
  func databaseAway() async throws {
    try await withServerStack(acquireTimeout: .milliseconds(500)) { stack in
      let id = try await stack.submit("abcdef1")
      let name = try #require(stack.conninfo.split(separator: "?").first?.split(separator: "/").last)
      let server = try await PostgresConnection.connect(
        testConfiguration(try postgresTestVariable("BATON_TEST_DATABASE_URL")), logger: ServerStack.silent)
      try await server.query(PostgresStatement(unprepared: "ALTER DATABASE \(name) ALLOW_CONNECTIONS false"))
      let cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '\(name)'"
      try await server.query(PostgresStatement(unprepared: cut))
      for (method, path) in [
        ("GET", "/api/reviews/\(id)"), ("POST", "/api/reviews/\(id)/cancel"), ("GET", "/api/stats"),
      ] {
        let reply = try await stack.client.send(method, path)
        #expect(reply.status == 503)
        #expect(reply.headers["retry-after"] == "5")
      }
      #expect(try await stack.client.send("GET", "/metrics").status == 200)
      try await server.query(PostgresStatement(unprepared: "ALTER DATABASE \(name) ALLOW_CONNECTIONS true"))
      await server.close()
      try await eventually("the review is shown again") {
        let status = try await stack.client.send("GET", "/api/reviews/\(id)").status
        #expect(status == 200 || status == 503)
        return status == 200
      }
    }
  }

  @Test("a database without the schema answers 503 and says what to run")
  func noSchema() async throws {
    try await withServerStack { stack in
      try await stack.run("DROP TABLE code_reviews CASCADE")
      let reply = try await stack.client.send("GET", "/api/reviews")
      #expect(reply.status == 503)
      #expect((reply.object["error"] as? String)?.contains("baton migrate") == true)
    }
  }
}
