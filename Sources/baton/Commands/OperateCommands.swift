internal import ArgumentParser
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Settings

/// `baton cancel`.
struct CancelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cancel",
    abstract: "Cancels reviews that have not ended: some by their ids, or all that match a filter.",
    discussion: """
      The row changes at once. A worker that runs the review is notified until it accepts the cancel. Without --status, a filter matches \
      pending, queued and running reviews.

      EXAMPLES:
        baton cancel 0b6e6c1e
        baton cancel --owner org:acme --status pending --dry-run
        baton cancel --repo acme/shop --yes --reason "the repository is archived"

      \(OperationOutput.help)
      """)

  @Argument(help: ArgumentHelp("Reviews to cancel, each by its id or the start of it.", valueName: "id"))
  var ids: [IDReference] = []

  @OptionGroup(title: "Filter") var filter: FilterOptions

  @Option(help: ArgumentHelp("Why, for those who look at the review later.", valueName: "text"))
  var reason: String = "cancelled by a user"

  @OptionGroup(title: "Confirming") var confirming: ConfirmingOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  private var operation: OperationRun {
    OperationRun(operation: .cancel, ids: ids, filter: filter, reason: reason, confirming: confirming)
  }

  func validate() throws { try operation.validate() }

  func run() async throws {
    let session = try Session("baton cancel", common, [database], requiring: [.databaseURL])
    try await session.withStore { try await operation.run($0) }
  }
}

/// `baton retry`.
struct RetryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retry",
    abstract:
      "Starts failed or cancelled reviews again, as new attempts: some by their ids, or all that match a filter.",
    discussion: """
      Without --status, a filter matches failed reviews only: what was cancelled was cancelled on purpose, or has a newer review.

      EXAMPLES:
        baton retry 0b6e6c1e
        baton retry --error-code worker_lost --since 2h --dry-run
        baton retry --status failed --owner org:acme --since 2026-11-28T08:00:00Z --count 38

      \(OperationOutput.help)
      """)

  @Argument(help: ArgumentHelp("Reviews to start again, each by its id or the start of it.", valueName: "id"))
  var ids: [IDReference] = []

  @OptionGroup(title: "Filter") var filter: FilterOptions
  @OptionGroup(title: "Confirming") var confirming: ConfirmingOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  private var operation: OperationRun {
    OperationRun(operation: .retry, ids: ids, filter: filter, reason: nil, confirming: confirming)
  }

  func validate() throws { try operation.validate() }

  func run() async throws {
    let session = try Session("baton retry", common, [database], requiring: [.databaseURL])
    try await session.withStore { try await operation.run($0) }
  }
}

/// `baton release`.
struct ReleaseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "release",
    abstract:
      "Makes pending reviews due now that wait for a time, or are held: some by their ids, or all that match a filter.",
    discussion: """
      A review waits for a time after a failed attempt, because of a rate limit or an outage, or as it was submitted; one that is \
      held (available at infinity) waits indefinitely. Its owner's pause and limit hold as before.

      EXAMPLES:
        baton release 0b6e6c1e
        baton release --owner org:acme --dry-run
        baton release --since 1h --yes

      \(OperationOutput.help)
      """)

  @Argument(help: ArgumentHelp("Reviews to release, each by its id or the start of it.", valueName: "id"))
  var ids: [IDReference] = []

  @OptionGroup(title: "Filter") var filter: FilterOptions
  @OptionGroup(title: "Confirming") var confirming: ConfirmingOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  private var operation: OperationRun {
    OperationRun(operation: .release, ids: ids, filter: filter, reason: nil, confirming: confirming)
  }

  func validate() throws { try operation.validate() }

  func run() async throws {
    let session = try Session("baton release", common, [database], requiring: [.databaseURL])
    try await session.withStore { try await operation.run($0) }
  }
}
