internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Spans
internal import Telemetry
internal import Tracing
internal import WorkerAPI

/// `POST /api/internal/code-review-status/{id}`: what a worker reports about a run.
///
/// Whatever comes too late, twice or for an older attempt answers 200 and changes nothing, so that a worker may repeat a
/// callback until it is accepted.
struct CallbackRoute: Sendable {
  let store: ReviewStore
  let authority: CallbackAuthority
  let metrics: BatonMetrics

  var routes: [Route] { [Route(.post, .callback, access: .open, handle: report)] }

  private struct Accepted: Encodable {
    var success = true
  }

  @Sendable private func report(_ call: Call) async throws -> Response {
    let grant = try authority.grant(headers: call.request.headers, now: Date())
    let id = try call.reviewID()
    if case .run(let granted, _) = grant, granted != id {
      throw HTTPFault.unauthorized("this token is for another review")
    }
    var (report, faults) = try CallbackBody.report(from: try await call.body())
    if case .run(_, let attempt) = grant {
      // A token speaks for its own attempt and for no other.
      guard report.attempt == nil || report.attempt == attempt else {
        guard let trace = try await store.trace(of: id) else { throw HTTPFault.unknownReview }
        return ignored(id, report, call, trace, "it is for another attempt than its token")
      }
      report.attempt = attempt
    }
    let start = SpanStart.now
    let (answer, trace) = try await store.apply(report, to: id)
    if !faults.isEmpty {
      call.logger.warning(
        "a callback says that a run has ended, with details that cannot be read: they are left out",
        metadata: .review(id, attempt: report.attempt, trace, ["faults": "\(faults.joined(separator: "; "))"]))
    }
    if answer != .unknownReview { record(report, of: id, in: trace, since: start, call) }
    switch answer {
    case .applied:
      metrics.recordEnd(report.status)
      call.logger.debug(
        "callback accepted",
        metadata: .review(id, attempt: report.attempt, trace, ["status": "\(report.status.rawValue)"]))
      return .json(.ok, Accepted())
    case .ignored(let status):
      return ignored(id, report, call, trace, "the review is \(status.rawValue), or in another attempt or session")
    case .unknownReview: throw HTTPFault.unknownReview
    }
  }

  /// The worker's call is the parent if it says so, and belongs to the review's trace.
  private func record(
    _ report: RunReport, of id: UUID, in trace: TraceContext, since start: SpanStart, _ call: Call
  ) {
    recordSpan(
      .callback, in: call.callersTrace.flatMap { $0.isSameTrace(as: trace) ? $0 : nil } ?? trace, since: start,
      .review(id, attempt: report.attempt).with(RoutePath.callback.attributes(call.request)).with([
        SpanKey.status: .string(report.status.rawValue), SpanKey.statusCode: 200,
      ]))
  }

  private func ignored(
    _ id: UUID, _ report: RunReport, _ call: Call, _ trace: TraceContext, _ reason: String
  ) -> Response {
    call.logger.info(
      "callback ignored",
      metadata: .review(
        id, attempt: report.attempt, trace, ["status": "\(report.status.rawValue)", "reason": "\(reason)"]))
    return .json(.ok, Accepted())
  }
}
