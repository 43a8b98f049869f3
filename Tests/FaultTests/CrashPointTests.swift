import CrashPoints
import Foundation
import Platforms
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Sandbox
import Support
import Testing
import WorkerAPI

/// A process ends by itself behind one exact step, as by `kill -9`.
@Suite("Crash points", .serialized, .timeLimit(.minutes(5)))
struct CrashPointTests {
  /// The steps of a review's path, each with the role that reaches it.
  private static let path: [(point: CrashPoint, role: [String])] = [
    (.claimed, ["produce"]), (.confirmed, ["produce"]), (.leased, ["consume"]), (.prepared, ["consume"]),
    (.posted, ["consume"]), (.answered, ["consume"]), (.recorded, ["consume"]), (.reaped, reaper),
  ]
  private static let reaper = ["reap", "--interval", "1s"]

  /// The steps next to each other: most of the time each waits until the death of its process is sure.
  @Test("whatever step a process dies behind, others take over, and each review is sent, runs and ends once")
  func path() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (point, role) in Self.path { group.addTask { try await Self.survive(point, role) } }
      try await group.waitForAll()
    }
  }

  private static func survive(_ point: CrashPoint, _ role: [String]) async throws {
    try await withTestCluster(latency: .zero, settings: ["BATON_RETRY_BASE": "200ms"]) { cluster in
      let ids = try await cluster.test.insert(3)
      var processes: [BatonProcess] = []
      if role == ["consume"] { processes.append(try await cluster.start("produce")) }
      // What a reaper takes: claims of a producer that is gone.
      if point == .reaped { try await cluster.die(["produce"], behind: .claimed) }
      try await cluster.die(role, behind: point)
      if role != ["consume"] { processes.append(try await cluster.start("produce")) }
      processes += [try await cluster.start("consume"), try await cluster.start("reap", "--interval", "1s")]
      try await eventually("\(point): all dispatched") { try await cluster.dispatchedCount() == 3 }
      #expect(Set(cluster.worker.starts.map(\.reviewID)) == Set(ids) && cluster.worker.starts.count == 3, "\(point)")
      #expect(cluster.worker.runCounts.count == 3 && cluster.doubleRuns.isEmpty, "\(point)")
      for id in ids {
        #expect(try await cluster.test.store.report(id, .init(status: .completed, attempt: 1)) == .applied, "\(point)")
      }
      #expect(try await cluster.count("review_transitions WHERE to_status = 'completed'") == 3, "\(point)")
      for process in processes { process.signal(SIGTERM) }
      for process in processes { #expect(await process.wait() == 0, "\(point): \(process.output)") }
    }
  }

  @Test("a migration that dies between two steps leaves an earlier version, from which the next one goes on")
  func migration() async throws {
    try await withTestDatabase { conninfo in
      let settings = [
        "BATON_DATABASE_URL": conninfo, "BATON_AMQP_URL": try postgresTestVariable("BATON_TEST_AMQP_URL"),
        "BATON_QUEUE": "crash-\(UUID().uuidString)",
      ]
      let pool = PostgresPool(testConfiguration(conninfo), logger: .postgresTests)
      func versions() async throws -> [Int] {
        try await pool.query(PostgresStatement(unprepared: "SELECT version FROM baton_migrations ORDER BY version"))
          .map { Int(try $0.decode(0, as: Int32.self)) }
      }
      for last in 1...3 {
        let process = try BatonProcess(["migrate"], settings: settings.merging(CrashPoint.migrated.setting) { $1 })
        #expect(await process.wait() == -SIGKILL, "\(process.output)")
        #expect(try await versions() == Array(1...last))
      }
      let process = try BatonProcess(["migrate"], settings: settings)
      #expect(await process.wait() == 0, "\(process.output)")
      #expect(try await versions() == Array(1...Migrator.version))
      await pool.close()
    }
  }

  @Test("a GitLab token that was renewed and not stored is made again, and the review is sent with one that works")
  func rotation() async throws {
    try await withTestCluster(latency: .zero, settings: ["BATON_GITLAB_HOSTS": "127.0.0.1"]) { cluster in
      cluster.fakePlatform.setToken("glpat-ann", FakeToken(id: 7, username: "ann", isMaintainer: true))
      let integration = try await cluster.addGitLab("glpat-ann")
      let producer = try await cluster.start("produce")
      let first = try await cluster.start("consume")
      let token = try await cluster.tokenSent(by: integration, number: 1)
      first.signal(SIGTERM)
      #expect(await first.wait() == 0, "\(first.output)")

      var ending = try #require(cluster.fakePlatform.token(token))
      ending.expiresAt = String(Date().addingTimeInterval(86_400).formatted(.iso8601).prefix(10))
      cluster.fakePlatform.setToken(token, ending)
      try await cluster.insertMergeRequest(2, integration)
      try await cluster.die(["consume"], behind: .rotated)
      #expect(cluster.fakePlatform.token(token)?.isRevoked == true)

      let second = try await cluster.start("consume")
      try await eventually("dispatched") { try await cluster.dispatchedCount() == 2 }
      let other = try #require(cluster.worker.starts.last?.request.sessionInput.gitToken)
      #expect(other != token && cluster.fakePlatform.token(other)?.isRevoked == false)
      #expect(cluster.worker.starts.count == 2 && cluster.doubleRuns.isEmpty)
      for process in [producer, second] {
        process.signal(SIGTERM)
        #expect(await process.wait() == 0, "\(process.output)")
      }
    }
  }
}

