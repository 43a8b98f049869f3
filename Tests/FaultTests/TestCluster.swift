import Foundation
import Logging
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Sandbox
import Support

/// All of Baton around a test: a database and a queue of its own, a scripted worker with a ledger, a stand-in for GitHub, and the
/// real executable in as many processes as the test starts.
struct TestCluster {
  let test: TestStore
  let worker: ScriptedWorker
  let fakePlatform: FakePlatform
  var settings: [String: String]

  /// Starts a role as a process of its own.
  /// - Returns: the process, when it has started its services.
  func start(_ arguments: String..., settings more: [String: String] = [:]) async throws -> BatonProcess {
    let process = try BatonProcess(arguments, settings: settings.merging(more) { $1 })
    try await eventually("\(arguments) has started") { process.output.contains("started") }
    return process
  }

  /// Runs a one-shot command.
  /// - Returns: its exit status and all that it printed.
  func run(
    _ arguments: String..., settings more: [String: String] = [:]
  ) async throws -> (status: Int32, output: String) {
    let process = try BatonProcess(arguments, settings: settings.merging(more) { $1 })
    let status = await process.wait()
    return (status, process.output)
  }

  /// How many of the reviews the worker has been given.
  func dispatchedCount() async throws -> Int {
    try await test.sql("SELECT count(*)::int FROM code_reviews WHERE dispatched_at IS NOT NULL")[0].decode(
      0, as: Int32.self
    )
    .asInt
  }

  /// `BATON_API_TOKEN` of every server.
  static let apiToken = "the-token-of-the-tests"

  /// Reviews that the worker has begun more than once for the same attempt, or with an attempt other than the first.
  var doubleRuns: [String] { worker.runCounts.filter { $0.value != 1 || !$0.key.hasSuffix("/1") }.map(\.key) }
}

extension Int32 {
  fileprivate var asInt: Int { Int(self) }
}

/// Runs the body with processes of every role, and stops them.
/// - Parameters:
///   - latency: of each call of GitHub's stand-in.
///   - server: the URL of a Postgres server of the test's own.
func withTestCluster<Result>(
  latency: Duration = .milliseconds(200), on server: String? = nil, settings more: [String: String] = [:],
  _ body: (TestCluster) async throws -> Result
) async throws -> Result {
  let token = "worker-token"
  let worker = try await ScriptedWorker(token: token)
  let (bound, continuation) = AsyncStream.makeStream(of: Int.self)
  let fakePlatform = FakePlatform(latency: latency...latency, logger: .postgresTests) { continuation.yield($0) }
  let serving = Task { try await fakePlatform.run() }
  defer { serving.cancel() }
  let port = await bound.first { _ in true } ?? 0
  do {
    let result = try await withTestStore(on: server) { test in
      let settings = [
        "BATON_DATABASE_URL": test.conninfo,
        "BATON_AMQP_URL": try postgresTestVariable("BATON_TEST_AMQP_URL"),
        "BATON_QUEUE": "fault-\(UUID().uuidString)",
        "BATON_WORKER_URL": worker.url,
        "BATON_WORKER_TOKEN": token,
        "BATON_GITHUB_API_URL": "http://127.0.0.1:\(port)",
        "BATON_ENCRYPTION_KEY": Data(repeating: 7, count: 32).base64EncodedString(),
        "BATON_API_TOKEN": TestCluster.apiToken,
        // No load balancer has to notice the end of a server.
        "BATON_DRAIN_DELAY": "0",
      ].merging(more) { $1 }
      let cluster = TestCluster(test: test, worker: worker, fakePlatform: fakePlatform, settings: settings)
      let migrated = try await cluster.run("migrate")
      guard migrated.status == 0 else { throw CommandFailed(output: migrated.output) }
      return try await body(cluster)
    }
    await worker.stop()
    return result
  } catch {
    await worker.stop()
    throw error
  }
}

struct CommandFailed: Error, CustomStringConvertible {
  let output: String
  var description: String { output }
}
