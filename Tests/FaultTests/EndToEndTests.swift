import Foundation
import Logging
import PostgresClient
import Primitives
import Reviews
import Sandbox
import Support
import Testing
import WorkerAPI
import WorkerClient

@Suite("The whole circle", .serialized, .timeLimit(.minutes(5)))
struct EndToEndTests {
  /// A pull request's event: the recorded delivery of its name, with a number, a commit and a time of its own.
  private func event(
    _ name: String, _ number: Int, _ sha: Character, at second: Int, delivery: String? = nil, draft: Bool = false,
    secret: String = RecordedWebhook.webhookSecret
  ) throws -> RecordedWebhook {
    var fields = [
      "number": "\(number)", "pull_request.number": "\(number)",
      "pull_request.html_url": "\"https://github.com/Codertocat/Hello-World/pull/\(number)\"",
      "pull_request.head.sha": "\"\(commit(number, sha))\"",
      "pull_request.updated_at": "\"2026-01-01T10:00:0\(second)Z\"", "pull_request.draft": "\(draft)",
    ]
    let recording = name == "reopened" ? "opened" : name
    fields["action"] = "\"\(name)\""
    return try .github(recording, fields, delivery: delivery, secret: secret)
  }

  private func commit(_ number: Int, _ sha: Character) -> String {
    String(repeating: sha, count: 36) + String(1_000 + number)
  }

  /// Fifty deliveries by pull request, each list in the order in which it is delivered, with the answers they get.
  private func deliveries() throws -> [[(RecordedWebhook, Int)]] {
    var lists: [[(RecordedWebhook, Int)]] = []
    for number in 101...106 {
      let id = "opened-\(number)"
      lists.append([
        (try event("opened", number, "a", at: 1, delivery: id), 202),
        (try event("opened", number, "a", at: 1, delivery: id), 200),
        (try event("synchronize", number, "c", at: 3), 202),
        // Pushed before, delivered after.
        (try event("synchronize", number, "b", at: 2), 200),
        // The same push again, by another hook.
        (try event("synchronize", number, "c", at: 3), 200),
      ])
    }
    for number in [107, 108] {
      lists.append([(try event("opened", number, "a", at: 1), 202), (try event("closed", number, "a", at: 2), 200)])
    }
    for number in [109, 110] {
      lists.append([
        (try event("opened", number, "a", at: 1), 202), (try event("closed", number, "a", at: 2), 200),
        (try event("reopened", number, "a", at: 3), 202),
      ])
    }
    for number in [111, 112] { lists.append([(try event("ready_for_review", number, "a", at: 1), 202)]) }
    for number in 121...124 {
      lists.append([(try event("opened", number, "a", at: 1, secret: "forged"), 401)])
    }
    for number in 131...134 { lists.append([(try event("opened", number, "a", at: 1, draft: true), 200)]) }
    return lists
  }

  /// The callbacks that are lost, by pull request: the worker gets an answer as if they had arrived, Baton never receives them.
  private static let lost: [Int: Set<StatusCallback.Status>] = [
    102: [.running], 103: [.completed], 104: [.running, .completed],
  ]

