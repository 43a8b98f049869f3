internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Primitives
internal import Reviews
internal import Spans
internal import Tracing
internal import WorkerAPI

extension RoutePath {
  static let start = RoutePath("/review", answers: 202)
  static let run = RoutePath("/reviews/{id}")
  static let events = RoutePath("/reviews/{id}/events")
  static let cancel = RoutePath("/reviews/{id}/cancel")
  static let health = RoutePath("/health")
}

/// The routes of the worker contract.
struct WorkerRoutes: Sendable {
  let runs: RunKeeper

  /// In seconds: about what a restart takes once the agents have ended.
  private static let retryAfter = "5"
  private static let unknownReview = HTTPFault(.notFound, "unknown review")

  var routes: [Route] {
    [
      Route(.get, .health, access: .open) { _ in .json(.ok, ["status": "ok"]) },
      Route(.post, .start, access: .api, handle: start),
      Route(.get, .run, access: .api) { call in
        guard let status = try await runs.status(try id(call)) else { throw Self.unknownReview }
        return .json(.ok, status)
      },
      Route(.get, .events, access: .api) { call in
        let id = try id(call)
        guard let events = try await runs.events(id) else { throw Self.unknownReview }
        return .json(.ok, RunEvents(reviewId: id, events: events))
      },
      Route(.post, .cancel, access: .api, handle: cancel),
    ]
  }

  /// A fault as the contract has it: `{"error": "…"}`.
  static func response(_ fault: HTTPFault) -> Response {
    .json(fault.status, ErrorBody(error: fault.message), headers: fault.headers)
  }

  @Sendable private func start(_ call: Call) async throws -> Response {
    let body = try await body(call)
    let start: StartRequest
    do {
      start = try StartFaults.parse(body, idempotencyKey: call.request.headers[.idempotencyKey])
    } catch {
      throw HTTPFault.malformed(error.description)
    }
    switch try await accept(start, body, call) {
    case .accepted(let state, let agentVersion):
      let answer = StartResponse(reviewId: start.reviewId, status: state, agentVersion: agentVersion)
      return .content(.accepted, type: "application/json", ByteBuffer(bytes: answer.encode()))
    case .older(let known):
      throw HTTPFault(.conflict, "attempt \(known) of this review is known already")
    case .draining:
      throw HTTPFault(
        .serviceUnavailable, "the worker is being shut down: try again when it has been started again",
        headers: [.retryAfter: Self.retryAfter])
    }
  }

  /// A start that is cancelled may have been taken: 503 would say that it was not.
  private func accept(_ start: StartRequest, _ body: [UInt8], _ call: Call) async throws -> StartVerdict {
    // A malformed trace is no reason to refuse the start.
    let trace = call.request.headers[.traceparent].flatMap { TraceContext(traceparent: $0) }
    do {
      guard let trace, Spans.isEnabled else { return try await runs.start(start, body: body, trace: trace?.child()) }
      return try await withSpan(.acceptRun, in: trace, Self.attributes(of: start)) { span in
        let verdict = try await runs.start(start, body: body, trace: span.context)
        span.note(verdict)
        return verdict
      }
    } catch is CancellationError {
      throw HTTPFault(.internalServerError, "the worker is being ended: ask whether it has taken this start")
    }
  }

  private static func attributes(of start: StartRequest) -> SpanAttributes {
    .review(start.reviewId, attempt: start.attempt).with([
      SpanKey.method: "POST", SpanKey.route: .string(RoutePath.start.template),
    ])
  }

  @Sendable private func cancel(_ call: Call) async throws -> Response {
    let id = try id(call)
    let body = try await body(call)
    let cancel = body.isEmpty ? CancelRequest() : try? JSONCoding.decode(CancelRequest.self, from: body)
    guard let cancel else { throw HTTPFault.malformed("expected {\"reason\"?: text, \"attempt\"?: number}") }
    return .json(.ok, CancelResponse(success: try await runs.cancel(id, cancel), reviewId: id))
  }

  private func body(_ call: Call) async throws -> [UInt8] {
    Array(try await call.body(upTo: StartRequest.byteCountMax, refusesUnread: false))
  }

  private func id(_ call: Call) throws(HTTPFault) -> UUID {
    guard let id = call.pathID.flatMap({ UUID(uuidString: $0) }) else { throw Self.unknownReview }
    return id
  }
}

extension ActiveSpan {
  /// How a start is answered.
  fileprivate func note(_ verdict: StartVerdict) {
    switch verdict {
    case .accepted(let state, _):
      set([SpanKey.statusCode: 202, SpanKey.status: .string(state.rawValue)])
    case .older: set([SpanKey.statusCode: 409])
    case .draining: set([SpanKey.statusCode: 503])
    }
  }
}

/// Lets only the bearer of one of the worker's tokens call.
struct WorkerAccess: AccessControl {
  let tokens: SecretList

  func admit(_ request: Request, peer: SocketAddress?, acts: Bool) throws(HTTPFault) -> Caller {
    guard let sent = Bearer.token(request.headers), ConstantTime.matches(sent, tokens) else {
      throw .unauthorized("the bearer token is missing or wrong")
    }
    return Caller(right: .act, actor: "worker token")
  }
}

extension HTTPField.Name {
  static let idempotencyKey = HTTPField.Name(known: "Idempotency-Key")
}
