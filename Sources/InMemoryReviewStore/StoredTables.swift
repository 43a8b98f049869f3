internal import Primitives

/// The tables, and what of them a crash of Postgres would lose.
struct StoredTables: Sendable {
  var tables = LedgerTables()
  /// Whether ``lose(_:)`` may be called.
  let keepsUnwritten: Bool
  /// The commits that are not on disk, oldest first, with the tables as they were before.
  private var unwritten: [(time: Timestamp, before: LedgerTables)] = []

  /// Statements whose commits do not wait for the disk.
  private static let unwaited: Set<String> = ["claim_due", "published", "heartbeat", "sign_on"]
  /// Statements that write nothing.
  private static let reading: Set<String> = [
    "now", "find", "transitions", "next_due", "owed_claims", "own_claims", "still_leased", "undecided_holders",
    "unanswered_roll_calls", "silent_count", "worker_has_answered", "outbox_count", "undelivered_cancels", "counts",
  ]
  /// After so long a commit is on disk, whatever comes after it.
  private static let unwrittenMax: Duration = .seconds(1)

  init(keepsUnwritten: Bool) { self.keepsUnwritten = keepsUnwritten }

  /// To be called before each statement, at its instant. A commit that waits for the disk takes all commits before it there.
  mutating func willRun(_ statement: String) {
    guard keepsUnwritten else { return }
    if Self.unwaited.contains(statement) {
      let oldest = tables.now.subtracting(Self.unwrittenMax)
      unwritten.removeAll { $0.time < oldest }
      unwritten.append((tables.now, tables))
    } else if !unwritten.isEmpty, !statement.isEmpty, !Self.reading.contains(statement) {
      unwritten = []
    }
  }

  /// Loses the commits of this last time that are not on disk.
  mutating func lose(_ time: Duration) {
    precondition(keepsUnwritten, "this ledger does not crash")
    let safe = tables.now.subtracting(time)
    if let first = unwritten.first(where: { $0.time > safe }) { tables.goBack(to: first.before) }
    unwritten = []
  }
}
