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

  /// Ends the transaction of ``lock(_:)``.
  package func unlock() { _ = try? change { $0.locked = [] } }

  /// Loses what a server that ends at once loses: heartbeats and sign-ons, which do not wait for the disk. All sessions end.
  /// - Parameter time: how much of them.
  package func crash(losing time: Duration) {
    _ = try? change { tables in
      let safe = tables.now.subtracting(time)
      for holder in tables.holders.values {
        tables.holders[holder.id]?.heartbeatAt = max(min(holder.heartbeatAt, safe), holder.startedAt)
        if holder.startedAt > safe { tables.holders[holder.id] = nil }
      }
    }
    cutSessions()
  }
}
