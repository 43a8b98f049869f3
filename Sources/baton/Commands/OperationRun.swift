internal import ArgumentParser
internal import FoundationEssentials
internal import Primitives
internal import ReviewStore
internal import Reviews

/// `baton retry`, `baton release` and `baton cancel`, each on reviews that are named, or on all that match a filter.
struct OperationRun {
  var operation: ReviewOperation
  var ids: [IDReference]
  var filter: FilterOptions
  var reason: String?
  var confirming: ConfirmingOptions

  /// Rows of the table that is shown before a question, and in a dry run on a terminal.
  private static let shownMax = 10
  /// Locked reviews that are named.
  private static let namedMax = 100

  func validate() throws {
    let verb = operation.rawValue
    guard ids.isEmpty || filter.isEmpty else {
      throw ValidationError("Give ids, or a filter such as --owner, not both.")
    }
    guard !ids.isEmpty || !filter.isEmpty else {
      throw ValidationError("Nothing to \(verb): give ids, or a filter such as --owner org:acme --since 2h.")
    }
    if let status = filter.statuses.first(where: { !operation.statuses.contains($0) }) {
      let names = operation.statuses.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("A \(status.rawValue) review cannot be \(operation.participle): --status takes \(names).")
    }
    guard ids.isEmpty || confirming.count == nil else { throw ValidationError("--count needs a filter.") }
    if let count = confirming.count, count < 0 { throw ValidationError("--count has to be 0 or more.") }
    let isDecided = confirming.dryRun || confirming.isConfirmed || confirming.count != nil
    guard !ids.isEmpty || isDecided || Terminal.canAsk else {
      throw ValidationError(
        "There is no terminal to ask on: add --dry-run to see what matches, or --yes or --count N to \(verb) it.")
    }
  }

  func run(_ store: ReviewStore) async throws {
    guard ids.isEmpty else { return try await runNamed(store) }
    let statuses = filter.statuses.isEmpty ? operation.defaultStatuses : filter.statuses
    let matching = try await store.matching(
      filter.filter(now: try await store.now()), statuses: statuses, for: operation)
    guard matching.count < ReviewStore.matchCountMax else {
      throw Failure(
        .failed, "\(ReviewStore.matchCountMax) reviews or more match; nothing was changed. Narrow the filter.")
    }
    if confirming.dryRun {
      try await show(matching, store, isWhole: !Terminal.output.isInteractive)
      return try finish(OperationResult(), of: matching.count, ids: matching.map(\.id))
    }
    try await confirm(matching, store)
    try await apply(matching, store)
  }

  // MARK: Named reviews

  private func runNamed(_ store: ReviewStore) async throws {
    // All of them before the first is changed: a mistyped id changes nothing.
    // Each once: two spellings of one review are one.
    var uuids: [UUID] = []
    for reference in ids {
      let id = try await store.id(reference)
      if !uuids.contains(id) { uuids.append(id) }
    }
    if confirming.dryRun {
      let rows = try await store.reviews(uuids)
      let now = try await store.now()
      let possible = rows.filter { operation.isPossible(for: $0, now: now) }
      guard !confirming.json else {
        var result = OperationResult()
        result.skipped = uuids.count - possible.count
        let ids = Set(possible.map(\.id))
        return try finish(result, of: uuids.count, ids: uuids.filter { ids.contains($0) })
      }
      for row in possible {
        try Output.line("\(row.id.lowercase)  \(row.status.rawValue)  \(DisplayText.safe(row.pullRequest))")
      }
      return Output.note("\(possible.count) of \(uuids.count) would be \(operation.participle); nothing was changed")
    }
    let result = try await apply(to: uuids, store) { id, answer in
      if let refusal = operation.refusal(answer) {
        Output.note("Error: \(id.lowercase): \(refusal)")
      } else if !confirming.json {
        try Output.line("\(id.lowercase)  \(operation.text(answer))")
      }
    }
    if result.skipped > 0 || !result.locked.isEmpty { throw Failure.reported }
  }

  /// Does it to the reviews, and says what was done: also if it cannot go on.
  private func apply(
    to ids: [UUID], _ store: ReviewStore, onEach: (UUID, OperationAnswer) throws -> Void
  ) async throws -> OperationResult {
    var result = OperationResult()
    do {
      try await store.operate(operation, each: ids, reason: reason, into: &result, onEach: onEach)
    } catch {
      if !(error is OutputFault) { try summarize(result, of: ids.count) }
      throw error
    }
    try summarize(result, of: ids.count)
    for id in result.locked.prefix(Self.namedMax) {
      Output.note(
        "Error: \(id.lowercase): another transaction has locked it (pg_stat_activity and pg_locks show which)")
    }
    if !result.locked.isEmpty {
      Output.note("\(result.locked.count) locked, so not \(operation.participle); try again")
    }
    return result
  }

