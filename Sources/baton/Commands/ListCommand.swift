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
    abstract: "Lists reviews, newest first.",
    discussion: """
      EXAMPLES:
        baton list --status failed
        baton list --owner org:acme --repo acme/shop --limit 100
        baton list --json | jq -r '.reviews[].id'

      With --json: {"reviews": [...], "nextCursor"}, as GET /api/reviews answers; nextCursor is null on the last page.
      """)

  @Option(help: ArgumentHelp("Only reviews with this status.", valueName: "status"))
  var status: ReviewStatus?

  @Option(help: ArgumentHelp("Only reviews of this owner, such as org:acme.", valueName: "type:id"))
  var owner: Owner?

  @Option(help: ArgumentHelp("Only reviews of this repository.", valueName: "owner/name"))
  var repo: String?

  @Option(help: "The most reviews to list, 1 to 1000.")
  var limit = 20

  @Option(help: ArgumentHelp("Go on where the last page ended.", valueName: "cursor"))
  var cursor: PageCursor?

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func validate() throws {
    guard (1...1_000).contains(limit) else { throw ValidationError("--limit has to be from 1 to 1000.") }
  }

  func run() async throws {
    let session = try Session("baton list", common, [database], requiring: [.databaseURL])
    try await session.withStore { store in
      let filter = ReviewFilter(status: status, owner: owner, repository: repo)
      let (reviews, next) = try await store.list(filter, limit: limit, after: cursor?.cursor)
      if json {
        try Output.json(ReviewPage(reviews: reviews.map { ReviewBody($0) }, nextCursor: next?.description))
      } else {
        try print(reviews, next, now: try await store.now())
      }
    }
  }

  private func print(_ reviews: [Review], _ next: ReviewCursor?, now: Timestamp) throws {
    guard !reviews.isEmpty else { return Output.note("No such review.") }
    let terminal = Terminal.output
    try Output.lines(reviews.table(now: now).lines(width: terminal.width, usesColor: terminal.usesColor))
    if let next { Output.note("More: add --cursor \(next)") }
  }
}

/// What `baton list --json` prints, and `GET /api/reviews` answers.
struct ReviewPage: Encodable {
  var reviews: [ReviewBody]
  var nextCursor: String?

  private enum CodingKeys: String, CodingKey { case reviews, nextCursor }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(reviews, forKey: .reviews)
    // Null at the end, so that the key is always there.
    try container.encode(nextCursor, forKey: .nextCursor)
  }
}

extension [Review] {
  /// A row for each review.
  func table(now: Timestamp) -> Table {
    var table = Table([
      .left("ID"), .left("STATUS"), .left("OWNER"), .left("PULL REQUEST"), .right("ATTEMPT"), .right("CREATED"),
      .prose("REASON"),
    ])
    for review in self {
      table.append([
        .init(review.id.lowercase), .init(review.status.rawValue, review.status.style), .init("\(review.owner)"),
        .init(review.pullRequest), .init("\(review.attempt)"), .init(Times.relative(review.createdAt, to: now)),
        .init(review.outcome ?? "", review.status == .failed ? .red : .dim),
      ])
    }
    return table
  }
}
