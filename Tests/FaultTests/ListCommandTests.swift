import Foundation
import PostgresClient
import Primitives
import Support
import Testing

@Suite("Commands that show", .timeLimit(.minutes(5)))
struct ListCommandTests {
  @Test("an owner's delivery behind thousands of others is found by going on, as the command says")
  func deliveriesFarBack() async throws {
    try await withTestCluster { cluster in
      try await cluster.addIntegration()
      try await cluster.test.sql(
        """
        INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, processed_at, received_at, integration_id)
        SELECT 'github', 'old', 'ping', '{}', now(), now() - interval '1 hour', id FROM platform_integrations
        """)
      try await cluster.test.sql(
        """
        INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, processed_at)
        SELECT 'github', 'made/' || g, 'ping', '{}', now() FROM generate_series(1, 5001) g
        """)
      let first = try await cluster.run("deliveries", "--owner", "org:acme")
      #expect(first.status == 0 && first.output.contains("None among the 5,000 that were looked at"), "\(first)")
      let cursor = try #require(first.output.firstMatch(of: /--cursor (\S+)/)).1
      let second = try await cluster.run("deliveries", "--owner", "org:acme", "--cursor", String(cursor))
      #expect(second.output.contains("ping") && !second.output.contains("--cursor"), "\(second)")
      let none = try await cluster.run("deliveries", "--owner", "org:other", "--cursor", String(cursor))
      #expect(none.output.contains("No such delivery"), "\(none)")
    }
  }

  @Test("a review is shown with the feedback that was given up, as the runbook says")
  func feedbackShown() async throws {
    try await withTestCluster { cluster in
      let id = try await cluster.test.insert(1)[0].lowercase
      try await cluster.test.sql(
        """
        INSERT INTO baton_feedback (review_id, subject, due_at, tries, last_error, given_up_at)
        VALUES ('\(id)', 'gate', NULL, 12, 'GitHub answered 403', now())
        """)
      let shown = try await cluster.run("show", id)
      #expect(shown.status == 0 && shown.output.contains("GitHub answered 403"), "\(shown)")
      #expect(shown.output.contains("gate") && shown.output.contains("given up"), "\(shown)")
      let whole = try await cluster.json("show", id).1
      guard case .array(let entries)? = whole["undeliveredFeedback"] else {
        Issue.record("no undeliveredFeedback: \(whole)")
        return
      }
      #expect(entries.first?["lastError"] == .string("GitHub answered 403") && entries.count == 1, "\(whole)")
    }
  }

  @Test("a list that is cut says so on standard error, and paused owners are found among many")
  func cutLists() async throws {
    try await withTestCluster { cluster in
      try await cluster.test.sql(
        "INSERT INTO review_owners (owner_type, owner_id, paused) SELECT 'org', 'o' || lpad(n::text, 3, '0'), n = 101 FROM generate_series(1, 101) n"
      )
      _ = try await cluster.test.insert(1)
      let more = "More: add --limit, up to 10000"
      let all = try await cluster.run("owner", "list")
      #expect(all.status == 0 && all.output.contains(more) && !all.output.contains("o101"), "\(all)")
      #expect(try await cluster.run("owner", "list", "--json").output.contains(more))
      #expect(try await !cluster.run("owner", "list", "--limit", "102").output.contains(more))
      let paused = try await cluster.run("owner", "list", "--paused", "--limit", "1")
      #expect(
        paused.output.contains("o101") && !paused.output.contains(more) && !paused.output.contains("acme"),
        "\(paused)")
      _ = try await cluster.run("owner", "pause", "org:acme")
      let two = try await cluster.run("owner", "list", "--paused", "--json")
      #expect(two.output.contains("acme") && two.output.contains("o101") && !two.output.contains("o001"), "\(two)")
      #expect(try await cluster.run("owner", "list", "--paused", "--limit", "1").output.contains(more))
      for id in ["o101", "acme"] { _ = try await cluster.run("owner", "resume", "org:\(id)") }
      #expect(try await cluster.run("owner", "list", "--paused").output.contains("No owner is paused."))

      try await cluster.test.sql(
        """
        INSERT INTO platform_integrations (id, owner_type, owner_id, platform, installation_id)
        SELECT gen_random_uuid(), 'org', 'acme', 'github', n::text FROM generate_series(1, 3) n
        """)
      let cut = try await cluster.run("integration", "list", "--limit", "2")
      #expect(cut.output.contains(more) && cut.output.contains("org:acme"), "\(cut)")
      #expect(try await !cluster.run("integration", "list", "--limit", "3").output.contains(more))
    }
  }

  @Test("a missing queue hides nothing that Postgres knows, and neither it nor a locked table ends a watch")
  func watched() async throws {
    try await withTestCluster { cluster in
      _ = try await cluster.test.insert(3)
      var other = cluster
      other.settings["BATON_QUEUE"] = "fault-\(UUID().uuidString)"
      let shown = try await other.json("queue")
      #expect(shown.status == 1 && shown.1["queue"] == .null, "\(shown)")
      #expect(shown.1["reviews"]?["pending"] == .integer(3), "\(shown)")
      let plain = try await other.run("queue")
      #expect(plain.status == 1 && plain.output.contains("queue is missing") && plain.output.contains("pending"))
      #expect(plain.output.contains("baton migrate"), "\(plain)")

      let watch = try BatonProcess(["queue", "--watch", "100ms", "--json"], settings: other.settings)
      func lines(_ text: String) -> Int { watch.output.split(separator: "\n").filter { $0.contains(text) }.count }
      try await eventually("the watch goes on without a queue") { lines(#""queue":null"#) >= 3 }
      #expect(try await other.run("migrate").status == 0)
      try await eventually("the queue is there") { lines(#""ready":0"#) >= 1 }
      let person = try await PostgresConnection.connect(
        testConfiguration(cluster.test.conninfo), logger: .postgresTests)
      let errors = lines("Error: ")
      try await person.withTransaction { person in
        try await person.query(PostgresStatement(unprepared: "LOCK TABLE code_reviews"))
        try await eventually("the lock is reported") { lines("Error: ") > errors }
      }
      await person.close()
      let before = lines(#""ready":0"#)
      try await eventually("the watch goes on behind the lock") { lines(#""ready":0"#) > before }
      await watch.die()
    }
  }
}
