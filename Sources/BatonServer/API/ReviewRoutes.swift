internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Telemetry

/// Looking at reviews, cancelling and retrying them.
struct ReviewRoutes: Sendable {
  let store: ReviewStore

  var routes: [Route] {
    [
      Route(.get, .reviews, access: .api, handle: list),
      Route(.get, .review, access: .api, handle: show),
      Route(.post, .cancel, access: .api, handle: cancel),
      Route(.post, .retry, access: .api, handle: retry),
    ]
  }

  private struct Operated: Encodable {
    var id: String
    var status: ReviewStatus
    var attempt: Int
  }

  @Sendable private func list(_ call: Call) async throws -> Response {
    let query = try ListQuery(call.query(knowing: ListQuery.names))
    let filter = query.filter(now: try await store.now())
    let (reviews, next) = try await store.page(
      filter, search: query.search, sort: query.sort, limit: query.limit, after: query.cursor)
    return .json(.ok, ReviewListBody(reviews, next: next))
  }

  @Sendable private func show(_ call: Call) async throws -> Response {
    let id = try await call.reviewID(store)
    guard let review = try await store.review(id) else { throw HTTPFault.unknownReview }
    return .json(.ok, ReviewBody(review, transitions: try await store.transitions(of: id)))
  }

  @Sendable private func cancel(_ call: Call) async throws -> Response {
    let id = try await call.reviewID(store)
    return try answer(id, try await store.cancel(id, actor: call.caller?.actor), verb: "cancelled")
  }

  @Sendable private func retry(_ call: Call) async throws -> Response {
    let id = try await call.reviewID(store)
    return try answer(id, try await store.retry(id, actor: call.caller?.actor), verb: "retried")
  }

  private func answer(_ id: UUID, _ answer: OperationAnswer, verb: String) throws -> Response {
    switch answer {
    case .done(let status, let attempt):
      return .json(.accepted, Operated(id: id.lowercase, status: status, attempt: attempt))
    case .conflict(let status):
      throw HTTPFault(.conflict, "a review that is \(status.rawValue) cannot be \(verb)")
    case .unknownReview:
      throw HTTPFault.unknownReview
    }
  }
}
