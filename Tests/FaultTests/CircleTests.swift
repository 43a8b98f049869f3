import Foundation
import Logging
import PostgresClient
import Reviews
import Sandbox
import Support
import Testing
import WorkerAPI
import WorkerClient

@Suite("The whole circle", .serialized, .timeLimit(.minutes(5)))
struct CircleTests {
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

  @Test(
    "fifty webhooks, valid, repeated, out of order, forged and drafts, become exactly the right reviews; each runs once, to its end, and its pull request is told, although the server is killed on the way"
  )
  func circle() async throws {
    let agent = try NotingAgent()
    defer { agent.remove() }
    let port = try BrokerServer.freePort()
    let settings = [
      "BATON_GITHUB_WEBHOOK_SECRET": RecordedWebhook.webhookSecret, "BATON_HTTP_PORT": "\(port)",
      "BATON_AGENT_COMMAND": agent.command, "BATON_WORKER_STATE": agent.state,
    ]
    try await withPlant(latency: .milliseconds(20), settings: settings) { plant in
      var plant = plant
      try await plant.addIntegration()
      let (server, _) = try await plant.listen("serve")
      let lists = try deliveries()
      #expect(lists.flatMap(\.self).count == 50)
      try await deliver(lists, to: RawHTTPClient(port: port))
      try await expectRows(plant)

      // Nobody hears the worker's callbacks for a while: it repeats them.
      await server.die()
      let (worker, workerURL) = try await plant.listen("worker", "--port", "0", "--concurrency", "10")
      plant.settings["BATON_WORKER_URL"] = workerURL
      let producer = try await plant.start("produce")
      let consumer = try await plant.start("consume")
      let reaper = try await plant.start("reap", "--interval", "1s")
      try await eventually("all dispatched") { try await plant.dispatchedCount() == 10 }
      try await eventually("all run") { agent.runs.count >= 10 }
      try await postTwice(plant)
      agent.letGo()
      try await expectEvents(plant, of: agent.runs)
      #expect(try await plant.count("code_reviews WHERE status = 'completed'") == 0)
      let (again, _) = try await plant.listen("serve")
      try await eventually("all completed") { try await plant.count("code_reviews WHERE status = 'completed'") == 10 }
      try await expectFeedback(plant)
      #expect(Set(agent.runs).count == 10 && agent.runs.count == 10, "\(agent.runs)")
      for process in [producer, consumer, reaper, again, worker] { process.signal(SIGTERM) }
      for process in [producer, consumer, reaper, again, worker] {
        #expect(await process.wait() == 0, "\(process.output)")
      }
    }
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
  /// it has had for long, and whose words it holds, half a line among them.
  private func postTwice(_ plant: Plant) async throws {
    try await plant.test.sql(
      """
      UPDATE code_reviews SET dispatched_at = NULL, published_at = NULL, claimed_by = 'nobody'
       WHERE pr_number = 101 AND status = 'queued'
      """)
    try await eventually("it is dispatched again") { try await plant.dispatchedCount() == 10 }
  }

  /// Every run has ended at the worker, with all that its agent said.
  private func expectEvents(_ plant: Plant, of runs: [String]) async throws {
    let client = try WorkerClient(
      baseURL: try #require(plant.settings["BATON_WORKER_URL"]),
      token: Secret(try #require(plant.settings["BATON_WORKER_TOKEN"])), timeout: .seconds(30), connectionMax: 4,
      logger: .postgresTests)
    for run in runs {
      let id = try #require(UUID(uuidString: run))
      try await eventually("it has ended") {
        if case .known(let status) = await client.status(of: id) { status.status == .completed } else { false }
      }
      #expect(try await client.events(of: id).map(\.message) == NotingAgent.messages)
    }
  }

  private func expectRows(_ plant: Plant) async throws {
    var expected: [String] = []
    for number in 101...106 { expected += ["\(number) a cancelled 1 superseded", "\(number) c pending 1 -"] }
    for number in [107, 108] { expected.append("\(number) a cancelled 1 pull_request_closed") }
    for number in [109, 110] { expected.append("\(number) a pending 2 -") }
    for number in [111, 112] { expected.append("\(number) a pending 1 -") }
    let rows = try await plant.test.sql(
      """
      SELECT pr_number || ' ' || left(head_sha, 1) || ' ' || status || ' ' || attempt || ' ' || COALESCE(error_code, '-')
        FROM code_reviews ORDER BY pr_number, head_sha
      """)
    #expect(try rows.map { try $0.decode(0, as: String.self) } == expected)
    #expect(try await plant.count("webhook_deliveries WHERE processed_at IS NULL") == 0)
    #expect(try await plant.count("webhook_deliveries") == 40)
  }

  /// Eyes and hooray where a review was completed, and every check at its end.
  private func expectFeedback(_ plant: Plant) async throws {
    let completed = [101, 102, 103, 104, 105, 106, 109, 110, 111, 112]
    try await eventually("all feedback told") { try await plant.count("baton_feedback WHERE due_at IS NOT NULL") == 0 }
    let feedback = plant.standIn.feedback
    let reactions = Set(feedback.filter { $0.kind == .reaction }.map { "\($0.number) \($0.state)" })
    #expect(
      reactions == Set(completed.map { "\($0) hooray" } + completed.map { "\($0) eyes" } + ["107 eyes", "108 eyes"]))
    var ends: [String: String] = [:]
    for check in feedback where check.kind == .check { ends[check.externalID ?? ""] = check.state }
    #expect(ends.values.allSatisfy { ["success", "cancelled"].contains($0) }, "\(ends)")
    #expect(ends.values.filter { $0 == "success" }.count == completed.count, "\(ends)")
    #expect(try await plant.count("code_reviews WHERE status = 'completed' AND check_run_id IS NOT NULL") == 10)
  }
}
