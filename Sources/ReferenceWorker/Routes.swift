internal import FoundationEssentials
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import Primitives
internal import Reviews
internal import Telemetry
internal import WorkerAPI

/// The routes of the worker contract.
struct Routes: Sendable {
  let runs: RunKeeper
  let tokens: SecretList
  let metrics: BatonMetrics?

  /// In seconds: about what a restart takes once the agents have ended.
  private static let retryAfter = "5"

  func makeRouter() -> Router<BasicRequestContext> {
    let router = Router(context: BasicRequestContext.self)
    if let metrics { router.add(middleware: RequestCount(metrics: metrics)) }
    router.add(middleware: ErrorAnswers())
    router.get("/health") { _, _ in try json(.ok, ["status": "ok"]) }
    let guarded = router.group().add(middleware: BearerGate(tokens: tokens))
    guarded.post("/review") { request, _ in try await start(request) }
    guarded.get("/reviews/:id") { _, context in
      let id = try reviewID(context)
      guard let status = try await runs.status(id) else { throw HTTPError(.notFound, message: "unknown review") }
      return try json(.ok, status)
    }
    guarded.get("/reviews/:id/events") { _, context in
      let id = try reviewID(context)
      guard let events = try await runs.events(id) else { throw HTTPError(.notFound, message: "unknown review") }
      return try json(.ok, RunEvents(reviewId: id, events: events))
    }
    guarded.post("/reviews/:id/cancel") { request, context in
      let id = try reviewID(context)
      let body = try await collect(request)
      let cancel = body.isEmpty ? CancelRequest() : try? JSONCoding.decode(CancelRequest.self, from: body)
      guard let cancel else {
        throw HTTPError(.badRequest, message: "expected {\"reason\"?: text, \"attempt\"?: number}")
      }
      return try json(.ok, CancelResponse(success: try await runs.cancel(id, cancel), reviewId: id))
    }
    return router
  }

  private func start(_ request: Request) async throws -> Response {
    let body = try await collect(request)
    let start: StartRequest
    do {
      start = try StartFaults.parse(
        body, idempotencyKey: HTTPField.Name("Idempotency-Key").flatMap { request.headers[$0] })
    } catch {
      throw HTTPError(.badRequest, message: error.description)
    }
    // A malformed one is no reason to refuse the start.
    let trace = HTTPField.Name("traceparent").flatMap { request.headers[$0] }.flatMap { TraceContext(traceparent: $0) }
    switch try await runs.start(start, body: body, trace: trace?.child()) {
    case .accepted(let state, let agentVersion):
      return response(
        .accepted, StartResponse(reviewId: start.reviewId, status: state, agentVersion: agentVersion).encode())
    case .older(let known):
      throw HTTPError(.conflict, message: "attempt \(known) of this review is known already")
    case .draining:
      throw HTTPError(
        .serviceUnavailable, headers: [.retryAfter: Self.retryAfter],
        message: "the worker is being shut down: try again when it has been started again")
    }
  }

  private func collect(_ request: Request) async throws -> [UInt8] {
    do {
      return Array(buffer: try await request.body.collect(upTo: StartRequest.byteCountMax))
    } catch is NIOTooManyBytesError {
      throw HTTPError(.contentTooLarge, message: "the body exceeds \(StartRequest.byteCountMax) bytes")
    }
  }

  private func reviewID(_ context: BasicRequestContext) throws -> UUID {
    guard let id = context.parameters.get("id").flatMap({ UUID(uuidString: $0) }) else {
      throw HTTPError(.notFound, message: "unknown review")
    }
    return id
  }
}

/// Counts every answer, by the template of its path.
private struct RequestCount: RouterMiddleware {
  typealias Context = BasicRequestContext
  let metrics: BatonMetrics

  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    let response = try await next(request, context)
    let route = context.endpointPath.flatMap { BatonMetrics.HTTPRoute(rawValue: $0) } ?? .other
    metrics.httpRequest(route, status: response.status.code).increment()
    return response
  }
}

/// Answers every error as `{"error": "…"}`.
private struct ErrorAnswers: RouterMiddleware {
  typealias Context = BasicRequestContext

  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    do {
      return try await next(request, context)
    } catch let error as HTTPError {
      var response = try json(error.status, ErrorBody(error: error.body ?? error.status.reasonPhrase))
      response.headers.append(contentsOf: error.headers)
      return response
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      context.logger.error("request failed", metadata: ["error": "\(error)"])
      return try json(.internalServerError, ErrorBody(error: "internal error"))
    }
  }
}

/// Lets only the bearer of one of the worker's tokens pass.
private struct BearerGate: RouterMiddleware {
  typealias Context = BasicRequestContext
  let tokens: SecretList
  private static let scheme = "Bearer "

  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    let given = request.headers[.authorization] ?? ""
    let sent = String(decoding: given.utf8.dropFirst(Self.scheme.utf8.count), as: UTF8.self)
    guard given.utf8.starts(with: Self.scheme.utf8), ConstantTime.matches(sent, tokens) else {
      throw HTTPError(.unauthorized, message: "the bearer token is missing or wrong")
    }
    return try await next(request, context)
  }
}

private func json(_ status: HTTPResponse.Status, _ value: some Encodable) throws -> Response {
  let encoder = JSONEncoder()
  encoder.outputFormatting = .withoutEscapingSlashes
  return response(status, Array(try encoder.encode(value)))
}

private func response(_ status: HTTPResponse.Status, _ body: [UInt8]) -> Response {
  Response(
    status: status, headers: [.contentType: "application/json"],
    body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
}
