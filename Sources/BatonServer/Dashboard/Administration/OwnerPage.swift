internal import Primitives
internal import ReviewStore
internal import Reviews

/// All owners, the busiest first.
struct OwnersPage: Sendable {
  let owners: [OwnerSummary]

  static let limit = 200

  static func path(_ owner: Owner) -> String { "/owner?owner=\(owner.description.percentEncoded)" }

  var body: HTML {
    """
    <h1>Owners</h1>
    <form class="filters" method="get" action="/owner" role="search">
    <label>Owner <input name="owner" placeholder="org:acme" pattern="(user|org):.+" title="user:ID or org:ID" required="required"\
     autocapitalize="none" spellcheck="false"/></label>
    <button type="submit" class="primary">Open</button></form>
    \(table)
    """
  }

  private var table: HTML {
    guard !owners.isEmpty else {
      return "<p class=\"empty\">No owner has a review, a limit or a pause.</p>"
    }
    let rows = owners.map { owner -> HTML in
      """
      <tr><th scope="row"><a href="\(Self.path(owner.owner))">\(HTML.foreign(owner.owner.description))</a>\
      \(owner.isPaused ? " <span class=\"tag\">paused</span>" : HTML.none)</th>\
      <td class="number" data-label="Limit">\(owner.limit.map { "\(Reading.grouped($0))" } ?? "default")</td>\
      <td class="number" data-label="Pending">\(Reading.grouped(owner.pending))</td>\
      <td class="number" data-label="Under way">\(Reading.grouped(owner.active))</td></tr>
      """
    }
    let more: HTML =
      owners.count < Self.limit
      ? "" : "<p class=\"empty\">The busiest \(Self.limit). Open others by their name.</p>"
    return """
      <table class="owners"><thead><tr><th scope="col">Owner</th><th scope="col" class="number">Limit</th>\
      <th scope="col" class="number">Pending</th><th scope="col" class="number">Under way</th></tr></thead>
      <tbody>\(rows)</tbody></table>\(more)
      """
  }
}

/// One owner: its limit, configurations and integrations, and how to change them.
struct OwnerPage: Sendable {
  let owner: Owner
  /// nil if it has no row yet.
  var load: OwnerLoad?
  var defaultLimit: Int
  var configurations: [(platform: Platform, stored: StoredConfiguration)]
  /// One more than are shown if there are more.
  var integrations: [IntegrationRow]
  let visitor: Visitor

  static let integrationCountMax = 200

  private var path: String { OwnersPage.path(owner) }
  private var name: String { owner.description }

  var body: HTML {
    """
    <h1>\(HTML.foreign(name))</h1>
    <p class="under"><a href="/reviews?owner=\(name.percentEncoded)">Reviews</a> · <a href="/owners">All owners</a></p>
    \(capacity)\(Platform.allCases.map(configuration))\(integrationTable)\(addition)
    """
  }

  private func form(_ action: String, _ fields: HTML, _ label: HTML, kind: String = "primary")
    -> HTML
  {
    HTML.form(
      action, visitor, back: path, HTML.hidden("owner", name) + fields, label: label, kind: kind)
  }

  // MARK: Capacity

  private var capacity: HTML {
    let state: HTML =
      load.map { load in
        """
        <p>\(load.isPaused ? "<span class=\"tag\">paused</span> " : HTML.none)\(load.queued) queued, \(load.running) running, of\
         \(load.limit) at once; \(load.due) due, \(load.later) later.</p>
        """
      } ?? "<p class=\"empty\">It has no review yet. BATON_OWNER_LIMIT is \(defaultLimit).</p>"
    // As the overview's button, whose route it shares: the owner is its subject.
    let isPaused = load?.isPaused ?? false
    let pause = HTML.form(
      "/owners/\(isPaused ? "resume" : "pause")", visitor, back: path, HTML.hidden("subject", name),
      label: isPaused ? "Resume" : "Pause", kind: "")
    // An empty field is the default, and never turns it into the owner's own limit.
    let ownLimit = load?.ownLimit.map { "\($0)" } ?? ""
    let limit: HTML = """
      <label>Reviews at once <input name="limit" inputmode="numeric" pattern="[0-9]*" placeholder="default"\
       value="\(ownLimit)"/></label>
      """
    return "<h2>Capacity</h2>\(state)\(form("/owner/limit", limit, "Set the limit"))\(pause)"
  }

