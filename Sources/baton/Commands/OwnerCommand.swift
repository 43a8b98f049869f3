internal import ArgumentParser
internal import ReviewStore
internal import Reviews
internal import Settings

/// `baton owner`.
struct OwnerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "owner",
    abstract: "Limits, pauses and lists the owners of reviews.",
    discussion: """
      An owner is org:NAME or user:NAME. Its limit is how many of its reviews may be queued or running at once.

      EXAMPLES:
        baton owner set org:acme --limit 50
        baton owner pause user:42
        baton owner list
      """,
    subcommands: [OwnerSetCommand.self, OwnerPauseCommand.self, OwnerResumeCommand.self, OwnerListCommand.self])
}

/// `baton owner set`.
struct OwnerSetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set",
    abstract: "Sets an owner's limit.",
    discussion: """
      EXAMPLES:
        baton owner set org:acme --limit 50
        baton owner set org:acme --limit none
      """)

  @Argument(help: ArgumentHelp("The owner, such as org:acme or user:42.", valueName: "type:id"))
  var owner: Owner

  @Option(help: ArgumentHelp("Reviews at once; none: BATON_OWNER_LIMIT.", valueName: "count|none"))
  var limit: LimitArgument

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func validate() throws {
    guard limit.limit != 0 else {
      throw ValidationError(
        "A limit of 0 would hold the owner's reviews back indefinitely. To pause it: baton owner pause \(DisplayText.safe("\(owner)"))"
      )
    }
  }

  func run() async throws {
    let session = try CommandSession("baton owner set", common, [database], requiring: [.databaseURL])
    try await session.withStore { try await $0.setLimit(of: owner, to: limit.limit) }
    let text = limit.limit.map { "\($0)" } ?? "none of its own (BATON_OWNER_LIMIT)"
    try Output.line("\(DisplayText.safe("\(owner)"))  limit \(text)")
  }
}

/// `baton owner pause`.
struct OwnerPauseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause",
    abstract: "Stops claiming an owner's reviews; what is queued already goes on.",
    discussion: """
      An owner may be paused before its first review.

      EXAMPLE:
        baton owner pause org:acme
      """)

  @Argument(help: ArgumentHelp("The owner, such as org:acme or user:42.", valueName: "type:id"))
  var owner: Owner

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try CommandSession("baton owner pause", common, [database], requiring: [.databaseURL])
    let isNew = try await session.withStore { try await $0.pause(owner) }
    let name = DisplayText.safe("\(owner)")
    try Output.line("\(name)  paused")
    if isNew { Output.note("No review of \(name) is known: it is paused before its first one.") }
  }
}

/// `baton owner resume`.
struct OwnerResumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume",
    abstract: "Claims a paused owner's reviews again.",
    discussion: """
      EXAMPLE:
        baton owner resume org:acme
      """)

  @Argument(help: ArgumentHelp("The owner, such as org:acme or user:42.", valueName: "type:id"))
  var owner: Owner

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try CommandSession("baton owner resume", common, [database], requiring: [.databaseURL])
    let isKnown = try await session.withStore { try await $0.setPaused(false, owner) }
    let name = DisplayText.safe("\(owner)")
    guard isKnown else {
      throw Failure(
        .failed,
        "no owner \(name): it has neither reviews nor a limit.\nLook at `baton owner list`, or make it with "
          + "`baton owner set \(name) --limit N`.")
    }
    try Output.line("\(name)  resumed")
  }
}

/// `baton owner list`.
struct OwnerListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Lists owners with their limit and load, the busiest first.",
    discussion: """
      EXAMPLES:
        baton owner list
        baton owner list --paused
        baton owner list --limit 10000 --json | jq -r '.owners[].owner.id'

      A line on standard error says so if there are more than are listed.

      With --json: {"owners": [{"owner": {"type", "id"}, "limit", "isPaused", "pending", "active"}]}; limit is null for \
      BATON_OWNER_LIMIT.
      """)

  @Flag(name: .customLong("paused"), help: "Only owners that are paused.")
  var onlyPaused = false

  @Option(help: "The most owners to list, 1 to 10000.")
  var limit = 100

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  private struct Page: Encodable {
    var owners: [OwnerOutput]
  }

  func validate() throws {
    guard (1...10_000).contains(limit) else { throw ValidationError("--limit has to be from 1 to 10000.") }
  }

  func run() async throws {
    let session = try CommandSession("baton owner list", common, [database], requiring: [.databaseURL])
    let found = try await session.withStore { try await $0.owners(limit: limit + 1, onlyPaused: onlyPaused) }
    let owners = Array(found.prefix(limit))
    if found.count > limit { Output.noteMore(limitMax: 10_000) }
    guard !json else { return try Output.json(Page(owners: owners.map { OwnerOutput(load: $0) })) }
    guard !owners.isEmpty else {
      return Output.note(onlyPaused ? "No owner is paused." : "No owner yet: the first review of one makes it.")
    }
    var table = Table([.left("OWNER"), .right("LIMIT"), .right("ACTIVE"), .right("PENDING"), .left("STATE")])
    for owner in owners {
      table.append([
        .init("\(owner.owner)"), .init(owner.limit.map { "\($0)" } ?? "\(session.settings.ownerLimit) (default)"),
        .init("\(owner.active)"), .init("\(owner.pending)"), owner.isPaused ? .init("paused", .yellow) : .init(""),
      ])
    }
    let terminal = Terminal.output
    try Output.lines(table.lines(width: terminal.width, usesColor: terminal.usesColor))
  }
}

/// An owner as `baton owner list --json` prints it, every key always present.
struct OwnerOutput: Encodable {
  var load: OwnerSummary

  private enum CodingKeys: String, CodingKey { case owner, limit, isPaused, pending, active }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(load.owner, forKey: .owner)
    try container.encode(load.limit, forKey: .limit)
    try container.encode(load.isPaused, forKey: .isPaused)
    try container.encode(load.pending, forKey: .pending)
    try container.encode(load.active, forKey: .active)
  }
}