extension CrashPoint {
  /// Chooses it for a process.
  fileprivate var setting: [String: String] { ["BATON_TEST_CRASH_POINT": rawValue] }
}

extension TestCluster {
  /// Starts a role that ends behind a step, and waits until it has.
  fileprivate func die(_ role: [String], behind point: CrashPoint) async throws {
    let process = try BatonProcess(role, settings: settings.merging(point.setting) { $1 })
    #expect(await process.wait() == -SIGKILL, "\(role) \(point): \(process.output)")
  }

  /// An integration of `org:acme` at the stand-in for GitLab.
  fileprivate func addGitLab(_ token: String) async throws -> UUID {
    let id = UUID()
    try await test.store.setConfiguration("{}", of: Owner(type: .org, id: "acme"), platform: .gitlab)
    try await test.pool.query(
      PostgresStatement(
        unprepared: """
          INSERT INTO platform_integrations (id, owner_type, owner_id, platform, instance_url, token_ciphertext)
          VALUES ($1, 'org', 'acme', 'gitlab', $2, $3)
          """),
      [
        id, settings["BATON_GITHUB_API_URL"],
        try TokenCipher(key: Array(repeating: 7, count: 32)).seal(Secret(token), for: id),
      ])
    return id
  }

  fileprivate func insertMergeRequest(_ number: Int, _ integration: UUID) async throws {
    try await test.sql(
      """
      INSERT INTO code_reviews (owner_type, owner_id, platform, platform_integration_id, platform_project_id,
                                repo_full_name, pr_number, pr_url, pr_title, pr_author, base_ref, head_ref, head_sha)
      VALUES ('org', 'acme', 'gitlab', '\(integration.lowercase)', 278964, 'acme/shop', \(number),
              '\(settings["BATON_GITHUB_API_URL"] ?? "")/acme/shop/-/merge_requests/\(number)', 'Faster', 'ann', 'main', 'fast',
              md5('\(number)'))
      """)
  }

  /// The token that the next review is sent with.
  fileprivate func tokenSent(by integration: UUID, number: Int) async throws -> String {
    try await insertMergeRequest(number, integration)
    try await eventually("dispatched") { try await dispatchedCount() == number }
    return try #require(worker.starts.last?.request.sessionInput.gitToken)
  }
}
