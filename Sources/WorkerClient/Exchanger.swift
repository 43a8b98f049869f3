internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
internal import Reviews
internal import Synchronization

/// One answer, as far as it came.
struct Answer: Sendable {
  var status: Int
  var headers: HTTPHeaders
  var body: [UInt8]
  /// Whether the body came to its end, within the bound.
  var isComplete: Bool
}

/// What came of one exchange.
enum ExchangeResult: Sendable {
  case answered(Answer)
  /// - Parameter wasSent: whether the request can have reached the worker; always true for a request without a body.
  case failed(any Error, wasSent: Bool)
}

/// Runs one exchange at a time to its end, within the deadline. The HTTP client's delegate interface is used because its
/// deadline covers the whole exchange; that of the `async` one ends with the head.
struct Exchanger: Sendable {
  let httpClient: HTTPClient
  let timeout: TimeAmount
  /// Host and port, for messages.
  let target: String
  /// Only to keep it out of messages.
  let token: Secret

  /// - Parameter answerByteCountMax: the most bytes of the answer's body.
  func run(
    _ request: HTTPClient.Request, body: ByteBuffer?, answerByteCountMax: Int = 1024 * 1024
  ) async -> ExchangeResult {
    var request = request
    let collector = AnswerCollector(hasBody: body != nil, byteCountMax: answerByteCountMax)
    if let body {
      request.body = .stream(contentLength: Int64(body.readableBytes)) { writer in
        collector.markSent()
        return writer.write(.byteBuffer(body))
      }
    }
    let task = httpClient.execute(request: request, delegate: collector, deadline: .now() + timeout)
    do {
      let answer = try await withTaskCancellationHandler {
        try await task.get()
      } onCancel: {
        task.cancel()
      }
      return .answered(answer)
    } catch {
      return collector.result(of: error)
    }
  }
}

/// Collects an answer up to a bound, and knows whether the body was asked for.
private final class AnswerCollector: HTTPClientResponseDelegate {
  typealias Response = Answer

  private struct BodyTooLong: Error, CustomStringConvertible {
    var description: String { "the answer's body is too long" }
  }

  private let byteCountMax: Int
  private let sent: Atomic<Bool>
  private let partial = Mutex<Answer?>(nil)

  init(hasBody: Bool, byteCountMax: Int) {
    self.byteCountMax = byteCountMax
    sent = Atomic(!hasBody)
  }

  func markSent() { sent.store(true, ordering: .releasing) }

  /// A failure after the head is still an answer: its status is known.
  func result(of error: any Error) -> ExchangeResult {
    if let answer = partial.withLock({ $0 }) { return .answered(answer) }
    return .failed(error, wasSent: sent.load(ordering: .acquiring))
  }

  func didReceiveHead(task: HTTPClient.Task<Answer>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
    let answer = Answer(status: Int(head.status.code), headers: head.headers, body: [], isComplete: false)
    partial.withLock { $0 = answer }
    return task.eventLoop.makeSucceededVoidFuture()
  }

  func didReceiveBodyPart(task: HTTPClient.Task<Answer>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
    let isTooLong = partial.withLock { answer in
      guard let byteCount = answer?.body.count, byteCount + buffer.readableBytes <= byteCountMax else {
        return true
      }
      answer?.body.append(contentsOf: buffer.readableBytesView)
      return false
    }
    return isTooLong
      ? task.eventLoop.makeFailedFuture(BodyTooLong()) : task.eventLoop.makeSucceededVoidFuture()
  }

  func didFinishRequest(task: HTTPClient.Task<Answer>) throws -> Answer {
    guard var answer = partial.withLock({ $0 }) else { throw HTTPClientError.remoteConnectionClosed }
    answer.isComplete = true
    return answer
  }
}
