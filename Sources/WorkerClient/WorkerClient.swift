package import AsyncHTTPClient
package import FoundationEssentials
package import Logging
internal import NIOCore
internal import NIOHTTP1
package import Reviews
package import WorkerAPI

/// Calls a worker; any answer, and any failure to get one, becomes a value that says what it means.
///
/// The client is told by a marker whether a start can have reached the worker: the body is a stream, and the HTTP client asks
/// for its one piece only after a connection was leased and the head written. Not asked for means never sent, since no server
/// acts on a request whose body is missing. An error's value alone cannot tell: `deadlineExceeded`, `remoteConnectionClosed`
/// and `ECONNRESET` occur on both sides.
///
/// Known weakness: a connection that is closed just as it is leased counts as sent.
package struct WorkerClient: Sendable {
  let exchanger: Exchanger
  private let base: String
  private let startTemplate: HTTPClient.Request
  private let headers: HTTPHeaders
  private let logger: Logger

  /// - Parameters:
  ///   - baseURL: `http` or `https`; it may carry a path, below which the contract's routes lie.
  ///   - timeout: of one whole exchange, to the last byte of the answer.
  ///   - httpClient: from ``makeHTTPClient(maxConnections:timeout:)``; it is shared, and stays the caller's to shut down.
  /// - Throws: ``WorkerClientError`` where the URL is not one.
  package init(
    baseURL: String, token: Secret, timeout: Duration, httpClient: HTTPClient, logger: Logger
  ) throws(WorkerClientError) {
    var base = baseURL
    while base.hasSuffix("/") { base.removeLast() }
    var headers = HTTPHeaders()
    headers.add(name: "authorization", value: "Bearer \(token.reveal())")
    headers.add(name: "content-type", value: "application/json")
    headers.add(name: "accept", value: "application/json")
    guard !base.contains("?"), !base.contains("#"),
      let template = try? HTTPClient.Request(url: base + "/review", method: .POST, headers: headers)
    else {
      throw WorkerClientError(description: "the worker's URL is not one: expected http(s)://host[:port][/path]")
    }
    self.base = base
    self.headers = headers
    self.logger = logger
    startTemplate = template
    exchanger = Exchanger(
      httpClient: httpClient, timeout: TimeAmount(timeout), target: "\(template.host):\(template.port)", token: token)
  }

  /// Starts an attempt.
  /// - Parameters:
  ///   - body: what ``StartRequest/encode()`` gives.
  ///   - trace: sent as `traceparent`.
  /// - Returns: also when the task is cancelled: then ``DispatchOutcome/ambiguous(message:)`` or
  ///   ``DispatchOutcome/unavailable(message:)``, by the marker.
  package func start(_ body: [UInt8], reviewID: UUID, attempt: Int, trace: TraceContext?) async -> DispatchOutcome {
    guard body.count <= StartRequest.byteCountMax else {
      return .refused(message: "the payload has \(body.count) bytes, the worker takes \(StartRequest.byteCountMax)")
    }
    var request = startTemplate
    request.headers.add(
      name: "idempotency-key", value: StartRequest.idempotencyKey(reviewID: reviewID, attempt: attempt))
    if let trace { request.headers.add(name: "traceparent", value: trace.traceparent) }
    let outcome = exchanger.outcome(of: await exchanger.run(request, body: ByteBuffer(bytes: body)), reviewID: reviewID)
    if case .dispatched = outcome {
    } else {
      logger.debug("start not accepted", metadata: ["review": "\(reviewID.lowercase)", "outcome": "\(outcome)"])
    }
    return outcome
  }

  /// Asks what the worker knows of a review.
  package func status(of reviewID: UUID) async -> StatusAnswer {
    guard let request = request(.GET, "/reviews/\(reviewID.lowercase)") else { return .failed(message: Self.badURL) }
    return exchanger.statusAnswer(of: await exchanger.run(request, body: nil), reviewID: reviewID)
  }

  /// Cancels all attempts up to one, also those that the worker does not know yet.
  package func cancel(_ reviewID: UUID, reason: String?, attempt: Int) async -> CancelAnswer {
    guard let request = request(.POST, "/reviews/\(reviewID.lowercase)/cancel"),
      let body = try? JSONEncoder().encode(CancelRequest(reason: reason, attempt: attempt))
    else { return .failed(message: Self.badURL) }
    return exchanger.cancelAnswer(of: await exchanger.run(request, body: ByteBuffer(bytes: body)))
  }

  /// Reads what a run has said so far.
  package func events(of reviewID: UUID) async throws(WorkerClientError) -> [RunEvent] {
    guard let request = request(.GET, "/reviews/\(reviewID.lowercase)/events") else {
      throw WorkerClientError(description: Self.badURL)
    }
    let result = await exchanger.run(request, body: nil, answerByteCountMax: Self.eventsByteCountMax)
    guard case .answered(let answer) = result, answer.status == 200, answer.isComplete,
      let events = try? JSONDecoder().decode(RunEvents.self, from: Data(answer.body))
    else { throw WorkerClientError(description: exchanger.message(for: result)) }
    return events.events
  }

  /// The most bytes of a run's events.
  private static let eventsByteCountMax = 16 * 1024 * 1024
  private static let badURL = "the request could not be built"

  private func request(_ method: HTTPMethod, _ path: String) -> HTTPClient.Request? {
    try? HTTPClient.Request(url: base + path, method: method, headers: headers)
  }
}