  // MARK: Configurations

  private func configuration(_ platform: Platform) -> HTML {
    let stored = configurations.first { $0.platform == platform }?.stored
    let hidden = HTML.hidden("platform", platform.rawValue)
    let text: HTML = """
      <label class="wide">Configuration (JSON) <textarea name="config" rows="6" spellcheck="false">\(stored?.json ?? "{}")</textarea></label>
      """
    let state: HTML =
      stored.map { stored in
        stored.isEnabled
          ? "<p>Reviews are enabled.</p><pre>\(stored.json)</pre>"
          : "<p><span class=\"tag bad\">disabled</span> Reviews fail as <code>config_missing</code>.</p><pre>\(stored.json)</pre>"
      } ?? "<p class=\"empty\">No configuration: reviews fail as <code>config_missing</code>.</p>"
    let toggle: HTML =
      stored.map { stored in
        form(
          "/owner/configuration",
          hidden + HTML.hidden("isEnabled", stored.isEnabled ? "no" : "yes"),
          stored.isEnabled ? "Disable" : "Enable", kind: "")
      } ?? HTML.none
    let change = HTML.details(
      stored == nil ? "Make one" : "Change it", form("/owner/configuration", hidden + text, "Save"))
    return "<h2>Configuration for \(platform == .github ? "GitHub" : "GitLab")</h2>\(state)\(toggle)\(change)"
  }

  // MARK: Integrations

  private var integrationTable: HTML {
    guard !integrations.isEmpty else {
      return "<h2>Integrations</h2><p class=\"empty\">None: no private repository can be read.</p>"
    }
    let more: HTML =
      integrations.count > Self.integrationCountMax
      ? "<p class=\"empty\">These are \(Self.integrationCountMax). <code>baton integration list --owner \(name) --limit 10000</code> shows all.</p>"
      : ""
    let rows = integrations.prefix(Self.integrationCountMax).map { row -> HTML in
      let place = row.installationId.map { "installation \($0)" } ?? row.instanceUrl ?? "token"
      let secrets = [row.hasToken ? "token" : nil, row.hasWebhookSecret ? "webhook secret" : nil]
        .compactMap { $0 }
      let state: HTML =
        row.revokedAt.map { "<span class=\"tag bad\">revoked</span> \(HTML.time($0))" }
        ?? "<span class=\"tag\">valid</span>"
      let revoke =
        row.revokedAt == nil
        ? HTML.details(
          "Revoke",
          HTML.form(
            "/integrations/\(row.id.lowercase)/revoke", visitor, back: path,
            label: "Revoke: its reviews fail", kind: "danger"))
        : HTML.none
      return """
        <tr><th scope="row">\(row.platform.rawValue) <small>\(HTML.foreign(place))</small></th><td class="id">\(row.id.lowercase)</td>\
        <td>\(secrets.isEmpty ? "no secret" : "\(secrets.joined(separator: ", "))")</td><td>\(state)</td>\
        <td class="action">\(revoke)</td></tr>
        """
    }
    return """
      <h2>Integrations</h2>
      <table class="integrations"><thead><tr><th scope="col">Platform</th><th scope="col">Id</th><th scope="col">Stored</th>\
      <th scope="col">State</th><th scope="col"><span class="unseen">Action</span></th></tr></thead><tbody>\(rows)</tbody></table>\(more)
      """
  }

  private var addition: HTML {
    let github = form(
      "/owner/integration",
      HTML.hidden("platform", "github")
        + HTML.field("Installation", "installationId", example: "4242")
        + HTML.secretField("Token, without an app", "token")
        + HTML.secretField("Webhook secret", "webhookSecret"),
      "Add or renew")
    let gitlab = form(
      "/owner/integration",
      HTML.hidden("platform", "gitlab")
        + HTML.field("Instance", "instanceUrl", example: "https://gitlab.com")
        + HTML.secretField("Token", "token") + HTML.secretField("Webhook secret", "webhookSecret"),
      "Add or renew")
    return HTML.details("Add or renew an integration of GitHub", github)
      + HTML.details("Add or renew an integration of GitLab", gitlab)
  }
}
