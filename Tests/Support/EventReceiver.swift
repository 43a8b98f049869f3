internal import NIOHTTP1
internal import Synchronization

/// An endpoint of events: keeps what comes, and answers as a test wants it.
package final class EventReceiver: Sendable {
  /// One request.
  package struct Received: Sendable, Equatable {
    package var path: String
    package var headers: [String: String]
    package var body: [UInt8]

    package var id: String { headers["webhook-id"] ?? "" }

    fileprivate init(_ head: HTTPRequestHead, _ body: [UInt8]) {
      path = head.uri
      headers = Dictionary(head.headers.map { ($0.name.lowercased(), $0.value) }) { $1 }
      self.body = body
    }
  }

  /// A status, with headers.
  package typealias Answer = TestHTTPServer.Answer

  private final class Requests: Sendable {
    let all = Mutex<[Received]>([])
  }

  private let requests = Requests()
  private let server: TestHTTPServer

  /// Listens on a free port of 127.0.0.1 when it returns.
  /// - Parameter answer: nil leaves the request without one.
  package init(_ answer: @escaping @Sendable (Received) async -> Answer? = { _ in Answer(204) }) async throws {
    server = try await TestHTTPServer { [requests] head, body in
      let request = Received(head, body)
      requests.all.withLock { $0.append(request) }
      return await answer(request)
    }
  }

  /// The address for an endpoint.
  package var url: String { "\(server.url)/hook" }

  /// What has come, in order.
  package var received: [Received] { requests.all.withLock { $0 } }

  /// Closes the port.
  package func stop() async { await server.stop() }
}
