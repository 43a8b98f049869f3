import AsyncHTTPClient
import FoundationEssentials
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import Primitives
import ReferenceWorker
import Reviews
import ServiceLifecycle
import Synchronization
import Testing
import WorkerAPI
import WorkerClient

let token = Secret("sesame-open-4711")

/// A reference worker on a free port, with a receiver of its callbacks.
struct TestWorker: Sendable {
  let url: String
  let client: WorkerClient
  let callbacks: CallbackReceiver
  let services: ServiceGroup

  /// Runs a worker while the body runs, then shuts it down gracefully.
  static func run(
    _ change: (inout WorkerConfiguration) -> Void = { _ in }, callbacks: CallbackReceiver = CallbackReceiver(),
    _ body: @escaping @Sendable (TestWorker) async throws -> Void
  ) async throws {
    let (ports, bound) = AsyncStream.makeStream(of: Int.self)
    let callbackPort = try await callbacks.listen()
    var configuration = WorkerConfiguration(token: token, statePath: try makeFolder() + "/state.sqlite")
    configuration.environment = ["PATH": "/usr/bin:/bin", "HOME": "/tmp", "BATON_ENCRYPTION_KEY": "hidden"]
    configuration.callbackURL = "http://127.0.0.1:\(callbackPort)/base/"
    configuration.drainTimeout = .seconds(1)
    configuration.killGrace = .milliseconds(300)
    configuration.onBound = { bound.yield($0) }
    change(&configuration)
    var quiet = Logger(label: "worker")
    quiet.logLevel = .critical
    let services = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: [.init(service: ReferenceWorker(configuration: configuration, logger: quiet))], logger: quiet))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await services.run() }
      var iterator = ports.makeAsyncIterator()
      let port = try #require(await iterator.next())
      let client = try WorkerClient(
        baseURL: "http://127.0.0.1:\(port)", token: token, timeout: .seconds(30), connectionMax: 64, logger: quiet)
      let worker = TestWorker(
        url: "http://127.0.0.1:\(port)", client: client, callbacks: callbacks, services: services)
      do {
        try await body(worker)
      } catch {
        await services.triggerGracefulShutdown()
        throw error
      }
      await services.triggerGracefulShutdown()
      try await group.waitForAll()
    }
    await callbacks.stop()
  }

  func start(_ request: StartRequest, trace: TraceContext? = nil) async -> DispatchOutcome {
    await client.start(request.encode(), reviewID: request.reviewId, attempt: request.attempt, trace: trace)
  }

  func state(of id: UUID) async -> RunState? {
    if case .known(let status) = await client.status(of: id) { status.state } else { nil }
  }

  func status(of id: UUID) async throws -> RunStatus {
    guard case .known(let status) = await client.status(of: id) else { throw NotKnown() }
    return status
  }

  struct NotKnown: Error {}

  /// One request as it stands, for what the client would never send.
  func raw(
    _ method: String, _ path: String, body: [UInt8] = [], token: String? = token.reveal(),
    headers: [(String, String)] = []
  ) async throws -> (status: Int, error: String?) {
    var request = HTTPClientRequest(url: url + path)
    request.method = HTTPMethod(rawValue: method)
    if let token { request.headers.add(name: "authorization", value: "Bearer \(token)") }
    for (name, value) in headers { request.headers.add(name: name, value: value) }
    if !body.isEmpty { request.body = .bytes(ByteBuffer(bytes: body)) }
    let response = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
    let answer = try await response.body.collect(upTo: 1 << 20)
    return (
      Int(response.status.code), try? JSONDecoder().decode(ErrorBody.self, from: Data(answer.readableBytesView)).error
    )
  }
}

/// A new folder for a worker's state, or for what a test's agents write.
func makeFolder() throws -> String {
  let path = "/tmp/baton-worker-test-\(UUID().lowercase)"
  try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  return path
}

extension RunStatus {
  var state: RunState { status }
}

func startRequest(_ id: UUID = UUID(), attempt: Int = 1, minutes: Int = 10, prompt: String = "Review.") -> StartRequest
{
  StartRequest(
    reviewId: id, attempt: attempt, authToken: "jwt-of-\(id.lowercase)-\(attempt)",
    sessionInput: SessionInput(
      githubRepo: "acme/shop", prompt: prompt, model: "model-1", platform: .github, upstreamBranch: "feature",
      githubToken: "ghs_0123456789"), owner: RunOwner(type: .org, id: "acme"), agentVersion: "7",
    maxReviewTimeMinutes: minutes)
}
