import AMQPClient
import Foundation
import PostgresClient
import Primitives
import ReviewQueue
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Commands, from outside", .timeLimit(.minutes(5)))
struct CommandTests {
  @Test("what is wrong, what is missing and what does not fit together come in one message, with status 78")
  func settings() async throws {
    let process = try BatonProcess(
      ["consume"],
      settings: [
        "BATON_PREFETCH": "many", "BATON_LEASE": "soon", "BATON_DATABASE_URL": "postgresql://x/y",
        "BATON_GITHUB_APP_ID": "1",
      ])
    #expect(await process.wait() == 78)
    for name in [
      "BATON_PREFETCH", "BATON_LEASE", "BATON_AMQP_URL is missing", "BATON_WORKER_URL is missing",
      "BATON_GITHUB_PRIVATE_KEY is missing",
    ] { #expect(process.output.contains(name), "\(process.output)") }
    let worker = try BatonProcess(
      ["worker", "--demo"], settings: ["BATON_AGENT_ISOLATION": "users", "BATON_METRICS_PORT": "x"])
    #expect(await worker.wait() == 78)
    for name in ["BATON_AGENT_USERS", "BATON_METRICS_PORT", "BATON_WORKER_TOKEN is missing"] {
      #expect(worker.output.contains(name), "\(worker.output)")
    }
  }

  @Test(
    "a mistyped command is wrong usage, also if its help is asked for",
    arguments: [["consum"], ["consum", "--help"], ["help", "consum"], ["consum", "--version"]])
  func mistyped(arguments: [String]) async throws {
    let process = try BatonProcess(arguments, settings: [:])
    #expect(await process.wait() == 64, "\(process.output)")
    #expect(process.output.contains("there is no command `baton consum`\nDid you mean `baton consume`?"))
  }

  @Test("servers that cannot be reached end a one-shot command with 69", arguments: [["migrate"], ["list"], ["reap"]])
  func unreachable(arguments: [String]) async throws {
    let process = try BatonProcess(
      arguments,
      settings: [
        "BATON_DATABASE_URL": "postgresql://nobody:hush@127.0.0.1:1/none", "BATON_AMQP_URL": "amqp://127.0.0.1:1",
      ])
    #expect(await process.wait() == 69, "\(process.output)")
    #expect(!process.output.contains("hush"))
  }

  @Test("a database without the schema is refused with what to do")
  func schema() async throws {
    try await withTestDatabase { conninfo in
      let process = try BatonProcess(["list"], settings: ["BATON_DATABASE_URL": conninfo])
      #expect(await process.wait() == 1)
      #expect(process.output.contains("baton migrate"), "\(process.output)")
    }
  }

  @Test("a queue that is declared otherwise ends with 78 and names the argument")
  func otherQueue() async throws {
    try await withTestCluster { cluster in
      // The dead-letter queue exists without a delivery limit: as a work queue it is declared otherwise.
      var settings = cluster.settings
      settings["BATON_QUEUE"] = "baton.dead"
      let process = try BatonProcess(["migrate"], settings: settings)
      #expect(await process.wait() == 78, "\(process.output)")
      #expect(process.output.contains("x-"), "\(process.output)")
    }
  }

  @Test("what the broker refuses ends with the status and the advice of its cause")
  func refusals() async throws {
    try await withTestCluster { cluster in
      let control = try postgresTestVariable("BATON_TEST_BROKER_CTL")
      let name = uniqueName("refused")
      let port = try #require(
        AMQPConfiguration(urls: cluster.settings["BATON_AMQP_URL"] ?? "", connectionName: "").endpoints.first
      )
      .port
      var settings = cluster.settings
      func migrate(_ vhost: String) async throws -> (status: Int32, output: String) {
        settings["BATON_AMQP_URL"] = "amqp://\(name):s3cret@127.0.0.1:\(port)/\(vhost)"
        let process = try BatonProcess(["migrate"], settings: settings)
        return (await process.wait(), process.output)
      }
      func expect(_ status: Int32, _ advice: String, _ result: (status: Int32, output: String)) {
        #expect(result.status == status && result.output.contains(advice), "\(result)")
        #expect(!result.output.contains("s3cret"))
      }
      for arguments in [["add_vhost", name], ["add_user", name, "s3cret"]] {
        _ = try await runCommand(control, ["ctl"] + arguments)
      }
      expect(78, "add_vhost", try await migrate("missing-\(name)"))
      expect(78, "set_permissions", try await migrate(name))
      _ = try await runCommand(control, ["ctl", "set_permissions", "-p", name, name, "^$", ".*", ".*"])
      expect(78, "configure", try await migrate(name))
      _ = try await runCommand(control, ["ctl", "set_permissions", "-p", name, name, ".*", ".*", ".*"])
      _ = try await runCommand(control, ["ctl", "set_vhost_limits", "-p", name, #"{"max-queues": 0}"#])
      let limited = try await migrate(name)
      expect(69, "set_vhost_limits", limited)
      #expect(!limited.output.contains("Remove it"))
      _ = try await runCommand(control, ["ctl", "clear_vhost_limits", "-p", name])
      expect(0, "are declared", try await migrate(name))
      // What is there is enough for an account that may not declare.
      _ = try await runCommand(control, ["ctl", "set_permissions", "-p", name, name, "^$", ".*", ".*"])
      expect(0, "are declared", try await migrate(name))
      for arguments in [["delete_user", name], ["delete_vhost", name]] {
        _ = try await runCommand(control, ["ctl"] + arguments)
      }
    }
  }

  @Test("malformed lines are named by number, and the good ones are submitted")
  func submit() async throws {
    try await withTestCluster { cluster in
      let good =
        #"{"owner":{"type":"org","id":"acme"},"platform":"github","repoFullName":"acme/shop","prNumber":1,"#
        + #""prUrl":"https://github.com/acme/shop/pull/1","prTitle":"T","prAuthor":"ada","baseRef":"main","headRef":"f","headSha":"0123abcd"}"#
      let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).jsonl").path
      defer { try? FileManager.default.removeItem(atPath: file) }
      try [good, "{oops", good.replacing("\"prNumber\":1", with: "\"prNumber\":2"), #"{"platform":"svn"}"#]
        .joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
      let result = try await cluster.run("submit", "--file", file)
      #expect(result.status == 1)
      #expect(result.output.contains("line 2") && result.output.contains("line 4"), "\(result.output)")
      let count = try await cluster.test.sql("SELECT count(*) FROM code_reviews")
      #expect(try count[0].decode(0, as: Int64.self) == 2)
    }
  }

  @Test(
    "a line that names another owner's integration is refused by its number and field, and the others are submitted")
  func foreignIntegration() async throws {
    try await withTestCluster { cluster in
      try await cluster.addIntegration()
      let id = try await cluster.test.sql("SELECT id FROM platform_integrations")[0].decode(0, as: UUID.self).lowercase
      func line(_ owner: String) -> String {
        #"{"owner":{"type":"org","id":"\#(owner)"},"platform":"github","platformIntegrationId":"\#(id)","#
          + #""repoFullName":"acme/shop","prNumber":1,"prUrl":"https://github.com/acme/shop/pull/1","prTitle":"T","#
          + #""prAuthor":"ada","baseRef":"main","headRef":"f","headSha":"0123abcd"}"#
      }
      let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).jsonl").path
      defer { try? FileManager.default.removeItem(atPath: file) }
      try "\(line("acme"))\n\(line("evil"))".write(toFile: file, atomically: true, encoding: .utf8)
      let result = try await cluster.run("submit", "--file", file)
      #expect(result.status == 1)
      #expect(
        result.output.contains(
          "line 2: platformIntegrationId: review names integration \(id), which belongs to another owner"),
        "\(result.output)")
      #expect(try await cluster.count("code_reviews") == 1)
    }
  }

