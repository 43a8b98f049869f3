/// What one reaper pass did: the line that `baton reap` prints.
package struct ReapCounts: Sendable, Codable, Equatable, CustomStringConvertible {
  /// Published again: claimed, and the publish was never confirmed.
  package var unpublished = 0
  /// Published again: its holder died, or its lease ran out.
  package var leaseExpired = 0
  /// Published again: its message is provably gone.
  package var lost = 0
  /// Published again: nobody has touched it for long.
  package var stale = 0
  /// Failed: it has cost too many consumers their life.
  package var exhausted = 0
  /// The worker was asked, and knows it: its word was taken.
  package var reconciled = 0
  /// The worker was asked, and does not know it: published again.
  package var forgotten = 0
  /// The worker was asked, and has lost a running review: failed.
  package var workerLost = 0
  /// The worker was asked, and gave no answer that is evidence.
  package var unanswered = 0
  /// Cancels that the worker has accepted: those of a pass by itself. Roles that keep running tell them apart from passes.
  package var cancelsDelivered = 0
  /// Whether publishing was skipped because the broker could not be reached or takes nothing.
  package var brokerUnavailable = false

  package init() {}

  /// Whether nothing was done that is worth a line in the log. A broker that is away is told of by the connection.
  package var isQuiet: Bool { done.isEmpty }

  /// What was done, without the zeros: `lost 3, reconciled 1`.
  package var description: String {
    (done.map { "\($0.name) \($0.count)" } + (brokerUnavailable ? ["broker unavailable"] : [])).joined(separator: ", ")
  }

  private var done: [(name: String, count: Int)] {
    [
      ("unpublished", unpublished), ("lease expired", leaseExpired), ("lost", lost), ("stale", stale),
      ("exhausted", exhausted), ("reconciled", reconciled), ("forgotten", forgotten), ("worker lost", workerLost),
      ("unanswered", unanswered), ("cancels delivered", cancelsDelivered),
    ].filter { $0.1 > 0 }
  }
}
