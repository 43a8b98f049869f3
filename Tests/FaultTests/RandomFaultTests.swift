import AMQPClient
import Foundation
import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

/// The invariants under random faults, for the cases that no single fault test covers.
@Suite("Random faults", .serialized, .timeLimit(.minutes(10)))
struct RandomFaultTests {
  private enum Fault: CaseIterable {
    case kill, terminate, pause, cutDatabase, purgeQueue
  }

  /// What runs, each with the arguments that start it again.
  private static let roles = [
    ["produce"], ["produce"], ["consume", "--prefetch", "6"], ["consume", "--prefetch", "6"],
    ["consume", "--prefetch", "6"], ["reap", "--interval", "1s"], ["reap", "--interval", "2s"],
  ]
  private static let owners = ["ada", "bob", "cy"]
  private static let ownerLimit = 8
  private static let reviewsOfOwner = 40
  private static let faultCount = 14

  @Test("processes die, sleep or are cut off at any time: every review runs once, and no owner ever exceeds its limit")
  func randomFaults() async throws {
    let number = SeededGenerator.seed()
    var random = SeededGenerator(seed: number)
    let seed = Comment("BATON_TEST_SEED=\(number)")
    let settings = [
      "BATON_OWNER_LIMIT": "\(Self.ownerLimit)", "BATON_LEASE": "3s", "BATON_PUBLISH_GRACE": "3s",
      "BATON_STALE_AFTER": "10s", "BATON_POLL_INTERVAL": "1s", "BATON_PREPARE_TIMEOUT": "15s",
    ]
    try await withTestCluster(latency: .milliseconds(60), settings: settings) { cluster in
      var processes: [BatonProcess] = []
      for role in Self.roles { processes.append(try await Self.start(role, cluster)) }
      for owner in Self.owners { _ = try await cluster.test.insert(Self.reviewsOfOwner, owner: owner) }
      let worker = Task { try await Self.finishRuns(cluster) }
      defer { worker.cancel() }
      for _ in 0..<Self.faultCount {
        // Faults come at any moment of the work: the pause between them is no wait for anything.
        try await Task.sleep(for: .milliseconds(Int.random(in: 50...900, using: &random)))
        let index = Int.random(in: 0..<processes.count, using: &random)
        switch Fault.allCases.randomElement(using: &random) ?? .kill {
        case .kill:
          await processes[index].die()
          processes[index] = try await Self.start(Self.roles[index], cluster)
        case .terminate:
          processes[index].signal(SIGTERM)
          #expect(await processes[index].wait() == 0, "\(processes[index].output)")
          processes[index] = try await Self.start(Self.roles[index], cluster)
        case .pause:
          // Sometimes longer than its lease: it wakes up as a zombie.
          processes[index].signal(SIGSTOP)
          try await Task.sleep(for: .milliseconds(Int.random(in: 200...4_500, using: &random)))
          processes[index].signal(SIGCONT)
        case .cutDatabase:
          try await cluster.test.sql(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE 'baton %' AND pid <> pg_backend_pid()
               AND random() < 0.5
            """)
        case .purgeQueue: try await Self.purge(cluster)
        }
      }
      let total = Self.owners.count * Self.reviewsOfOwner
      try await eventually("all \(total) have completed (\(seed))") {
        try await Self.count(cluster, "status = 'completed'") == total
      }
      #expect(cluster.worker.runCounts.count == total, seed)
      #expect(cluster.doubleRuns.isEmpty, seed)
      #expect(try await Self.count(cluster, "lease_owner IS NOT NULL") == 0, seed)
      #expect(try await Self.mostAtOnce(cluster) <= Self.ownerLimit, seed)
      for process in processes { process.signal(SIGTERM) }
      for process in processes { #expect(await process.wait() == 0, "\(process.output)") }
    }
  }

  private static func start(_ arguments: [String], _ cluster: TestCluster) async throws -> BatonProcess {
    let process = try BatonProcess(arguments, settings: cluster.settings)
    try await eventually("\(arguments) has started") { process.output.contains("started") }
    return process
  }

  /// What the worker's callbacks do: ends a run some time after it was dispatched, so that slots are freed and used again.
  private static func finishRuns(_ cluster: TestCluster) async throws {
    while !Task.isCancelled {
      try await Task.sleep(for: .milliseconds(100))
      let rows = try await cluster.test.sql(
        "SELECT id FROM code_reviews WHERE status = 'queued' AND dispatched_at IS NOT NULL ORDER BY random() LIMIT 6")
      for row in rows {
        let report = RunReport(status: .completed, attempt: 1)
        _ = try await cluster.test.store.report(try row.decode(0, as: UUID.self), report)
      }
    }
  }

  private static func purge(_ cluster: TestCluster) async throws {
    let configuration = try AMQPConfiguration(
      urls: try #require(cluster.settings["BATON_AMQP_URL"]), connectionName: "random-faults")
    let connection = try await AMQPConnection.connect(configuration, logger: .postgresTests)
    _ = try await connection.purge(try #require(cluster.settings["BATON_QUEUE"]))
    await connection.close()
  }

  private static func count(_ cluster: TestCluster, _ condition: String) async throws -> Int {
    Int(
      try await cluster.test.sql("SELECT count(*) FROM code_reviews WHERE \(condition)")[0].decode(0, as: Int64.self))
  }

  /// The most reviews of one owner that were ever queued or running together, by the recorded transitions. Their numbers stand in
  /// the order in which the changes could be seen: a claim that counts on a slot draws its number after the one that freed it.
  private static func mostAtOnce(_ cluster: TestCluster) async throws -> Int {
    let rows = try await cluster.test.sql(
      """
      SELECT max(active)
        FROM (SELECT sum((t.to_status IN ('queued', 'running'))::int
                         - COALESCE(t.from_status IN ('queued', 'running'), false)::int)
                       OVER (PARTITION BY r.owner_id ORDER BY t.id) AS active
                FROM review_transitions t
                JOIN code_reviews r ON r.id = t.review_id) s
      """)
    return Int(try rows[0].decode(0, as: Int64.self))
  }
}
