/// What one reaper pass did: the line that `baton reap` prints.
package struct ReapCounts: Sendable, Codable, Equatable, CustomStringConvertible {
  /// Published again: claimed, and the publish was never confirmed.
  package var unpublished = 0
  /// Published again: its holder died, or its lease ran out.
  package var leaseExpired = 0
  /// Published again: its message is provably gone.
  package var lost = 0
  /// Published again: untouched for long.
  package var stale = 0
  /// Failed: too many consumers have died of it.
  package var exhausted = 0
  /// The worker was asked, and knows it: its word was taken.
  package var reconciled = 0
  /// The worker was asked, and does not know it: published again.
  package var forgotten = 0
  /// The worker was asked, and has lost a running review: failed.
  package var workerLost = 0
  /// The worker was asked, and gave no answer that is evidence.
  package var unanswered = 0
  /// Silent reviews that were left for a later pass: the worker was unavailable, or the time over.
  package var silentLeft = 0
  /// Cancels that the worker has accepted.
  package var cancelsDelivered = 0
  /// Cancels that were left for a later pass.
  package var cancelsLeft = 0
  /// Whether publishing was skipped because the broker could not be reached or takes nothing.
  package var brokerUnavailable = false

  package init() {}

  /// Takes over the results of asking the worker.
  mutating func take(_ asked: ReapCounts) {
    reconciled = asked.reconciled
    forgotten = asked.forgotten
    workerLost = asked.workerLost
    unanswered = asked.unanswered
    silentLeft = asked.silentLeft
  }

  /// Whether nothing was done that is worth a line in the log. A broker that cannot be reached is reported by the connection.
  package var isQuiet: Bool { done.isEmpty }

  /// What was done, without the zeros: `lost 3, reconciled 1`.
  package var description: String {
    (done.map { "\($0.name) \($0.count)" } + (brokerUnavailable ? ["broker unavailable"] : [])).joined(separator: ", ")
  }

  private var done: [(name: String, count: Int)] {
    [
      ("unpublished", unpublished), ("lease expired", leaseExpired), ("lost", lost), ("stale", stale),
      ("exhausted", exhausted), ("reconciled", reconciled), ("forgotten", forgotten), ("worker lost", workerLost),
      ("unanswered", unanswered), ("silent left", silentLeft), ("cancels delivered", cancelsDelivered),
      ("cancels left", cancelsLeft),
    ].filter { $0.1 > 0 }
  }
}
