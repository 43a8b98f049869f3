internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Telemetry

/// Looking at reviews, and operating on one of them.
struct ReviewRoutes: Sendable {
  let store: ReviewStore

  var routes: [Route] {
    [
      Route(.get, .reviews, access: .api, handle: list),
      Route(.get, .review, access: .api, handle: show),
    ]
      + ReviewOperation.allCases.map { operation in
        Route(.post, .operation(operation), access: .api) { try await operate(operation, $0) }
      }
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
    return .json(.ok, PageBody(reviews, next: next))
  }

  @Sendable private func show(_ call: Call) async throws -> Response {
    let id = try await call.reviewID(store)
    guard let review = try await store.review(id) else { throw HTTPFault.unknownReview }
    return .json(.ok, ReviewBody(review, transitions: try await store.transitions(of: id)))
  }

  private func operate(_ operation: ReviewOperation, _ call: Call) async throws -> Response {
    let id = try await call.reviewID(store)
    let answer = try await store.operate(operation, id, actor: call.caller?.actor)
    guard case .done(let status, let attempt) = answer else { throw HTTPFault(refusing: operation, answer) }
    return .json(.accepted, Operated(id: id.lowercase, status: status, attempt: attempt))
  }
}

extension HTTPFault {
  /// Why an operation was not done to a review.
  init(refusing operation: ReviewOperation, _ answer: OperationAnswer) {
    switch answer {
    case .conflict(.pending) where operation == .release: self = HTTPFault(.conflict, "the review is due already")
    case .conflict(let status), .done(let status, _):
      self = HTTPFault(.conflict, "a review that is \(status.rawValue) cannot be \(operation.participle)")
    case .unknownReview: self = .unknownReview
    }
  }
}
