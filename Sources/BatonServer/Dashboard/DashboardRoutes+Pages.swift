internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Primitives
internal import Resilience
internal import ReviewStore
internal import Reviews

/// What people look at.
extension DashboardRoutes {
  @Sendable func front(_ call: Call, _ visitor: Visitor) async throws -> Response {
    let snapshot = await feed.newest(of: .overview)
    let body: HTML =
      snapshot.fault.map { fault in
        "<section id=\"verdict\"><h1 class=\"bad\">\(fault)</h1><p>This page fills itself as soon as it can.</p></section>"
          + Self.emptySections
      } ?? "\(snapshot.sections.map(\.element))"
    return Page(
      title: "Baton", item: .overview, live: "/live", path: "/", now: snapshot.now, body: body, visitor: visitor
    ).response()
  }

  /// What the stream fills as soon as there is something.
  private static let emptySections: HTML = """
    <section id="load"></section><section id="charts"></section><section id="owners"></section>\
    <section id="failures"></section><section id="processes"></section>
    """

  @Sendable func list(_ call: Call, _ visitor: Visitor) async throws -> Response {
    let query = try ListQuery(call.query(knowing: ListQuery.filterNames + ["cursor"]))
    let page = try await reader.list(query)
    // Older pages stand still, so that they can be read.
    let live = query.cursor == nil ? "/live?list=yes&\(ReviewListPage.parameters(query))" : ""
    return Page(
      title: "Reviews · Baton", item: .reviews, live: live, path: ReviewListPage.path(query), now: page.now,
      body: page.body, visitor: visitor
    ).response()
  }

  @Sendable func deliveries(_ call: Call, _ visitor: Visitor) async throws -> Response {
    // A form sends its empty fields too.
    let values = try call.query(knowing: WebhookQuery.names).filter { !$0.value.isEmpty }
    let query = try WebhookQuery(values)
    async let count = store.deliveryCount(query.filter)
    let (webhooks, next) = try await store.webhooks(
      query.filter, limit: WebhookListPage.limit, after: query.cursor)
    let page = WebhookListPage(query: query, webhooks: webhooks, next: next, count: try await count)
    return Page(
      title: "Deliveries · Baton", item: .deliveries, path: WebhookListPage.path(query), now: try await store.now(),
      body: page.body, visitor: visitor
    ).response()
  }

  @Sendable func show(_ call: Call, _ visitor: Visitor) async throws -> Response {
    let id = try await call.reviewID(store)
    guard let detail = try await reader.reviews.read(id) else { throw HTTPFault.unknownReview }
    let page = ReviewPage(detail: detail)
    return Page(
      title: "\(page.title) · Baton", item: .none, live: "/live?review=\(id.lowercase)",
      path: "/reviews/\(id.lowercase)", now: detail.now, body: page.body, visitor: visitor
    ).response()
  }

  @Sendable func letters(_ call: Call, _ visitor: Visitor) async throws -> Response {
    let snapshot = await Self.snapshot(of: .deadLetters, reader)
    if let fault = snapshot.fault { throw HTTPFault.unavailable(fault) }
    return Page(
      title: "Dead letters · Baton", live: "/live?list=dead-letters", path: "/dead-letters", now: snapshot.now,
      body: "\(DeadLetterPage.head)\(snapshot.sections.map(\.element))", visitor: visitor
    ).response()
  }
}