  /// The status of a command, and what it has printed to standard output, which has to be one line of JSON.
  private func json(_ cluster: TestCluster, _ arguments: String...) async throws -> (status: Int32, JSONValue) {
    let process = try BatonProcess(
      arguments + ["--json"], settings: cluster.settings, through: ["bash", "-c", "exec \"$0\" \"$@\" 2>/dev/null"])
    let status = await process.wait()
    #expect(process.output.hasSuffix("\n") && process.output.filter(\.isNewline).count == 1, "\(process.output)")
    return (status, (try? JSONValue(json: process.output)) ?? .string(process.output))
  }

  @Test("an operation on named reviews prints one line with --json, also in a dry run and if some are refused")
  func namedAsJSON() async throws {
    try await withTestCluster { cluster in
      let ids = try await cluster.test.insert(2).map(\.lowercase)
      func expect(
        _ result: (status: Int32, JSONValue), _ status: Int32, matched: Int64, skipped: Int64, _ ids: [String],
        isDry: Bool = false
      ) {
        #expect(result.status == status, "\(result)")
        #expect(result.1["matched"] == .integer(matched) && result.1["skipped"] == .integer(skipped), "\(result)")
        #expect(result.1["changed"] == .integer(isDry ? 0 : Int64(ids.count)), "\(result)")
        #expect(result.1["ids"] == .array(ids.map { .string($0) }), "\(result)")
      }
      // A dry run names those that would be changed.
      let filtered = try await json(cluster, "cancel", "--owner", "org:acme", "--dry-run")
      #expect(filtered.1["matched"] == .integer(2) && filtered.1["changed"] == .integer(0), "\(filtered)")
      guard case .array(let named)? = filtered.1["ids"] else {
        Issue.record("\(filtered)")
        return
      }
      #expect(Set(named) == Set(ids.map { .string($0) }))
      expect(
        try await json(cluster, "cancel", ids[1], ids[0], "--dry-run"), 0, matched: 2, skipped: 0, [ids[1], ids[0]],
        isDry: true)
      // A review that is named twice is one.
      expect(
        try await json(cluster, "cancel", ids[0], ids[0].uppercased(), "--dry-run"), 0, matched: 1, skipped: 0,
        [ids[0]],
        isDry: true)
      expect(try await json(cluster, "cancel", String(ids[0].prefix(13)), ids[0]), 0, matched: 1, skipped: 0, [ids[0]])
      expect(try await json(cluster, "cancel", ids[0], ids[1]), 1, matched: 2, skipped: 1, [ids[1]])
      expect(try await json(cluster, "retry", ids[0]), 0, matched: 1, skipped: 0, [ids[0]])
      expect(try await json(cluster, "release", ids[0], ids[1], "--dry-run"), 0, matched: 2, skipped: 2, [])
      expect(try await json(cluster, "release", ids[0]), 1, matched: 1, skipped: 1, [])
    }
  }

