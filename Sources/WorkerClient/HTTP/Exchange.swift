internal import NIOCore
internal import NIOHTTP1

/// One answer, as far as it came.
struct ExchangeAnswer: Sendable {
  var status: Int
  var headers: HTTPHeaders
  var body: [UInt8]
  /// Whether the body came to its end, within the bound.
  var isComplete: Bool
}

/// The outcome of one exchange.
enum ExchangeResult: Sendable {
  case answered(ExchangeAnswer)
  /// - Parameter wasSent: whether anything of the request can have reached the worker.
  case failed(any Error, wasSent: Bool)
}

/// Why an exchange failed, if no error of the network says so.
enum ExchangeFailure: Error, Sendable, Equatable {
  /// Nothing, or not all, came in time.
  case timedOut
  /// There was no connection in time, because none was free or none could be made.
  case noConnectionInTime
  /// The worker closed the connection.
  case closed
  /// The caller was cancelled.
  case cancelled
  /// The answer's body is longer than the bound.
  case tooLong
  /// TLS failed: the reason, and what to do.
  case tls(String)
}

/// A request and what is known of its answer; lives on the event loop of its connections, and ends once.
final class Exchange {
  let request: RenderedRequest
  let deadline: NIODeadline
  /// The most bytes of the answer's body.
  private let byteCountMax: Int
  private var continuation: UnsafeContinuation<ExchangeResult, Never>?
  private var answer: ExchangeAnswer?
  /// Where the request was written to; nil while it waits for a connection.
  private(set) weak var connection: WorkerConnection?
  private(set) var wasSent = false
  private(set) var hasEnded = false

  init(_ request: RenderedRequest, byteCountMax: Int, deadline: NIODeadline) {
    (self.request, self.byteCountMax, self.deadline) = (request, byteCountMax, deadline)
  }

  /// Who waits for the end; it may have come already, by a cancellation.
  func attach(_ continuation: UnsafeContinuation<ExchangeResult, Never>) {
    guard !hasEnded else { return continuation.resume(returning: result(ExchangeFailure.cancelled)) }
    self.continuation = continuation
  }

  /// The request is written to a connection now.
  func send(on connection: WorkerConnection) {
    self.connection = connection
    wasSent = true
  }

  func receive(_ head: HTTPResponseHead) {
    answer = ExchangeAnswer(status: Int(head.status.code), headers: head.headers, body: [], isComplete: false)
  }

  /// - Returns: false if the body is too long.
  func receive(_ part: ByteBuffer) -> Bool {
    guard let byteCount = answer?.body.count, byteCount + part.readableBytes <= byteCountMax else { return false }
    answer?.body.append(contentsOf: part.readableBytesView)
    return true
  }

  /// The answer has come to its end.
  func complete() {
    answer?.isComplete = true
    end(ExchangeFailure.closed)
  }

  /// Ends the exchange: with the answer, if its head has come, as its status is known then; otherwise with the error.
  func end(_ error: any Error) {
    guard !hasEnded else { return }
    hasEnded = true
    continuation?.resume(returning: result(error))
    continuation = nil
  }

  private func result(_ error: any Error) -> ExchangeResult {
    answer.map { .answered($0) } ?? .failed(error, wasSent: wasSent)
  }
}
