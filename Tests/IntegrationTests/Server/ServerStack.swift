import BatonServer
import Foundation
import Logging
import Platforms
import PostgresClient
import Primitives
import ReviewQueue
import ReviewStore
import Reviews
import Support
import Synchronization
import Telemetry
import WorkerAPI
import WorkerClient

/// A server with a migrated database of its own.
struct ServerStack {
  let client: RawHTTPClient
  let store: ReviewStore
  let pool: PostgresPool
  let conninfo: String

  static let secret = "c4llback"
  /// What its client sends, unless a test has a token of its own.
  static let token = "the token of the tests"
  static let key = AuthKey(encryptionKey: Array(repeating: 7, count: 32))
  static let cipher = TokenCipher(key: Array(repeating: 7, count: 32))
  static let silent = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }

  /// Runs one statement of the test's own.
  func run(_ sql: String) async throws {
    try await pool.query(PostgresStatement(unprepared: sql))
  }

  /// Submits a review by HTTP.
  /// - Parameter sha: the one difference between a test's reviews.
  func submit(_ sha: String, headers: [(String, String)] = []) async throws -> UUID {
    let reply = try await client.send("POST", "/api/reviews", headers: headers, body: Self.review(sha))
    guard reply.status == 201, let text = reply.object["id"] as? String, let id = UUID(uuidString: text) else {
      throw NoReply(request: "submit \(sha): \(reply.status) \(reply.body)")
    }
    return id
  }

  /// Reports on a run with the shared secret.
  func callback(_ id: UUID, _ body: String) async throws -> HTTPReply {
    try await client.send(
      "POST", "/api/internal/code-review-status/\(id.lowercase)", headers: [("X-Internal-Secret", Self.secret)],
      body: Array(body.utf8))
  }

  static func review(_ sha: String, repository: String = "acme/shop", owner: String = "acme") -> [UInt8] {
    Array(
      """
      {"owner":{"type":"org","id":"\(owner)"},"platform":"github","repoFullName":"\(repository)","prNumber":7,
       "prUrl":"https://github.com/acme/shop/pull/7","prTitle":"Faster","prAuthor":"ann","baseRef":"main",
       "headRef":"fast","headSha":"\(sha)","priority":3}
      """.utf8)
  }
}

/// Runs the body with a server, and stops it and drops its database afterwards.
/// - Parameter apiToken: of the test's own; then the client sends none by itself.
func withServerStack(
  queue: QueueFigures? = nil, deadLetters: [DeadLetter] = [], acquireTimeout: Duration = .seconds(20),
  worker: WorkerClient? = nil,
  apiToken: SecretList? = nil, readToken: Secret? = nil, proxies: TrustedProxies = TrustedProxies(),
  loginLink: LoginLink? = nil, webhookSecret: Secret? = Secret(RecordedWebhook.webhookSecret),
  webhookSecrets: SecretList? = nil, webhookPolicy: WebhookPolicy = WebhookPolicy(),
  callbackSecrets: SecretList? = nil, authKeys: [AuthKey] = [ServerStack.key],
  _ body: @escaping @Sendable (ServerStack) async throws -> Void
) async throws {
  try await withTestDatabase { conninfo in
    var configuration = testConfiguration(conninfo)
    configuration.sessionSettings = ReviewStore.sessionSettings
    configuration.acquireTimeout = acquireTimeout
    let pool = PostgresPool(configuration, logger: ServerStack.silent)
    _ = try await Migrator(pool: pool).migrate()
    let store = ReviewStore(pool: pool, logger: ServerStack.silent)
    let result = await Swift.Result {
      try await withServer(
        of: conninfo, store, pool, queue: queue, deadLetters: deadLetters, worker: worker, apiToken: apiToken,
        readToken: readToken, proxies: proxies, loginLink: loginLink,
        webhookSecrets: webhookSecrets ?? webhookSecret.map { SecretList($0) }, webhookPolicy: webhookPolicy,
        callbackSecrets: callbackSecrets,
        authKeys: authKeys, body)
    }
    await pool.close()
    try result.get()
  }
}

