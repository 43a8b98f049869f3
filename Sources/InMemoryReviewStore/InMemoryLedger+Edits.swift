package import FoundationEssentials
package import Primitives
package import ReviewStore
internal import Reviews

// What a person does with SQL, for tests.
extension InMemoryLedger {
  /// Gives a pending review another time; `infinity` holds it.
  package func schedule(_ id: UUID, at time: Timestamp) {
    _ = try? change { tables in
      tables.reviews[id]?.review.availableAt = time
      tables.notify(.reviewsDue)
    }
  }

  /// Enters a heartbeat, as if its holder had sent them all the time until then.
  package func setHeartbeat(of holder: Holder.ID, to time: Timestamp) {
    _ = try? change { $0.holders[holder]?.heartbeatAt = time }
  }

  /// Locks reviews, as an open transaction does, until ``unlock()``.
  package func lock(_ ids: Set<UUID>) { _ = try? change { $0.locked = ids } }

  package func unlock() { _ = try? change { $0.locked = [] } }
}