  /// Of named reviews each has its own line.
  private func summarize(_ result: OperationResult, of matched: Int) throws {
    if confirming.json || ids.isEmpty { try finish(result, of: matched) }
  }

  // MARK: Matching reviews

  private func confirm(_ matching: [MatchingReview], _ store: ReviewStore) async throws {
    if let count = confirming.count {
      guard count == matching.count else {
        throw Failure(.failed, "\(matching.count) reviews match, not \(count); nothing was changed")
      }
      return
    }
    guard !confirming.isConfirmed, !matching.isEmpty else { return }
    try await show(matching, store, isWhole: false)
    try Output.write(
      "\(operation.title) \(matching.count == 1 ? "this review" : "these \(matching.count) reviews")? "
        + "Type \(matching.count) to confirm: ", to: Output.standardError)
    guard readLine() == "\(matching.count)" else { throw Failure(.failed, "nothing was changed") }
  }

  private func apply(_ matching: [MatchingReview], _ store: ReviewStore) async throws {
    let result = try await apply(to: matching.map(\.id), store) { id, answer in
      // One that has moved on since it was looked for is only counted.
      if case .done = answer, !confirming.json { try Output.line("\(id.lowercase)  \(operation.text(answer))") }
    }
    if !result.locked.isEmpty { throw Failure.reported }
  }

  /// - Parameter ids: of a dry run: what would be changed. Otherwise it is what was changed.
  private func finish(_ result: OperationResult, of matched: Int, ids: [UUID]? = nil) throws {
    guard !confirming.json else {
      return try Output.json(
        OperationOutput(
          matched: matched, changed: result.changed.count, skipped: result.skipped, locked: result.locked.count,
          ids: (ids ?? result.changed).map(\.lowercase)))
    }
    if confirming.dryRun {
      Output.note("\(matched) reviews would be \(operation.participle); nothing was changed")
    } else {
      let note = result.skipped > 0 ? "; \(result.skipped) have changed since they were looked for" : ""
      Output.note("\(result.changed.count) reviews \(operation.participle)\(note)")
    }
  }

  private func show(_ matching: [MatchingReview], _ store: ReviewStore, isWhole: Bool) async throws {
    guard !confirming.json, !matching.isEmpty else { return }
    let now = try await store.now()
    let shown = isWhole ? matching : Array(matching.prefix(Self.shownMax))
    let terminal = Terminal.output
    try Output.lines(shown.table(now: now).lines(width: terminal.width, usesColor: terminal.usesColor))
    if shown.count < matching.count { Output.note("and \(matching.count - shown.count) more") }
  }
}

/// What an operation prints with `--json`, and what the API answers for many reviews.
struct OperationOutput: Encodable {
  var matched: Int
  var changed: Int
  var skipped: Int
  var locked: Int
  var ids: [String]

  static let help = """
    A filter's reviews are shown and have to be confirmed with their number, --count or --yes. With --json, one line: {"matched", \
    "changed", "skipped", "locked", "ids"}; ids are those that were changed, and in a dry run those that would be; skipped are those that have changed since they were looked for, or were named and have a \
    status that does not allow it; locked are those that another transaction has locked (exit status 1).
    """
}

extension ReviewOperation {
  fileprivate func text(_ answer: OperationAnswer) -> String {
    guard case .done(_, let attempt) = answer, self == .retry else { return participle }
    return "pending, attempt \(attempt)"
  }

  /// Why it was not done; nil if it was.
  fileprivate func refusal(_ answer: OperationAnswer) -> String? {
    switch (self, answer) {
    case (_, .done): nil
    case (_, .unknownReview): "no such review"
    case (.release, .conflict(.pending)): "due already; a producer claims it next"
    case (.release, .conflict(let status)): "\(status.rawValue), so it waits for no time"
    case (.cancel, .conflict(let status)): "already \(status.rawValue), so there is nothing to cancel"
    case (.retry, .conflict(.completed)): "completed: a review that succeeded is not started again"
    case (.retry, .conflict(let status)): "still \(status.rawValue); `baton cancel` it first"
    }
  }
}

extension [MatchingReview] {
  fileprivate func table(now: Timestamp) -> Table {
    var table = Table([
      .whole("ID"), .left("STATUS"), .pullRequest("PULL REQUEST"), .optional("ERROR CODE"), .optional("CREATED"),
      .optional("OWNER"),
    ])
    for review in self {
      table.append([
        .init(review.id.lowercase), .init(review.status.rawValue, review.status.style),
        .init("\(review.repository)#\(review.number)"), .init(review.errorCode ?? ""),
        .init(Times.relative(review.createdAt, to: now)), .init("\(review.owner)"),
      ])
    }
    return table
  }
}
