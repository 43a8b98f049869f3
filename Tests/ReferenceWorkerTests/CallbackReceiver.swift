import FoundationEssentials
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Primitives
import ServiceLifecycle
import Synchronization
import Testing
import WorkerAPI

/// Takes status callbacks as `baton serve` does, with answers that a test scripts.
final class CallbackReceiver: Sendable {
  struct Received: Sendable {
    var id: UUID
    var callback: StatusCallback
    var authorization: String?
    var secret: String?
    var traceparent: String?
    var answer: Int
  }

  private let log = Mutex<(received: [Received], answers: [Int])>(([], []))
  private let server = Mutex<(group: ServiceGroup, task: Task<Void, any Error>)?>(nil)

  /// - Parameter answers: the statuses of the first answers; every further one is 200.
  init(answers: [Int] = []) { log.withLock { $0.answers = answers } }

  var received: [Received] { log.withLock { $0.received } }

  func statuses(of id: UUID) -> [StatusCallback.Status] {
    received.filter { $0.id == id && $0.answer == 200 }.map(\.callback.status)
  }

  func listen() async throws -> Int {
    let router = Router()
    router.post("/base/api/internal/code-review-status/:id") { request, context in
      let body = try await request.body.collect(upTo: 1 << 20)
      let id = try #require(context.parameters.get("id").flatMap { UUID(uuidString: $0) })
      let callback = try JSONDecoder().decode(StatusCallback.self, from: Data(body.readableBytesView))
      let answer = self.log.withLock { log in
        let answer = log.answers.isEmpty ? 200 : log.answers.removeFirst()
        log.received.append(
          Received(
            id: id, callback: callback, authorization: request.headers[.authorization],
            secret: HTTPField.Name("X-Internal-Secret").flatMap { request.headers[$0] },
            traceparent: HTTPField.Name("traceparent").flatMap { request.headers[$0] }, answer: answer))
        return answer
      }
      return HTTPResponse.Status(code: answer)
    }
    let (ports, bound) = AsyncStream.makeStream(of: Int.self)
    var quiet = Logger(label: "callbacks")
    quiet.logLevel = .critical
    let application = Application(
      router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
      onServerRunning: { bound.yield($0.localAddress?.port ?? 0) }, logger: quiet)
    let group = ServiceGroup(configuration: .init(services: [.init(service: application)], logger: quiet))
    let task = Task { try await group.run() }
    server.withLock { $0 = (group, task) }
    var iterator = ports.makeAsyncIterator()
    return try #require(await iterator.next())
  }

  func stop() async {
    guard let (group, task) = server.withLock({ $0 }) else { return }
    await group.triggerGracefulShutdown()
    _ = try? await task.value
  }
}
