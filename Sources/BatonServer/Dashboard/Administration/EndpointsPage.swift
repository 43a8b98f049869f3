internal import Primitives
internal import ReviewStore
internal import Reviews

/// The endpoints of events, how sending goes, and how to change them.
struct EndpointsPage: Sendable {
  let endpoints: [Endpoint]
  /// A secret that was just made: shown this once.
  var made: (url: String, secret: Secret)?
  let visitor: Visitor

  var body: HTML {
    """
    <h1>Events</h1>
    <p class="under">The end of each review is posted, signed, to these addresses until they answer 2xx, for three days.</p>
    \(secret)\(table)\(addition)
    """
  }

  private var secret: HTML {
    guard let made else { return .none }
    return """
      <section class="failure later"><p>Events for \(HTML.foreign(made.url)) are signed with this secret. It is shown this once:</p>
      <p><code>\(made.secret.reveal())</code></p></section>
      """
  }

  private var table: HTML {
    guard !endpoints.isEmpty else {
      return "<p class=\"empty\">No endpoint: events are sent nowhere.</p>"
    }
    return """
      <table class="endpoints"><thead><tr><th scope="col">Address</th><th scope="col">State</th>\
      <th scope="col" class="number">Waiting</th><th scope="col" class="number">Given up</th><th scope="col">Last accepted</th>\
      <th scope="col"><span class="unseen">Action</span></th></tr></thead><tbody>\(endpoints.map(row))</tbody></table>
      """
  }

  private func row(_ endpoint: Endpoint) -> HTML {
    let owner: HTML = endpoint.owner.map { "\($0.description)" } ?? "all owners"
    return """
      <tr><th scope="row">\(HTML.foreign(endpoint.url)) <small>\(owner)</small></th><td>\(state(endpoint))</td>\
      <td class="number" data-label="Waiting">\(Reading.grouped(endpoint.undelivered))</td>\
      <td class="number" data-label="Given up">\(Reading.grouped(endpoint.givenUp))</td>\
      <td data-label="Last accepted">\(HTML.time(endpoint.acceptedAt))</td><td class="action">\(actions(endpoint))</td></tr>
      """
  }

  private func state(_ endpoint: Endpoint) -> HTML {
    let error: HTML =
      endpoint.lastError.map { "<p class=\"quote\">\(HTML.foreign($0))</p>" } ?? HTML.none
    guard endpoint.isEnabled else { return "<span class=\"tag\">disabled</span>\(error)" }
    return endpoint.failingSince.map { since in
      "<span class=\"tag bad\">failing</span> \(HTML.time(since))\(error)"
    }
      ?? "<span class=\"tag\">enabled</span>\(error)"
  }

  private func actions(_ endpoint: Endpoint) -> HTML {
    let toggle =
      endpoint.isEnabled
      ? button("disable", "Disable", endpoint) : button("enable", "Enable", endpoint)
    let retry =
      endpoint.givenUp > 0 ? button("retry", "Send the given up ones", endpoint) : HTML.none
    return toggle + retry
      + HTML.details(
        "Remove", button("remove", "Remove, with what waits", endpoint, kind: "danger"))
  }

  private func button(_ operation: String, _ label: HTML, _ endpoint: Endpoint, kind: String = "")
    -> HTML
  {
    HTML.form(
      "/endpoints/\(endpoint.id.lowercase)/\(operation)", visitor, back: "/endpoints", label: label,
      kind: kind)
  }

  private var addition: HTML {
    let form = HTML.form(
      "/endpoints", visitor, back: "/endpoints",
      HTML.field("Address", "url", example: "https://hooks.example.com/baton")
        + HTML.field("Owner, or all", "owner", example: "org:acme")
        + HTML.secretField("Secret, or one is made", "secret"),
      label: "Add")
    return form == .none ? .none : "<h2>Add an endpoint</h2>\(form)"
  }
}