  @Test(
    "fifty webhooks, valid, repeated, out of order, forged and drafts, become exactly the right reviews; each runs once, to its end, and its pull request gets the feedback, although the server is killed, callbacks are lost and a start is repeated on the way"
  )
  func circle() async throws {
    let agent = try NotingAgent()
    defer { agent.remove() }
    let port = try BrokerServer.freePort()
    let settings = [
      "BATON_GITHUB_WEBHOOK_SECRET": RecordedWebhook.webhookSecret, "BATON_HTTP_PORT": "\(port)",
      "BATON_AGENT_COMMAND": agent.command, "BATON_WORKER_STATE": agent.state,
    ]
    try await withTestCluster(latency: .milliseconds(20), settings: settings) { cluster in
      var cluster = cluster
      try await cluster.addIntegration()
      let (server, _) = try await cluster.listen("serve")
      let lists = try deliveries()
      #expect(lists.flatMap(\.self).count == 50)
      try await deliver(lists, to: RawHTTPClient(port: port))
      try await expectRows(cluster)

      // The worker's callbacks reach no server for a while: it repeats them.
      await server.die()
      let ids = try await pending(cluster)
      let sink = try await lossySink(ids, port: port)
      cluster.settings["BATON_CALLBACK_URL"] = sink.url
      let (worker, workerURL) = try await cluster.listen("worker", "--port", "0", "--concurrency", "10")
      cluster.settings["BATON_WORKER_URL"] = workerURL
      let producer = try await cluster.start("produce")
      let consumer = try await cluster.start("consume")
      let reaper = try await cluster.start("reap", "--interval", "1s")
      try await eventually("all dispatched") { try await cluster.dispatchedCount() == 10 }
      try await eventually("all run") { agent.runs.count >= 10 }
      let client = try WorkerClient(
        baseURL: workerURL, token: Secret("worker-token"), timeout: .seconds(30), connectionMax: 4,
        logger: .postgresTests)
      try await postTwice(cluster, client, ids)
      agent.letGo()
      try await eventually("all ended at the worker") {
        for id in ids.values { if try await state(of: id, client) != .completed { return false } }
        return true
      }
      for id in ids.values { #expect(try await client.events(of: id).map(\.message) == NotingAgent.messages) }
      #expect(try await cluster.count("code_reviews WHERE status = 'completed'") == 0)

      let (again, _) = try await cluster.listen("serve")
      try await eventually("all completed but two") {
        let lost = Set(sink.received.map { "\($0.reviewID) \($0.callback.status)" })
        return try await cluster.count("code_reviews WHERE status = 'completed'") == 8 && lost.count == 4
      }
      try await expectLost(cluster)
      // The reaper asks for what no callback has reported.
      cluster.settings.merge(["BATON_STALE_AFTER": "1s", "BATON_RUNNING_TIMEOUT": "1s"]) { $1 }
      let asking = try await cluster.start("reap", "--interval", "1s")
      try await eventually("all completed") { try await cluster.count("code_reviews WHERE status = 'completed'") == 10 }
      try await expectFeedback(cluster)
      #expect(Set(agent.runs).count == 10 && agent.runs.count == 10, "\(agent.runs)")
      for process in [producer, consumer, reaper, asking, again, worker] { process.signal(SIGTERM) }
      for process in [producer, consumer, reaper, asking, again, worker] {
        #expect(await process.wait() == 0, "\(process.output)")
      }
      await sink.stop()
    }
  }

  /// The reviews that are to run, by their pull requests.
  private func pending(_ cluster: TestCluster) async throws -> [Int: UUID] {
    let rows = try await cluster.test.sql("SELECT pr_number, id FROM code_reviews WHERE status = 'pending'")
    return try Dictionary(
      uniqueKeysWithValues: rows.map { (Int(try $0.decode(0, as: Int32.self)), try $0.decode(1, as: UUID.self)) })
  }

  /// What stands between the worker and the server.
  private func lossySink(_ ids: [Int: UUID], port: Int) async throws -> CallbackSink {
    var lost: [UUID: Set<StatusCallback.Status>] = [:]
    for (number, statuses) in Self.lost { lost[try #require(ids[number])] = statuses }
    let client = RawHTTPClient(port: port)
    return try await CallbackSink { [lost] received in
      if lost[received.reviewID]?.contains(received.callback.status) == true { return nil }
      let headers = received.headers.filter { $0.0.lowercased() == "authorization" }
      let reply = try? await client.send("POST", received.path, headers: headers, body: received.body)
      return reply?.status ?? 502
    }
  }

  private func state(of id: UUID, _ client: WorkerClient) async throws -> RunState? {
    if case .known(let status) = await client.status(of: id) { status.status } else { nil }
  }

  /// A review whose running callback was lost went on without it; one whose completion was lost has its last reported status.
  private func expectLost(_ cluster: TestCluster) async throws {
    let rows = try await cluster.test.sql(
      """
      SELECT r.pr_number || ' ' || string_agg(t.to_status, ' ' ORDER BY t.id)
        FROM code_reviews r JOIN review_transitions t ON t.review_id = r.id
       WHERE r.pr_number IN (102, 103, 104) AND r.status <> 'cancelled'
       GROUP BY r.pr_number ORDER BY r.pr_number
      """)
    #expect(
      try rows.map { try $0.decode(0, as: String.self) } == [
        "102 pending queued completed", "103 pending queued running", "104 pending queued",
      ])
  }

  /// Pull requests at once, each one's deliveries in their order.
  private func deliver(_ lists: [[(RecordedWebhook, Int)]], to client: RawHTTPClient) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for list in lists {
        group.addTask {
          for (webhook, status) in list {
            let reply = try await client.send(webhook)
            #expect(reply.status == status, "\(reply.body)")
          }
        }
      }
      try await group.waitForAll()
    }
  }

