internal import ArgumentParser
internal import BatonServer
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Settings

/// `baton deliveries`.
struct DeliveriesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "deliveries",
    abstract: "Shows webhooks, and why a pull request was or was not reviewed.",
    discussion: """
      Each webhook that GitHub or GitLab has delivered in the last 14 days, newest first, with its outcome. When the cause is \
      removed (an owner enabled, a repository selected, an integration added), have the platform deliver it again: it is \
      judged anew.

      If the event is not in the list, it did not arrive: see the hook's own log at GitHub or GitLab, and `baton catch-up`.

      EXAMPLES:
        baton deliveries --repo acme/shop --number 17
        baton deliveries --owner org:acme --limit 50
        baton deliveries --repo acme/shop --json | jq -r '.deliveries[].outcome'

      With --json: {"deliveries": [...], "nextCursor"}, as GET /api/deliveries answers.
      """)

  @Option(help: ArgumentHelp("Only deliveries about this repository.", valueName: "owner/name"))
  var repo: String?

  @Option(help: ArgumentHelp("Only deliveries about this pull request; needs --repo.", valueName: "number"))
  var number: Int?

  @Option(help: ArgumentHelp("Only deliveries for this owner, such as org:acme.", valueName: "type:id"))
  var owner: Owner?

  @Option(help: "The most deliveries to list, 1 to 1000.")
  var limit = 20

  @Option(help: ArgumentHelp("Go on where the last page ended.", valueName: "cursor"))
  var cursor: String?

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func validate() throws {
    guard (1...1_000).contains(limit) else { throw ValidationError("--limit has to be from 1 to 1000.") }
    guard number == nil || repo != nil else { throw ValidationError("--number needs --repo.") }
    guard number.map({ (1...Int(Int32.max)).contains($0) }) ?? true else {
      throw ValidationError("--number has to be above 0.")
    }
    guard cursor.map({ WebhookCursor($0) != nil }) ?? true else {
      throw ValidationError("--cursor has to be the cursor of an earlier page.")
    }
  }

  func run() async throws {
    let session = try CommandSession("baton deliveries", common, [database], requiring: [.databaseURL])
    try await session.withStore { store in
      let filter = WebhookFilter(repository: repo, number: number, owner: owner)
      let (webhooks, next) = try await store.webhooks(
        filter, limit: limit, after: cursor.flatMap { WebhookCursor($0) })
      if json {
        try Output.json(PageBody(webhooks, next: next))
      } else {
        try print(webhooks, next, now: try await store.now())
      }
    }
  }

  private func print(_ webhooks: [WebhookRecord], _ next: WebhookCursor?, now: Timestamp) throws {
    if webhooks.isEmpty {
      Output.note(
        next == nil
          ? "No such delivery. If GitHub or GitLab has sent it, their log of the hook shows the answer."
          : "None among the 5,000 that were looked at.")
    } else {
      let terminal = Terminal.output
      try Output.lines(webhooks.table(now: now).lines(width: terminal.width, usesColor: terminal.usesColor))
    }
    if let next { Output.note("More: add --cursor \(next)") }
  }
}

extension [WebhookRecord] {
  /// A row for each delivery.
  func table(now: Timestamp) -> Table {
    var table = Table([
      .left("RECEIVED"), .left("EVENT"), .pullRequest("ABOUT"), .optional("COMMIT"), .optional("OWNER"),
      .optional("REVIEW NOW"),
      .prose("OUTCOME"),
    ])
    for webhook in self {
      let about = webhook.repository.map { name in webhook.number.map { "\(name)#\($0)" } ?? name }
      table.append([
        .init(Times.relative(webhook.receivedAt, to: now), .dim),
        .init([webhook.event, webhook.action].compactMap { $0 }.joined(separator: " ")), .init(about ?? "—"),
        .init(webhook.sha.map { String($0.prefix(12)) } ?? "—", .dim), .init(webhook.owner.map { "\($0)" } ?? "—"),
        .init(webhook.review?.status.rawValue ?? "—", webhook.review?.status.style), .init(webhook.result),
      ])
    }
    return table
  }
}
