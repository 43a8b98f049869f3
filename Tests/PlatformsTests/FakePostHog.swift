import AsyncHTTPClient
import Foundation
import HTTPTrust
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Primitives
import Reviews
import ServiceLifecycle
import Synchronization

@testable import Platforms

/// Answers PostHog's flags endpoint as a test scripts it, and remembers who was asked for.
final class FakePostHog: Sendable {
  enum Answer: Sendable {
    case json(String)
    case status(Int)
    /// Nothing, until the caller gives up.
    case silence
  }

  private struct State {
    var answer = Answer.json(#"{"flags":{}}"#)
    var bodies: [JSONValue] = []
  }

  private let state = Mutex(State())

  /// The bodies of all calls so far.
  var bodies: [JSONValue] { state.withLock { $0.bodies } }

  func answer(with answer: Answer) { state.withLock { $0.answer = answer } }

  /// A variant of the flag, as PostHog answers; nil if it is on without one.
  func answer(isEnabled: Bool, variant: String? = nil) {
    let text = variant.map { "\"\($0)\"" } ?? "null"
    answer(
      with: .json(
        #"{"flags":{"baton-agent-version":{"key":"baton-agent-version","enabled":\#(isEnabled),"variant":\#(text),"#
          + #""reason":{"code":"condition_match"}}},"errorsWhileComputingFlags":false,"requestId":"r"}"#))
  }

  private func handle(_ request: Request) async throws -> Response {
    let bytes = try await request.body.collect(upTo: 65_536)
    let body = try JSONDecoder().decode(JSONValue.self, from: Data(bytes.readableBytesView))
    let answer = state.withLock {
      $0.bodies.append(body)
      return $0.answer
    }
    guard request.uri.path == "/ph/flags", request.uri.queryParameters["v"] == "2" else {
      return Response(status: .notFound)
    }
    switch answer {
    case .json(let text):
      return Response(
        status: .ok, headers: [.contentType: "application/json"], body: .init(byteBuffer: ByteBuffer(string: text)))
    case .status(let status): return Response(status: .init(code: status))
    case .silence:
      try await Task.sleep(for: .seconds(3600))
      return Response(status: .ok)
    }
  }

  /// Runs the stand-in on a free port for the body.
  static func run(
    _ body: @Sendable (_ fakePlatform: FakePostHog, _ address: String, _ client: HTTPClient) async throws -> Void
  ) async throws {
    let fakePlatform = FakePostHog()
    let router = Router()
    router.post("/ph/flags") { request, _ in try await fakePlatform.handle(request) }
    let (ports, bound) = AsyncStream.makeStream(of: Int.self)
    var quiet = Logger(label: "posthog")
    quiet.logLevel = .critical
    let application = Application(
      router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
      onServerRunning: { bound.yield($0.localAddress?.port ?? 0) }, logger: quiet)
    let client = PlatformAccess.makeHTTPClient(connectionMax: 16, trust: HTTPTrust())
    let serving = Task { try await application.run() }
    let outcome: Result<Void, any Error>
    do {
      let port = await ports.first { _ in true } ?? 0
      try await body(fakePlatform, "http://127.0.0.1:\(port)/ph", client)
      outcome = .success(())
    } catch {
      outcome = .failure(error)
    }
    try await client.shutdown()
    serving.cancel()
    _ = await serving.result
    try outcome.get()
  }
}
