internal import ArgumentParser
internal import BatonServer
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Settings

/// `baton list`.
struct ListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Lists reviews, newest first, and searches them.",
    discussion: """
      EXAMPLES:
        baton list --status failed
        baton list --owner org:acme --repo acme/shop --limit 100
        baton list --search 42
        baton list --search "add a cart" --since 7d
        baton list --error-code worker_lost --since 2h
        baton list --status failed --sort -ended
        baton list --json | jq -r '.reviews[].id'

      One call looks at 5,000 reviews at most, so that it takes milliseconds over any history: --cursor goes on. --search finds \
      the start of an id, and a number that at most 2,000 reviews have, at any age, and lists these first; then those with the words.
      With --json: {"reviews": [...], "nextCursor"}, as GET /api/reviews answers; nextCursor is null on the last page.
      """)

  @Option(help: ArgumentHelp("Only reviews with this status.", valueName: "status"))
  var status: ReviewStatus?

  @Option(help: ArgumentHelp("Only reviews of this owner, such as org:acme.", valueName: "type:id"))
  var owner: Owner?

  @Option(help: ArgumentHelp("Only reviews of this repository.", valueName: "owner/name"))
  var repo: String?

  @Option(help: ArgumentHelp("Only reviews that ended with this code.", valueName: "code"))
  var errorCode: String?

  @Option(help: ArgumentHelp("Only reviews created since then: 2h, 7d, 2026-11-28T08:00:00Z.", valueName: "time"))
  var since: TimeBound?

  @Option(help: ArgumentHelp("Only reviews created before then.", valueName: "time"))
  var until: TimeBound?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Only reviews with this number, start of an id, error code or words.", valueName: "text"))
  var search: ReviewSearch?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Order: -created (newest first), created, -ended, ended, due or priority (of pending reviews).",
      valueName: "order"))
  var sort = ReviewSort.newest

  @Option(help: "The most reviews to list, 1 to 1000.")
  var limit = 20

  @Option(help: ArgumentHelp("Go on where the last page ended.", valueName: "cursor"))
  var cursor: PageCursor?

  @Flag(help: "Show all columns whole, however wide the terminal is.")
  var wide = false

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func validate() throws {
    guard (1...1_000).contains(limit) else {
      throw ValidationError("--limit has to be from 1 to 1000.")
    }
    if let status, !sort.statuses.contains(status) {
      let names = sort.statuses.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("--sort \(sort.rawValue) is an order of \(names) reviews only.")
    }
    if search != nil, sort != .newest {
      throw ValidationError("--search and --sort cannot be together.")
    }
  }

  func run() async throws {
    let session = try CommandSession("baton list", common, [database], requiring: [.databaseURL])
    try await session.withStore { store in
      let now = try await store.now()
      let filter = ReviewFilter(
        status: status, owner: owner, repository: repo, errorCode: errorCode, since: since?.instant(now: now),
        until: until?.instant(now: now))
      let page = try await store.page(
        filter, search: search, sort: sort, limit: limit, after: cursor?.cursor)
      if json {
        try Output.json(PageBody(page.reviews, next: page.next))
      } else {
        try print(page.reviews, page.next, now: now)
      }
    }
  }

  private func print(_ reviews: [Review], _ next: ReviewCursor?, now: Timestamp) throws {
    if reviews.isEmpty {
      Output.note(next == nil ? "No such review." : "None among the 5,000 that were looked at.")
    } else {
      let terminal = Terminal.output
      let table = reviews.table(now: now)
      try Output.lines(table.lines(width: wide ? nil : terminal.width, usesColor: terminal.usesColor))
    }
    if let next { Output.note("More: add --cursor \(next)") }
  }
}

extension [Review] {
  /// A row for each review.
  func table(now: Timestamp) -> Table {
    var table = Table([
      .whole("ID"), .left("STATUS"), .pullRequest("PULL REQUEST"), .prose("REASON"), .optional("CREATED"),
      .optional("OWNER"), .optional("ATTEMPT"),
    ])
    for review in self {
      table.append([
        .init(review.id.lowercase), .init(review.status.rawValue, review.status.style), .init(review.pullRequest),
        .init(review.outcome ?? "", review.status == .failed ? .red : .dim),
        .init(Times.relative(review.createdAt, to: now)), .init("\(review.owner)"), .init("\(review.attempt)"),
      ])
    }
    return table
  }
}
