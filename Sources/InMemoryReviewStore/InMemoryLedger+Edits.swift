package import FoundationEssentials
package import Primitives
package import ReviewStore
package import Reviews

// What a person does with SQL, for tests.
extension InMemoryLedger {
  /// Gives a pending review another time; `infinity` holds it.
  package func schedule(_ id: UUID, at time: Timestamp) {
    _ = try? change { tables in
      tables.amend(id) { $0.review.availableAt = time }
      tables.notify(.reviewsDue)
    }
  }

  /// Enters a heartbeat, as if its holder had sent them all the time until then.
  package func setHeartbeat(of holder: Holder.ID, to time: Timestamp) {
    _ = try? change { $0.holders[holder]?.heartbeatAt = time }
  }

  /// Locks reviews, as an open transaction does, until ``unlock()``.
  package func lock(_ ids: Set<UUID>) { _ = try? change { $0.locked = ids } }

  /// Ends the transaction of ``lock(_:)``.
  package func unlock() { _ = try? change { $0.locked = [] } }

  /// Where every review stands, without a statement.
  package var standings: [ReviewStanding] {
    let rows = (try? change { Array($0.reviews.values) }) ?? []
    return rows.map { stored in
      ReviewStanding(
        id: stored.row.review.id, attempt: stored.row.review.attempt, status: stored.row.review.status,
        errorCode: stored.row.review.errorCode)
    }
  }
}

/// How far a review is.
package struct ReviewStanding: Sendable, Hashable {
  package var id: UUID
  package var attempt: Int
  package var status: ReviewStatus
  package var errorCode: String?
}
