internal import Primitives
internal import ReviewStore
internal import Reviews

/// The endpoints of events, how sending goes, and how to change them.
struct EndpointsPage: Sendable {
  let endpoints: [Endpoint]
  /// What an endpoint's events are signed with from now on, if that was just changed.
  var signing: Signing?
  let visitor: Visitor

  struct Signing: Sendable {
    let url: String
    /// Of the secrets that were given, or of the one that was made.
    var keyIDs: [String] = []
    /// Shown this once.
    var made: Secret?
  }

  var body: HTML {
    """
    <h1>Events</h1>
    <p class="under">The end of each review is posted, signed, to these addresses until they answer 2xx, for three days.</p>
    \(secret)\(table)\(addition)
    """
  }

  private var secret: HTML {
    guard let signing else { return .none }
    guard let made = signing.made else {
      return """
        <section class="failure later"><p>Events for \(HTML.foreign(signing.url)) are signed with \
        \(signing.keyIDs.map { "<code>\($0)</code>" as HTML }.joined(", ")) from now on.</p></section>
        """
    }
    return """
      <section class="failure later"><p>Events for \(HTML.foreign(signing.url)) are signed with this secret from now on. It is \
      shown this once:</p>
      <p><code class="secret">\(made.reveal())</code></p></section>
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
      endpoint.givenUp > 0 && endpoint.isEnabled
      ? button("retry", "Send the given up ones", endpoint) : HTML.none
    let secret = HTML.form(
      "/endpoints/\(endpoint.id.lowercase)/secret", visitor, back: "/endpoints",
      HTML.secretField("New secret, or new,old; empty: one is made", "secret"), label: "Replace")
    return toggle + retry + HTML.details("Replace the secret", secret)
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
      HTML.field("Address", "url", isWide: true, example: "https://hooks.example.com/baton")
        + HTML.field("Owner, or all", "owner", example: "org:acme")
        + HTML.secretField("Secret, or one is made", "secret"),
      label: "Add")
    return form == .none ? .none : "<h2>Add an endpoint</h2>\(form)"
  }
}