  @Test("an ambiguous start of an id deletes no dead letter, and one of several letters of one review deletes these")
  func ambiguousDeadLetter() async throws {
    try await withTestCluster { cluster in
      let url = try #require(cluster.settings["BATON_AMQP_URL"])
      let publisher = AMQPPublisher(
        configuration: try AMQPConfiguration(urls: url, connectionName: "test"), topology: AMQPTopology(),
        logger: .postgresTests)
      let publishing = Task { try await publisher.run() }
      defer { publishing.cancel() }
      // The dead-letter queue is shared: only this test's letters begin so.
      let review = UUID()
      let marker = "x\(UUID().lowercase)"
      let ticket = Ticket(reviewID: review, attempt: 1, claimedAt: Timestamp(microseconds: 0)).body
      for (id, body) in [
        ("\(marker)-a", Array("no ticket".utf8)), ("\(marker)-b", Array("no ticket".utf8)), ("\(marker)-c1", ticket),
        ("\(marker)-c2", ticket),
      ] {
        try await eventually("confirmed") {
          await publisher.publish(
            AMQPMessage(body: body, messageID: id), exchange: "", routingKey: ReviewTopology.deadQueue) == .confirmed
        }
      }
      func left() async throws -> Set<String> {
        let letters = try await publisher.peek(ReviewTopology.deadQueue, limit: 1_000).map { DeadLetter($0) }
        return Set(
          letters.compactMap(\.messageId).filter { $0.hasPrefix(marker) }.map { String($0.dropFirst(marker.count)) })
      }
      let refused = try await cluster.run("dead", "delete", marker)
      #expect(refused.status == 1 && refused.output.contains("\(marker)-a"), "\(refused)")
      #expect(refused.output.contains("\(marker)-b") && refused.output.contains(review.lowercase), "\(refused)")
      #expect(try await left() == ["-a", "-b", "-c1", "-c2"])
      #expect(try await cluster.run("dead", "delete", String(review.lowercase)).status == 0)
      #expect(try await left() == ["-a", "-b"])
      #expect(try await cluster.run("dead", "delete", "\(marker)-b").status == 0)
      #expect(try await cluster.run("dead", "delete", marker).status == 0)
      #expect(try await left() == [])
      #expect(try await cluster.run("dead", "delete", marker).status == 1)
    }
  }

  @Test("what an endpoint was not told is sent again only while it is enabled, and the command says so")
  func retryOfDisabled() async throws {
    try await withTestCluster { cluster in
      let id = try await cluster.test.store.addEndpoint("https://hooks.example.com/x", owner: nil) { _ in [0] }
        .lowercase
      _ = try await cluster.test.insert(1)
      try await cluster.test.sql("UPDATE code_reviews SET status = 'cancelled'")
      try await cluster.test.sql("UPDATE baton_events SET due_at = NULL, given_up_at = now()")
      #expect(try await cluster.run("endpoint", "disable", id).status == 0)
      let refused = try await cluster.run("endpoint", "retry", id)
      #expect(refused.status == 1 && refused.output.contains("`baton endpoint enable"), "\(refused)")
      #expect(try await cluster.test.store.endpoints().first?.givenUp == 1)
      #expect(try await cluster.run("endpoint", "enable", id).status == 0)
      let done = try await cluster.run("endpoint", "retry", id)
      #expect(done.status == 0 && done.output.contains("1 event is sent again"), "\(done)")
      // As its 410 leaves it.
      try await cluster.test.sql("UPDATE baton_endpoints SET is_enabled = false, last_error = 'it answered 410'")
      let queue = try await cluster.run("queue")
      #expect(queue.output.contains("https://hooks.example.com/x wants no more events"), "\(queue)")
      #expect(queue.output.contains("it answered 410") && queue.output.contains("baton endpoint enable"), "\(queue)")
    }
  }

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
      let whole = try await json(cluster, "show", id).1
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

