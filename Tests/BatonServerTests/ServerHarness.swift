import BatonServer
import Foundation
import HTTPKit
import Logging
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support
import Telemetry
import WorkerAPI

/// A server on a free port whose Postgres cannot be reached: what does not need the database works, the rest is a 503.
struct ServerHarness {
  let client: RawHTTPClient
  let registry: PrometheusRegistry
  let readiness: Readiness
  /// The templates of all its paths.
  let paths: [String]

  /// What its client sends, unless a test has a token of its own.
  static let token = "the token of the tests"
  static let key = AuthKey(encryptionKey: Array(repeating: 7, count: 32))
  static let silent = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }
}

/// Runs the body with a server, and stops it afterwards.
/// - Parameter apiToken: of the test's own; then the client sends none by itself.
func withServer(
  apiToken: Secret? = nil, readToken: Secret? = nil, proxies: TrustedProxies = TrustedProxies(),
  loginLink: LoginLink? = nil, callbackSecret: Secret? = nil, authKey: AuthKey? = nil,
  queue: QueueFigures? = nil, webhooks: WebhookSecrets = WebhookSecrets(),
  _ body: @Sendable (ServerHarness) async throws -> Void
) async throws {
  var postgres = PostgresConfiguration(conninfo: "postgresql://127.0.0.1:1/none", applicationName: "tests")
  postgres.acquireTimeout = .milliseconds(100)
  let pool = PostgresPool(postgres, logger: ServerHarness.silent)
  let registry = PrometheusRegistry()
  let readiness = Readiness()
  let (ports, bound) = AsyncStream.makeStream(of: Int.self)
  let server = BatonServer(
    configuration: .init(
      host: "127.0.0.1", port: 0, apiToken: SecretList(apiToken ?? Secret(ServerHarness.token)),
      readToken: readToken.map { SecretList($0) }, proxies: proxies, loginLink: loginLink,
      callbackSecret: callbackSecret.map { SecretList($0) }, authKeys: authKey.map { [$0] } ?? [],
      webhooks: webhooks, heartbeatTimeout: WatchPolicy.sample.times.heartbeatTimeout, watch: .sample),
    store: ReviewStore(pool: pool, logger: ServerHarness.silent), queueStats: { queue },
    deadLetters: DeadLetterAccess(peek: { _ in [] }, delete: { _, _ in 0 }), metrics: BatonMetrics(factory: registry),
    registry: registry, readiness: readiness,
    logger: ServerHarness.silent, onBound: { port in bound.yield(port) })
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask {
      defer { bound.finish() }
      try await server.run()
    }
    var iterator = ports.makeAsyncIterator()
    guard let port = await iterator.next() else { throw NoReply(request: "the server's start") }
    let harness = ServerHarness(
      client: RawHTTPClient(port: port, bearer: apiToken == nil ? ServerHarness.token : nil), registry: registry,
      readiness: readiness, paths: server.paths.map(\.template))
    try await body(harness)
    group.cancelAll()
    while let ended = await group.nextResult() { _ = ended }
    await pool.close()
  }
}

extension HTTPReply {
  /// The body as an object.
  var json: [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(body.utf8))) as? [String: Any] ?? [:]
  }

  var faults: [String] { json["faults"] as? [String] ?? [] }
}

/// A well-formed review.
let reviewJSON = """
  {"owner":{"type":"org","id":"acme"},"platform":"github","repoFullName":"acme/shop","prNumber":7,
   "prUrl":"https://github.com/acme/shop/pull/7","prTitle":"Faster","prAuthor":"ann","baseRef":"main","headRef":"fast",
   "headSha":"0123456789abcdef0123456789abcdef01234567"}
  """

extension WatchPolicy {
  /// Of servers in tests.
  static let sample = WatchPolicy(
    times: ReapTimes(
      heartbeatTimeout: .seconds(15), publishGrace: .seconds(15), staleAfter: .seconds(300),
      runningTimeout: .seconds(1_800)),
    ownerLimit: 20, queue: "baton.reviews")
}
