/// Why the reaper publishes a queued review again.
package enum ReapReason: String, Sendable, CaseIterable {
  /// Claimed, but the publish was never confirmed: its claimer is dead, or BATON_PUBLISH_GRACE is over.
  case unpublished
  /// Leased, but the lease has ended without a dispatch: its holder is dead, or the time of the lease is over.
  case leaseExpired = "lease_expired"
  /// Published, never leased, and a roll call has proved that no process and no queue has the ticket.
  case lost
  /// Published, never leased, and untouched for BATON_STALE_AFTER, which doubles at each republish: if nothing else recovers it.
  case stale
}
