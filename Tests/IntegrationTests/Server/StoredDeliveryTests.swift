import BatonServer
import Foundation
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: webhooks that are stored")
struct StoredDeliveryTests {
  @Test("a stored delivery whose receiver has died is processed once by the server that finds it")
  func leftBehind() async throws {
    try await withServerStack { stack in
      let integration = try await stack.addGitHub()
      let trace = TraceContext()
      for sha: Character in ["a", "b"] {
        let webhook = try RecordedWebhook.github("synchronize", push(sha, at: sha == "a" ? 1 : 2))
        let delivery = WebhookDelivery(
          platform: .github, id: "left-\(sha)", event: "pull_request",
          payload: String(decoding: webhook.body, as: UTF8.self), integrationID: integration, trace: trace)
        #expect(try await stack.store.store(delivery))
        #expect(try await !stack.store.store(delivery))
      }
      try await stack.run("UPDATE webhook_deliveries SET due_at = now()")
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<4 {
          group.addTask { try await WebhookIntake(store: stack.store, logger: ServerStack.silent).processDue() }
        }
        try await group.waitForAll()
      }
      #expect(try await stack.count("webhook_deliveries WHERE processed_at IS NULL") == 0)
      let states = try await stack.states()
      #expect(states.contains("bbbb pending 1 -"), "\(states)")
      // Its sender's trace is not lost with its receiver.
      let claims = try await stack.store.claim(limit: 10, ownerLimit: 10, by: Holder.ID())
      #expect(claims.map(\.trace) == [trace])
      #expect(states == ["bbbb pending 1 -"] || states == ["aaaa cancelled 1 superseded", "bbbb pending 1 -"])
    }
  }

  @Test("a delivery that another program has stored, with what the table asks for, is processed")
  func foreign() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      let payload = String(decoding: try RecordedWebhook.github("opened").body, as: UTF8.self)
      try await stack.pool.query(
        PostgresStatement(
          unprepared: """
            INSERT INTO webhook_deliveries (platform, delivery_id, event, payload)
            VALUES ('github', 'foreign', 'pull_request', $1::text::jsonb)
            """), [payload])
      try await WebhookIntake(store: stack.store, logger: ServerStack.silent).processDue()
      #expect(try await stack.reviews().map(\.status) == [.pending])
    }
  }

  @Test("a delivery that has to wait for another of its pull request is answered at once, and processed later")
  func waiting() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      try await stack.pool.withTransaction { connection in
        let lock = "hashtextextended('github 2 Codertocat/Hello-World org:acme', 1111577422)"
        _ = try await connection.query(PostgresStatement(unprepared: "SELECT pg_advisory_xact_lock(\(lock))"))
        let reply = try await stack.client.send(.github("opened"))
        #expect(reply.status == 202)
        #expect(reply.object["outcome"] as? String == "stored")
      }
      #expect(try await stack.count("code_reviews") == 0)
      try await stack.run("UPDATE webhook_deliveries SET due_at = now()")
      try await WebhookIntake(store: stack.store, logger: ServerStack.silent).processDue()
      #expect(try await stack.reviews().map(\.status) == [.pending])
    }
  }

  @Test("locks and outages give no delivery up, however long they last, and use up no try of those that count")
  func locked() async throws {
    try await withServerStack { stack in
      try await stack.addGitHub()
      let intake = WebhookIntake(store: stack.store, logger: ServerStack.silent)
      try await stack.pool.withTransaction { connection in
        let lock = "hashtextextended('github 2 Codertocat/Hello-World org:acme', 1111577422)"
        _ = try await connection.query(PostgresStatement(unprepared: "SELECT pg_advisory_xact_lock(\(lock))"))
        #expect(try await stack.client.send(.github("opened")).status == 202)
        for (before, after) in [(0, 1), (9, 10), (15, 15)] {
          try await stack.run("UPDATE webhook_deliveries SET due_at = now(), tries = \(before)")
          try await intake.processDue()
          #expect(
            try await stack.count(
              """
              webhook_deliveries
               WHERE processed_at IS NULL AND outcome LIKE 'trying again: %' AND tries = \(after) AND due_at > now()
              """) == 1)
        }
      }
      try await stack.run("UPDATE webhook_deliveries SET due_at = now()")
      try await intake.processDue()
      #expect(try await stack.reviews().map(\.status) == [.pending])
    }
  }

  @Test("deliveries that another transaction has locked, as many as a page has, hold up none of those behind them")
  func lockedPage() async throws {
    try await withServerStack { stack in
      let integration = try await stack.addGitHub()
      try await stack.run(
        """
        INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, integration_id, due_at)
        SELECT 'github', 'd' || n, 'pull_request', '{"action":"opened"}', '\(integration.uuidString)',
               now() - make_interval(secs => 200 - n)
          FROM generate_series(1, 120) n
        """)
      let isProcessed = "processed_at IS NOT NULL AND outcome ~ 'given up'"
      try await stack.pool.withTransaction { connection in
        _ = try await connection.query(
          PostgresStatement(
            unprepared: "SELECT FROM webhook_deliveries WHERE substr(delivery_id, 2)::int <= 100 FOR UPDATE"))
        try await WebhookIntake(store: stack.store, logger: ServerStack.silent).processDue()
        #expect(
          try await stack.count("webhook_deliveries WHERE \(isProcessed) AND substr(delivery_id, 2)::int > 100") == 20)
        #expect(try await stack.count("webhook_deliveries WHERE \(isProcessed)") == 20)
      }
      try await WebhookIntake(store: stack.store, logger: ServerStack.silent).processDue()
      #expect(try await stack.count("webhook_deliveries WHERE \(isProcessed)") == 120)
    }
  }

  @Test("a delivery that can never be processed is given up, and does not hold up the others")
  func givenUp() async throws {
    try await withServerStack { stack in
      let integration = try await stack.addGitHub()
      #expect(
        try await stack.store.store(
          WebhookDelivery(
            platform: .github, id: "bad", event: "pull_request", payload: #"{"action":"opened"}"#,
            integrationID: integration)))
      try await stack.run("UPDATE webhook_deliveries SET due_at = now()")
      try await WebhookIntake(store: stack.store, logger: ServerStack.silent).processDue()
      #expect(try await stack.count("webhook_deliveries WHERE processed_at IS NOT NULL AND outcome ~ 'given up'") == 1)
      #expect(try await stack.store.counts().webhooksGivenUp == 1)
      #expect(try await stack.client.send(.github("opened")).status == 202)
    }
  }
}