  /// One dispatch is forgotten, as by a consumer that dies before it records it: the worker is asked to start the run again, which
  /// goes on, with what its agent has said so far, half a line among it.
  private func postTwice(_ cluster: TestCluster, _ client: WorkerClient, _ ids: [Int: UUID]) async throws {
    let id = try #require(ids[101])
    try await eventually("its agent says something") {
      try await client.events(of: id).contains { $0.message == "reading" }
    }
    try await cluster.test.sql(
      """
      UPDATE code_reviews SET dispatched_at = NULL, published_at = NULL, claimed_by = 'nobody'
       WHERE pr_number = 101 AND status = 'queued'
      """)
    try await eventually("it is dispatched again") { try await cluster.dispatchedCount() == 10 }
    #expect(try await client.events(of: id).filter { $0.message == "reading" }.count == 1)
    #expect(try await state(of: id, client) == .running)
  }

  private func expectRows(_ cluster: TestCluster) async throws {
    var expected: [String] = []
    for number in 101...106 { expected += ["\(number) a cancelled 1 superseded", "\(number) c pending 1 -"] }
    for number in [107, 108] { expected.append("\(number) a cancelled 1 pull_request_closed") }
    for number in [109, 110] { expected.append("\(number) a pending 2 -") }
    for number in [111, 112] { expected.append("\(number) a pending 1 -") }
    let rows = try await cluster.test.sql(
      """
      SELECT pr_number || ' ' || left(head_sha, 1) || ' ' || status || ' ' || attempt || ' ' || COALESCE(error_code, '-')
        FROM code_reviews ORDER BY pr_number, head_sha
      """)
    #expect(try rows.map { try $0.decode(0, as: String.self) } == expected)
    #expect(try await cluster.count("webhook_deliveries WHERE processed_at IS NULL") == 0)
    // Neither the forged ones, nor one of the same content once more, under the same id or another.
    #expect(try await cluster.count("webhook_deliveries") == 34)
  }

  /// Eyes and hooray if a review was completed, and every check at its end.
  private func expectFeedback(_ cluster: TestCluster) async throws {
    let completed = [101, 102, 103, 104, 105, 106, 109, 110, 111, 112]
    try await eventually("all feedback delivered") {
      try await cluster.count("baton_feedback WHERE due_at IS NOT NULL") == 0
    }
    let feedback = cluster.fakePlatform.feedback
    let reactions = Set(feedback.filter { $0.kind == .reaction }.map { "\($0.number) \($0.state)" })
    #expect(
      reactions == Set(completed.map { "\($0) hooray" } + completed.map { "\($0) eyes" } + ["107 eyes", "108 eyes"]))
    var ends: [String: String] = [:]
    for check in feedback where check.kind == .check { ends[check.externalID ?? ""] = check.state }
    // Drafts are not reviewed: their check says so, so that a required one does not block them.
    let excluded = ends.filter { $0.key.hasPrefix("excluded/") }
    #expect(excluded.count == 4 && excluded.values.allSatisfy { $0 == "neutral" }, "\(ends)")
    ends = ends.filter { excluded[$0.key] == nil }
    #expect(ends.values.allSatisfy { ["success", "cancelled"].contains($0) }, "\(ends)")
    #expect(ends.values.filter { $0 == "success" }.count == completed.count, "\(ends)")
    #expect(try await cluster.count("code_reviews WHERE status = 'completed' AND check_run_id IS NOT NULL") == 10)
  }
}
