internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import ReviewStore
internal import Reviews
internal import Telemetry

/// `GET /api/deliveries`: the webhooks that were received, each with its outcome.
struct WebhookListRoute: Sendable {
  let store: ReviewStore

  var routes: [Route] { [Route(.get, .deliveryList, access: .api, handle: list)] }

  @Sendable private func list(_ call: Call) async throws -> Response {
    let query = try WebhookQuery(call.query(knowing: WebhookQuery.names))
    let (webhooks, next) = try await store.webhooks(query.filter, limit: query.limit, after: query.cursor)
    return .json(.ok, PageBody(webhooks, next: next))
  }
}

/// The parameters of `GET /api/deliveries` and of the dashboard's page, checked, with every fault named.
struct WebhookQuery: Sendable, Hashable {
  var filter = WebhookFilter()
  var limit = ListQuery.limitDefault
  var cursor: WebhookCursor?

  static let names = ["repo", "number", "owner", "limit", "cursor"]

  init() {}

  /// - Throws: `HTTPFault` 400.
  init(_ values: [String: String]) throws(HTTPFault) {
    var faults: [String] = []
    if let text = values["repo"] {
      filter.repository = text
      if text.utf8.count > ListQuery.textByteCountMax {
        faults.append("repo: longer than \(ListQuery.textByteCountMax) bytes")
      }
    }
    if let text = values["number"] {
      filter.number = Int32(text).flatMap { $0 > 0 ? Int($0) : nil }
      if filter.number == nil { faults.append("number: expected a whole number above 0") }
      if filter.repository == nil { faults.append("number: needs repo") }
    }
    if let text = values["owner"] {
      filter.owner = text.utf8.count <= ListQuery.textByteCountMax ? Owner(text) : nil
      if filter.owner == nil { faults.append("owner: expected user:ID or org:ID") }
    }
    if let text = values["limit"] {
      limit = Int(text) ?? 0
      if !(1...ListQuery.limitMax).contains(limit) {
        faults.append("limit: expected a whole number from 1 to \(ListQuery.limitMax)")
      }
    }
    if let text = values["cursor"] {
      cursor = text.utf8.count <= ListQuery.textByteCountMax ? WebhookCursor(text) : nil
      if cursor == nil { faults.append("cursor: expected the nextCursor of an earlier page") }
    }
    guard faults.isEmpty else { throw .malformed("faulty query", faults: faults) }
  }
}
