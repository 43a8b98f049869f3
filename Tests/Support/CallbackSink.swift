package import FoundationEssentials
internal import NIOHTTP1
internal import Synchronization
package import WorkerAPI

/// Takes a worker's status callbacks in Baton's place, accepts them, and keeps a list: Baton receives only those that are
/// sent on.
package final class CallbackSink: Sendable {
  /// One callback that was received.
  package struct Received: Sendable {
    package var reviewID: UUID
    package var callback: StatusCallback
    /// As it came.
    package var path: String
    package var headers: [(String, String)]
    package var body: [UInt8]
  }

  /// Sends a callback on to Baton, and gives the status that it was answered with; nil loses it here.
  package typealias Onward = @Sendable (Received) async -> Int?

  private final class State: Sendable {
    let received = Mutex<[Received]>([])
    let isRefusing = Mutex(false)
  }

  private let state: State
  private let server: TestHTTPServer

  /// Listens on a free port of 127.0.0.1 when it returns.
  package init(onward: @escaping Onward = { _ in nil }) async throws {
    let state = State()
    self.state = state
    server = try await TestHTTPServer { head, body in
      .init(await Self.take(head, body, state: state, onward: onward), body: #"{"success":true}"#)
    }
  }

  /// The base URL for the worker.
  package var url: String { server.url }

  /// Closes the port.
  package func stop() async { await server.stop() }

  /// Whether callbacks are answered with 503.
  package var isRefusing: Bool {
    get { state.isRefusing.withLock { $0 } }
    set { state.isRefusing.withLock { $0 = newValue } }
  }

  /// What was accepted here, in order.
  package var received: [Received] { state.received.withLock { $0 } }

  /// What was accepted about one review, in order.
  package func statuses(of reviewID: UUID) -> [StatusCallback.Status] {
    received.filter { $0.reviewID == reviewID }.map(\.callback.status)
  }

  /// - Returns: the status to answer with.
  private static func take(
    _ head: HTTPRequestHead, _ body: [UInt8], state: State, onward: Onward
  ) async -> Int {
    guard let id = head.uri.split(separator: "/").last.flatMap({ UUID(uuidString: String($0)) }),
      let callback = try? JSONDecoder().decode(StatusCallback.self, from: Data(body))
    else { return 400 }
    guard !state.isRefusing.withLock({ $0 }) else { return 503 }
    let received = Received(
      reviewID: id, callback: callback, path: head.uri, headers: head.headers.map { ($0.name, $0.value) }, body: body)
    if let answer = await onward(received) { return answer }
    state.received.withLock { $0.append(received) }
    return 200
  }
}
