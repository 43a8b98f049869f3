package import ReviewStore

/// The settings by which the dashboard judges what is held up: those of the producer and the reaper.
package struct WatchPolicy: Sendable {
  /// `BATON_LEASE`, `BATON_PUBLISH_GRACE`, `BATON_STALE_AFTER`, `BATON_RUNNING_TIMEOUT`.
  package var times: ReapTimes
  /// `BATON_OWNER_LIMIT`.
  package var ownerLimit: Int
  /// `BATON_QUEUE`.
  package var queue: String

  package init(times: ReapTimes, ownerLimit: Int, queue: String) {
    self.times = times
    self.ownerLimit = ownerLimit
    self.queue = queue
  }
}
