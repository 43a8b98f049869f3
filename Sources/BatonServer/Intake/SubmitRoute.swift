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

/// `POST /api/reviews`: creates a review, or finds the one of the same pull request and commit.
struct SubmitRoute: Sendable {
  let store: ReviewStore

  var routes: [Route] { [Route(.post, .reviews, access: .api, handle: submit)] }

  private struct Submitted: Encodable {
    var id: String
    var status: ReviewStatus
  }

  @Sendable private func submit(_ call: Call) async throws -> Response {
    try await call.traced(.intake, .reviews) { call, span in try await submit(call, span) }
  }

  private func submit(_ call: Call, _ span: ActiveSpan) async throws -> Response {
    let review = try Self.review(from: try await call.body())
    let trace = call.trace
    let submission = try await submit(review, trace, actor: call.caller?.actor)
    span.set(.review(submission.id))
    if submission.isNew { call.logger.debug("review submitted", metadata: .review(submission.id, trace)) }
    return .json(
      submission.isNew ? .created : .ok, Submitted(id: submission.id.lowercase, status: submission.status))
  }

  private func submit(_ review: NewReview, _ trace: TraceContext, actor: String?) async throws -> Submission {
    do {
      return try await store.submit(review, trace: trace, actor: actor)
    } catch let error as NewReviewFaults {
      throw HTTPFault(error)
    }
  }

  /// - Throws: `HTTPFault`: 400 for what is no JSON object, 422 for one with faulty fields.
  private static func review(from body: Data) throws(HTTPFault) -> NewReview {
    do {
      return try NewReview(json: body)
    } catch {
      throw HTTPFault(error)
    }
  }
}

extension HTTPFault {
  fileprivate init(_ faults: NewReviewFaults) {
    self.init(
      faults.isMalformed ? .badRequest : .unprocessableContent, "not a review: \(faults.description)",
      faults: faults.faults)
  }
}
