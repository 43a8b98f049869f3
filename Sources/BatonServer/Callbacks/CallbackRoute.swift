internal import FoundationEssentials
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import ReviewStore
internal import Reviews
internal import Telemetry
internal import WorkerAPI

/// `POST /api/internal/code-review-status/{id}`: what a worker tells about a run.
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
    var report = try CallbackBody.report(from: try await call.body())
    if case .run(_, let attempt) = grant {
      // A token speaks for its own attempt and for no other.
      guard report.attempt == nil || report.attempt == attempt else {
        guard try await store.review(id) != nil else { throw HTTPFault.unknownReview }
        return ignored(id, call, "it is for another attempt than its token")
      }
      report.attempt = attempt
    }
    switch try await store.report(id, report) {
    case .applied:
      metrics.recordEnd(report.status)
      return .json(.ok, Accepted())
    case .ignored(let status):
      return ignored(id, call, "the review is \(status.rawValue), or in another attempt or session")
    case .unknownReview: throw HTTPFault.unknownReview
    }
  }

  private func ignored(_ id: UUID, _ call: Call, _ reason: String) -> Response {
    call.logger.info("callback ignored", metadata: ["review": "\(id.lowercase)", "reason": "\(reason)"])
    return .json(.ok, Accepted())
  }
}
