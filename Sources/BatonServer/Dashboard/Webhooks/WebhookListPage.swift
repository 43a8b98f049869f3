internal import FoundationEssentials
internal import Primitives
internal import ReviewStore
internal import Reviews

/// The webhooks that were received, newest first, with the outcome of each: why a pull request was or was not reviewed.
struct WebhookListPage: Sendable {
  let query: WebhookQuery
  let webhooks: [WebhookRecord]
  let next: WebhookCursor?
  let count: MatchCount

  static let limit = 50

  static func path(_ query: WebhookQuery, cursor: WebhookCursor? = nil) -> String {
    let parameters = [
      ("repo", query.filter.repository), ("number", query.filter.number.map { "\($0)" }),
      ("owner", query.filter.owner?.description), ("cursor", (cursor ?? query.cursor)?.description),
    ].compactMap { name, value in value.map { "\(name)=\($0.percentEncoded)" } }.joined(separator: "&")
    return parameters.isEmpty ? "/deliveries" : "/deliveries?\(parameters)"
  }

  var body: HTML {
    """
    <h1>Deliveries</h1>
    <p class="under">Webhooks that GitHub and GitLab have delivered in the last 14 days. If the cause of an outcome is removed, have the\
     platform deliver the event again: it is judged anew. An event that is not here did not arrive.</p>
    \(form)\(list)
    """
  }

  private var form: HTML {
    """
    <form class="filters" method="get" action="/deliveries" role="search">
    <label>Repository <input name="repo" value="\(query.filter.repository ?? "")" placeholder="acme/shop"\
     autocapitalize="none" spellcheck="false"/></label>
    <label>Number <input name="number" value="\(query.filter.number.map { "\($0)" } ?? "")" placeholder="17"\
     inputmode="numeric" pattern="[0-9]*"/></label>
    <label>Owner <input name="owner" value="\(query.filter.owner?.description ?? "")" placeholder="org:acme"\
     pattern="(user|org):.+" title="user:ID or org:ID" autocapitalize="none" spellcheck="false"/></label>
    <button type="submit" class="primary">Filter</button> <a href="/deliveries">Clear</a>
    </form>
    """
  }

  private var list: HTML {
    let more: HTML =
      next.map { next in
        """
        <p class="more"><a rel="next" href="\(Self.path(query, cursor: next))">\(webhooks.isEmpty ? "Look further" : "Older")</a></p>
        """
      } ?? HTML.none
    guard !webhooks.isEmpty else {
      return next == nil
        ? "<p class=\"empty\">No delivery matches.</p>"
        : "<p class=\"empty\">None among the \(Reading.grouped(ReviewStore.browseSpan)) that were looked at.</p>\(more)"
    }
    return """
      \(HTML.count(count, "delivery", "deliveries", window: ReviewStore.browseSpan))
      <table class="reviews"><thead><tr><th scope="col">Received</th><th scope="col">About</th>\
      <th scope="col">Owner</th><th scope="col">Outcome</th><th scope="col">The review now</th></tr></thead>
      <tbody>\(webhooks.map(row))</tbody></table>
      \(more)
      """
  }

  private func row(_ webhook: WebhookRecord) -> HTML {
    let event = [webhook.event, webhook.action].compactMap { $0 }.joined(separator: " ")
    let about = webhook.repository.map { name in webhook.number.map { "\(name) #\($0)" } ?? name }
    let commit = webhook.sha.map { " \($0.prefix(12))" } ?? ""
    return """
      <tr><td>\(HTML.time(webhook.receivedAt))</td>\
      <th scope="row">\(HTML.foreign(about ?? webhook.platform.rawValue))<small>\(HTML.foreign(event + commit))</small></th>\
      <td>\(webhook.owner.map { HTML.link(to: $0) } ?? HTML.none)</td>\
      <td>\(HTML.foreign(webhook.result))</td>\
      <td>\(webhook.review.map(review) ?? HTML.none)</td></tr>
      """
  }

  private func review(_ review: (id: UUID, status: ReviewStatus)) -> HTML {
    "<a href=\"/reviews/\(review.id.lowercase)\">\(HTML.status(review.status))</a>"
  }
}
