internal import FoundationEssentials
internal import HTTPKit
internal import Hummingbird
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews

/// What fills a page anew while it is watched.
extension DashboardRoutes {
  @Sendable func live(_ call: Call) async throws -> Response {
    guard case .visitor(let visitor) = try await access.admit(call) else {
      throw HTTPFault.unauthorized("sign in on the dashboard")
    }
    return EventStream(feed: feed, topic: try topic(call), isReadOnly: visitor.right == .read) {
      try await access.stillAdmits(visitor)
    }.response()
  }

  private func topic(_ call: Call) throws -> Topic {
    var values = try call.query(knowing: ["review", "list"] + ListQuery.filterNames)
    if let text = values["review"] {
      guard let id = UUID(uuidString: text) else { throw HTTPFault.unknownReview }
      return .review(id)
    }
    switch values.removeValue(forKey: "list") {
    case nil: return .overview
    case "dead-letters": return .deadLetters
    default: return .list(try ListQuery(values))
    }
  }
}
