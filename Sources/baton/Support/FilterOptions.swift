internal import ArgumentParser
internal import Primitives
internal import ReviewStore
internal import Reviews

/// Which reviews an operation is for, if not by their ids.
struct FilterOptions: ParsableArguments {
  @Option(
    name: .customLong("status"),
    help: ArgumentHelp("Only reviews with this status; may be given more than once.", valueName: "status"))
  var statuses: [ReviewStatus] = []

  @Option(help: ArgumentHelp("Only reviews that ended with this code, such as worker_lost.", valueName: "code"))
  var errorCode: String?

  @Option(help: ArgumentHelp("Only reviews of this owner, such as org:acme.", valueName: "type:id"))
  var owner: Owner?

  @Option(help: ArgumentHelp("Only reviews of this repository.", valueName: "owner/name"))
  var repo: String?

  @Option(help: ArgumentHelp("Only reviews created since then: 2h, 7d, 2026-11-28T08:00:00Z.", valueName: "time"))
  var since: TimeBound?

  @Option(help: ArgumentHelp("Only reviews created before then.", valueName: "time"))
  var until: TimeBound?

  /// Whether nothing limits the reviews.
  var isEmpty: Bool {
    statuses.isEmpty && errorCode == nil && owner == nil && repo == nil && since == nil && until == nil
  }

  /// The filter, by the database's clock.
  func filter(now: Timestamp) -> ReviewFilter {
    ReviewFilter(
      owner: owner, repository: repo, errorCode: errorCode, since: since?.instant(now: now),
      until: until?.instant(now: now))
  }
}

/// How an operation on many reviews is confirmed.
struct ConfirmingOptions: ParsableArguments {
  @Flag(help: "Only show which reviews match.")
  var dryRun = false

  @Flag(name: [.customLong("yes"), .customShort("y")], help: "Do not ask.")
  var isConfirmed = false

  @Option(help: ArgumentHelp("Do not ask, and go on only if exactly so many reviews match.", valueName: "n"))
  var count: Int?

  @Flag(help: "Print JSON, one line.")
  var json = false
}

extension ReviewSearch: ExpressibleByArgument {
  init?(argument: String) { self.init(argument) }
}

extension TimeBound: ExpressibleByArgument {
  init?(argument: String) { self.init(argument) }
}
