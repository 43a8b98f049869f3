package import FoundationEssentials
package import HTTPTrust
package import Logging
internal import NIOHTTP1
package import Primitives
internal import Reviews
internal import Spans
internal import Tracing
package import WorkerAPI

/// Calls a worker; any answer, and any failure to get one, becomes a value that says what it means.
///
/// A start that failed was never sent if it had no connection to be written to. An error's value alone cannot tell: a timeout and
/// `ECONNRESET` occur on both sides.
///
/// Known weakness: a connection that the worker closes just as it is taken counts as sent.
package struct WorkerClient: Sendable {
  private let connections: WorkerConnections
  private let renderer: RequestRenderer
  private let trust: HTTPTrust
  private let logger: Logger
  /// Of one call, for messages.
  let timeout: Duration
  /// Only to keep it out of messages.
  let token: Secret

  /// - Parameters:
  ///   - baseURL: `http` or `https`; it may carry a path, below which the contract's routes lie.
  ///   - token: the bearer token that the worker expects.
  ///   - timeout: of one whole exchange, to the last byte of the answer.
  ///   - connectionMax: how many calls may be under way at once; more wait, against their own deadline.
  ///   - trust: which certificates an `https` worker may have.
  ///   - logger: for what it reports.
  /// - Throws: ``WorkerClientError`` if the URL is not one, or the system's certificates cannot be read.
  package init(
    baseURL: String, token: Secret, timeout: Duration, connectionMax: Int, trust: HTTPTrust = HTTPTrust(),
    logger: Logger
  ) throws(WorkerClientError) {
    guard let endpoint = WorkerEndpoint(url: baseURL) else {
      throw WorkerClientError(description: "the worker's URL is not one: expected http(s)://host[:port][/path]")
    }
    guard let renderer = RequestRenderer(endpoint, token: token) else {
      throw WorkerClientError(description: "the worker's host or token holds a control character")
    }
    self.renderer = renderer
    do {
      connections = try WorkerConnections(
        endpoint: endpoint, connectionMax: connectionMax, timeout: timeout, trust: trust)
    } catch {
      throw WorkerClientError(description: "TLS cannot be used: \(error)")
    }
    (self.timeout, self.token, self.trust, self.logger) = (timeout, token, trust, logger)
  }

  /// Host and port, for messages.
  var target: String { connections.endpoint.authority }

  /// Starts an attempt.
  /// - Parameters:
  ///   - body: what `StartRequest.encode()` gives.
  ///   - reviewID: for the idempotency key.
  ///   - attempt: for the idempotency key.
  ///   - trace: the parent of the call's span, which is sent as `traceparent`; without spans it is sent itself.
  /// - Returns: also when the task is cancelled: then ``DispatchOutcome/ambiguous(message:isAnswer:)`` or
  ///   ``DispatchOutcome/unavailable(message:)``.
  package func start(_ body: [UInt8], reviewID: UUID, attempt: Int, trace: TraceContext?) async -> DispatchOutcome {
    guard body.count <= StartRequest.byteCountMax else {
      return .refused(message: "the payload has \(body.count) bytes, the worker takes \(StartRequest.byteCountMax)")
    }
    guard let trace else { return await start(body, reviewID: reviewID, attempt: attempt, in: nil) }
    return await withSpan(
      .callWorker, in: trace,
      .review(reviewID, attempt: attempt).with(connections.endpoint.attributes(.POST, "/review"))
    ) { await start(body, reviewID: reviewID, attempt: attempt, in: $0) }
  }

  private func start(_ body: [UInt8], reviewID: UUID, attempt: Int, in span: ActiveSpan?) async -> DispatchOutcome {
    var headers = [
      (name: "idempotency-key", value: StartRequest.idempotencyKey(reviewID: reviewID, attempt: attempt))
    ]
    if let span { headers.append(("traceparent", span.context.traceparent)) }
    let result = await exchange(.POST, "/review", body, headers: headers)
    span?.note(result)
    let outcome = outcome(of: result, reviewID: reviewID)
    if case .dispatched = outcome {
    } else {
      // The trace is the task's: the log handler adds it.
      logger.debug("start not accepted", metadata: ["review": "\(reviewID.lowercase)", "outcome": "\(outcome)"])
    }
    return outcome
  }

  /// Asks what the worker knows of a review.
  package func status(of reviewID: UUID) async -> StatusAnswer {
    let path = "/reviews/\(reviewID.lowercase)"
    return await withChildSpan(.askWorker, connections.endpoint.attributes(.GET, path)) { span in
      let result = await exchange(.GET, path)
      span?.note(result)
      return statusAnswer(of: result, reviewID: reviewID)
    }
  }

  /// Cancels all attempts up to one, also those that the worker does not know yet.
  package func cancel(_ reviewID: UUID, reason: String?, attempt: Int) async -> CancelAnswer {
    guard let body = try? JSONEncoder().encode(CancelRequest(reason: reason, attempt: attempt)) else {
      return .failed(message: "the request could not be built")
    }
    return cancelAnswer(of: await exchange(.POST, "/reviews/\(reviewID.lowercase)/cancel", Array(body)))
  }

  /// Reads what a run has said so far.
  package func events(of reviewID: UUID) async throws(WorkerClientError) -> [RunEvent] {
    let result = await exchange(
      .GET, "/reviews/\(reviewID.lowercase)/events", answerByteCountMax: Self.eventsByteCountMax)
    guard case .answered(let answer) = result, answer.status == 200, answer.isComplete,
      let events = try? JSONCoding.decode(RunEvents.self, from: answer.body, repairingText: true)
    else { throw WorkerClientError(description: message(for: result)) }
    return events.events
  }

  /// The most bytes of a run's events.
  private static let eventsByteCountMax = 16 * 1024 * 1024
  /// The most bytes of any other answer.
  private static let answerByteCountMax = 1024 * 1024

  private func exchange(
    _ method: HTTPMethod, _ route: String, _ body: [UInt8]? = nil, headers: [(name: String, value: String)] = [],
    answerByteCountMax: Int = Self.answerByteCountMax
  ) async -> ExchangeResult {
    let request = renderer.render(method, route, body, headers: headers)
    return await explained(await connections.run(request, byteCountMax: answerByteCountMax))
  }

  /// A failure of TLS with its reason. A server that has refused the handshake has read nothing.
  private func explained(_ result: ExchangeResult) async -> ExchangeResult {
    guard case .failed(let error, let wasSent) = result,
      let fault = await trust.fault(error, host: connections.endpoint.host, port: connections.endpoint.port)
    else { return result }
    return .failed(ExchangeFailure.tls(fault), wasSent: wasSent && !HTTPTrust.isRefusedHandshake(error))
  }
}
