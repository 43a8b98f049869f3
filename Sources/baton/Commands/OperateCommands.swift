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

  @OptionGroup var reviews: OperationOptions

  @Option(help: ArgumentHelp("Why, for those who look at the review later.", valueName: "text"))
  var reason: String = "cancelled by a user"

  func validate() throws { try reviews.validate(for: .cancel) }

  func run() async throws { try await reviews.run(.cancel, reason: reason) }
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

  @OptionGroup var reviews: OperationOptions

  func validate() throws { try reviews.validate(for: .retry) }

  func run() async throws { try await reviews.run(.retry) }
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

  @OptionGroup var reviews: OperationOptions

  func validate() throws { try reviews.validate(for: .release) }

  func run() async throws { try await reviews.run(.release) }
}

/// What `baton cancel`, `baton retry` and `baton release` have in common.
struct OperationOptions: ParsableArguments {
  @Argument(help: ArgumentHelp("The reviews, each by its id or its first digits, four or more.", valueName: "id"))
  var ids: [IDReference] = []

  @OptionGroup(title: "Filter") var filter: FilterOptions
  @OptionGroup(title: "Confirming") var confirming: ConfirmingOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func validate(for operation: ReviewOperation) throws { try run(of: operation, reason: nil).validate() }

  func run(_ operation: ReviewOperation, reason: String? = nil) async throws {
    let session = try CommandSession(
      "baton \(operation.rawValue)", common, [database], requiring: [.databaseURL])
    try await session.withStore { try await run(of: operation, reason: reason).run($0) }
  }

  private func run(of operation: ReviewOperation, reason: String?) -> OperationRun {
    OperationRun(operation: operation, ids: ids, filter: filter, reason: reason, confirming: confirming)
  }
}
