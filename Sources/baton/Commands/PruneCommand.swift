internal import ArgumentParser
internal import ReviewStore
internal import Reviews
internal import Settings

/// `baton prune`.
struct PruneCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune",
    abstract: "Deletes reviews that ended long ago, and old webhook deliveries.",
    discussion: """
      With a review goes what happened to it. Reviews that have not ended stay, however old, and so do deliveries that were \
      not processed. It works in small transactions, so that nobody waits for it; any number may run.

      EXAMPLES:
        baton prune --older-than 90d
        17 3 * * *  baton prune --older-than 90d --config /etc/baton.yaml
        baton prune --older-than 90d --interval 24h

      With --json, one line for each pass: {"reviews", "webhookDeliveries"}: how many were deleted. With --interval it keeps running, without a \
      connection between passes; a pass that fails ends it, and any signal does.
      """)

  @Option(help: ArgumentHelp("Delete what ended longer ago than this: 90d, 36h.", valueName: "age"))
  var olderThan: TimeSpan

  @Option(help: "Rows of one transaction, 1 to 10000.")
  var batch = 500

  @Option(help: ArgumentHelp("Keep running, with so much time between passes: 24h, at least 1m.", valueName: "time"))
  var interval: TimeSpan?

  @Flag(help: "Print JSON, one line.")
  var json = false

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  /// What was deleted.
  struct Counts: Encodable {
    var reviews = 0
    var webhookDeliveries = 0
  }

  func validate() throws {
    // 90 would be seconds: a likely mistake, and what is deleted cannot be restored.
    guard olderThan.description.last?.isLetter == true else {
      throw ValidationError("--older-than needs a unit, such as \(olderThan)d for days.")
    }
    guard olderThan.duration <= .seconds(3_650 * 86_400) else {
      throw ValidationError("--older-than has to be at most ten years, 3650d.")
    }
    if let interval, interval.duration < .seconds(60) { throw ValidationError("--interval has to be at least 1m.") }
    guard (1...10_000).contains(batch) else { throw ValidationError("--batch has to be from 1 to 10000.") }
  }

  func run() async throws {
    let session = try CommandSession("baton prune", common, [database], requiring: [.databaseURL])
    try await runOnce(session)
    while let interval {
      try await Task.sleep(for: interval.duration)
      try await runOnce(session)
    }
  }

  private func runOnce(_ session: CommandSession) async throws {
    var counts = Counts()
    do {
      try await session.withStore { try await prune($0, &counts) }
    } catch {
      // What was deleted until then stays deleted.
      if counts.reviews + counts.webhookDeliveries > 0 { try report(counts) }
      throw error
    }
    try report(counts)
  }

  private func prune(_ store: ReviewStore, _ counts: inout Counts) async throws {
    var mark: PruneMark?
    repeat {
      let page = try await store.pruneReviews(endedFor: olderThan.duration, after: mark, limit: batch)
      counts.reviews += page.deleted
      mark = page.next
    } while mark != nil
    var deleted = batch
    while deleted == batch {
      deleted = try await store.pruneDeliveries(olderThan: olderThan.duration, limit: batch)
      counts.webhookDeliveries += deleted
    }
  }

  private func report(_ counts: Counts) throws {
    guard !json else { return try Output.json(counts) }
    try Output.line("\(counts.reviews) reviews and \(counts.webhookDeliveries) webhook deliveries deleted")
  }
}