  @Test("a locked review costs only itself: the others are cancelled, the result is printed, and the command fails")
  func locked() async throws {
    try await withTestCluster { cluster in
      let ids = try await cluster.test.insert(4).map(\.lowercase)
      let person = try await PostgresConnection.connect(
        testConfiguration(cluster.test.conninfo), logger: .postgresTests)
      try await person.withTransaction { person in
        try await person.query(
          PostgresStatement(unprepared: "SELECT FROM code_reviews WHERE id = '\(ids[1])' FOR UPDATE"))
        let matching = try await json(cluster, "cancel", "--owner", "org:acme", "--yes")
        #expect(matching.status == 1)
        #expect(matching.1["matched"] == .integer(4) && matching.1["changed"] == .integer(3), "\(matching)")
        #expect(matching.1["locked"] == .integer(1) && matching.1["skipped"] == .integer(0), "\(matching)")
        let named = try await cluster.run("retry", ids[1], ids[0])
        #expect(named.status == 1 && named.output.contains("\(ids[1]): another transaction has locked it"), "\(named)")
        #expect(named.output.contains("\(ids[0])  pending, attempt 2"), "\(named)")
      }
      await person.close()
      #expect(try await cluster.run("cancel", ids[1]).status == 0)
    }
  }

  @Test("a missing queue hides nothing that Postgres knows, and neither it nor a locked table ends a watch")
  func watched() async throws {
    try await withTestCluster { cluster in
      _ = try await cluster.test.insert(3)
      var other = cluster
      other.settings["BATON_QUEUE"] = "fault-\(UUID().uuidString)"
      let shown = try await json(other, "queue")
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

  @Test(
    "the time-out of a health check holds for servers that accept a connection and say nothing", .timeLimit(.minutes(2))
  )
  func healthTimeout() async throws {
    try await withTestCluster { cluster in
      let silent = try ListeningAddress()
      var settings = cluster.settings
      settings["BATON_AMQP_URL"] = "amqp://127.0.0.1:\(silent.port)?connection_timeout=600000"
      let process = try BatonProcess(["health", "--timeout", "1s", "--json"], settings: settings)
      let (status, text) = (await process.wait(), process.output)
      #expect(status == 69 && text.contains(#""broker":"no answer within 1s""#), "\(status) \(text)")
      #expect(text.contains(#""postgres":"ok""#), "\(text)")
    }
  }

  @Test("a secret that can be guessed is a warning at the start, and no more")
  func shortSecret() async throws {
    try await withTestCluster { cluster in
      let consumer = try await cluster.start("consume")
      let warnings = consumer.output.split(separator: "\n").filter { $0.contains("BATON_WORKER_TOKEN") }
      #expect(warnings.count == 1 && warnings[0].contains("16 bytes"), "\(consumer.output)")
      #expect(!consumer.output.contains("worker-token"))
      consumer.signal(SIGTERM)
      #expect(await consumer.wait() == 0, "\(consumer.output)")
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

  @Test("a worker without an agent is refused with status 78 and the setting's name")
  func noAgent() async throws {
    let process = try BatonProcess(
      ["worker", "--port", "0"], settings: ["BATON_WORKER_TOKEN": "t", "BATON_AGENT_COMMAND": " "])
    #expect(await process.wait() == 78)
    #expect(process.output.contains("BATON_AGENT_COMMAND is missing") && !process.output.contains("listening"))
  }

  @Test("a worker answers probes and metrics on a port of their own")
  func workerHealth() async throws {
    let state = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).sqlite").path
    defer { try? FileManager.default.removeItem(atPath: state) }
    let port = try BrokerServer.freePort()
    let process = try BatonProcess(
      ["worker", "--port", "0", "--demo"],
      settings: [
        "BATON_WORKER_TOKEN": "t", "BATON_WORKER_STATE": state, "BATON_METRICS_PORT": "\(port)",
      ])
    let client = RawHTTPClient(port: port)
    try await eventually("ready") { (try? await client.send("GET", "/readyz").status) == 200 }
    #expect(try await client.send("GET", "/livez").status == 200)
    // Its own requests are counted there as well.
    let url = try #require(process.output.firstMatch(of: /url=http:[0-9.\/]+:([0-9]+)/)?.1)
    #expect(try await RawHTTPClient(port: try #require(Int(url))).send("GET", "/health").status == 200)
    let counted = #"baton_http_requests_total{route="/health",status="200"} 1"#
    #expect(try await client.send("GET", "/metrics").body.contains(counted + "\n"))
    process.signal(SIGTERM)
    #expect(await process.wait() == 0, "\(process.output)")
  }
}
