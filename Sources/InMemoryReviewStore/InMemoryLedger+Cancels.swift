package import FoundationEssentials
internal import Primitives
package import ReviewStore
internal import Reviews

// Cancels that the worker has to accept.
extension InMemoryLedger {
  /// How often an entry is tried at least before it is given up.
  private static let triesMin = 10

  package func addCancel(of id: UUID, attempt: Int) async throws {
    try await run("add_cancel") { tables in tables.addCancel(of: id, attempt: attempt) }
  }

  package func takeOutbox(limit: Int, for lease: Duration) async throws -> [OutboxEntry] {
    try await run("take_outbox") { tables in
      let due = tables.outbox.filter { $0.value.dueAt <= tables.now }.sorted {
        ($0.value.dueAt, $0.key) < ($1.value.dueAt, $1.key)
      }
      return due.prefix(limit).map { id, row in
        tables.outbox[id]?.tries += 1
        tables.outbox[id]?.dueAt = tables.now.adding(lease)
        return OutboxEntry(
          id: id, reviewID: row.reviewID, attempt: row.attempt, tries: row.tries + 1,
          trace: tables.reviews[row.reviewID]?.row.trace ?? TraceContext(of: row.reviewID))
      }
    }
  }

  package func deleteOutbox(_ id: Int64) async throws {
    try await run("delete_outbox") { tables in tables.outbox[id] = nil }
  }

  package func failOutbox(_ id: Int64, error: String, retryAfter delay: Duration) async throws -> Bool {
    try await run("fail_outbox") { tables in
      guard let row = tables.outbox[id] else { return false }
      let isGivenUp =
        row.tries >= Self.triesMin && row.createdAt < tables.now.subtracting(ReviewStore.outboxPatience)
      tables.outbox[id]?.lastError = error.storable
      tables.outbox[id]?.givenUpAt = isGivenUp ? tables.now : nil
      tables.outbox[id]?.dueAt = isGivenUp ? .infinity : tables.now.adding(max(delay, .zero))
      if isGivenUp { tables.counts.cancelsGivenUp += 1 }
      return isGivenUp
    }
  }

  package func outboxCount() async throws -> Int {
    try await run("outbox_count") { tables in tables.outbox.values.count { $0.dueAt <= tables.now } }
  }

  package func undeliveredCancels(of id: UUID) async throws -> [UndeliveredCancel] {
    try await run("undelivered_cancels") { tables in
      tables.outbox.values.filter { $0.reviewID == id }.sorted { $0.attempt < $1.attempt }.compactMap { row in
        guard let error = row.lastError else { return nil }
        return UndeliveredCancel(
          attempt: row.attempt, since: row.createdAt, tries: row.tries, lastError: error,
          nextTry: row.givenUpAt == nil ? row.dueAt : nil, givenUpAt: row.givenUpAt)
      }
    }
  }
}

/// A row of `baton_outbox`.
struct OutboxRow: Sendable {
  let reviewID: UUID
  let attempt: Int
  let createdAt: Timestamp
  var tries = 0
  var dueAt: Timestamp
  var lastError: String?
  var givenUpAt: Timestamp?
}

extension LedgerTables {
  /// Once for each attempt.
  mutating func addCancel(of id: UUID, attempt: Int) {
    notify(.cancelsDue)
    guard !outbox.values.contains(where: { $0.reviewID == id && $0.attempt == attempt }) else { return }
    outbox[nextID()] = OutboxRow(reviewID: id, attempt: attempt, createdAt: now, dueAt: now)
  }
}