/// A dead-letter queue without a broker.
private final class DeadLetters: Sendable {
  private let left: Mutex<[DeadLetter]>

  init(_ letters: [DeadLetter]) { left = Mutex(letters) }

  var access: DeadLetterAccess {
    DeadLetterAccess(
      peek: { limit in self.left.withLock { Array($0.prefix(limit)) } },
      delete: { id, _ in
        self.left.withLock { letters in
          let count = letters.count
          letters.removeAll { $0.messageId == id }
          return count - letters.count
        }
      })
  }
}

/// Runs the body with a server, perhaps one of several, of a database that is there, and stops it afterwards.
func withServer(
  of conninfo: String, _ store: ReviewStore, _ pool: PostgresPool, queue: QueueFigures? = nil,
  deadLetters: [DeadLetter] = [], worker: WorkerClient? = nil, apiToken: SecretList? = nil, readToken: Secret? = nil,
  proxies: TrustedProxies = TrustedProxies(), loginLink: LoginLink? = nil,
  webhookSecrets: SecretList? = SecretList(Secret(RecordedWebhook.webhookSecret)),
  webhookPolicy: WebhookPolicy = WebhookPolicy(), callbackSecrets: SecretList? = nil,
  authKeys: [AuthKey] = [ServerStack.key],
  _ body: @escaping @Sendable (ServerStack) async throws -> Void
) async throws {
  let registry = PrometheusRegistry()
  let (ports, bound) = AsyncStream.makeStream(of: Int.self)
  let server = BatonServer(
    configuration: .init(
      host: "127.0.0.1", port: 0, apiToken: apiToken ?? SecretList(Secret(ServerStack.token)),
      readToken: readToken.map { SecretList($0) }, proxies: proxies, loginLink: loginLink,
      callbackSecret: callbackSecrets ?? SecretList(Secret(ServerStack.secret)), authKeys: authKeys,
      webhooks: WebhookSecrets(
        github: webhookSecrets, gitlab: webhookSecrets, cipher: ServerStack.cipher),
      webhookPolicy: webhookPolicy, heartbeatTimeout: WatchPolicy.sample.times.heartbeatTimeout, watch: .sample,
      administration: AdministrationPolicy(
        cipher: ServerStack.cipher, eventHosts: ["127.0.0.1", "hooks.example.com"])),
    store: store, worker: worker, queueStats: { queue }, deadLetters: DeadLetters(deadLetters).access,
    metrics: BatonMetrics(factory: registry),
    registry: registry, readiness: Readiness(), logger: ServerStack.silent, onBound: { port in bound.yield(port) })
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask {
      defer { bound.finish() }
      try await server.run()
    }
    var iterator = ports.makeAsyncIterator()
    guard let port = await iterator.next() else { throw NoReply(request: "the server's start") }
    let stack = ServerStack(
      client: RawHTTPClient(port: port, bearer: apiToken == nil ? ServerStack.token : nil), store: store, pool: pool,
      conninfo: conninfo)
    let result = await Swift.Result { try await body(stack) }
    group.cancelAll()
    while let ended = await group.nextResult() { _ = ended }
    try result.get()
  }
}

extension Swift.Result where Failure == any Error {
  fileprivate init(_ body: () async throws -> Success) async {
    do { self = .success(try await body()) } catch { self = .failure(error) }
  }
}

extension HTTPReply {
  /// The body as an object.
  var object: [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(body.utf8))) as? [String: Any] ?? [:]
  }

  /// The reviews of a page.
  var reviews: [[String: Any]] { object["reviews"] as? [[String: Any]] ?? [] }
}

extension WatchPolicy {
  /// Of servers in tests.
  static let sample = WatchPolicy(
    times: ReapTimes(
      heartbeatTimeout: .seconds(15), publishGrace: .seconds(15), staleAfter: .seconds(300),
      runningTimeout: .seconds(1_800)),
    ownerLimit: 20, queue: "baton.reviews")
}
