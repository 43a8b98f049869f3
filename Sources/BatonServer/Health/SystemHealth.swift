package import Primitives
package import ReviewStore
internal import Reviews

/// How the system is, from what its processes report and what the database counts. The dashboard, `baton queue`, `baton health`, `/readyz` and
/// the metrics all show this, so that they never disagree. Dead letters are added by those that ask the broker: see
/// ``HealthFinding/deadLetters(_:)``.
package struct SystemHealth: Sendable {
  package var now: Timestamp
  /// All that have signed on and live.
  package var holders: [HolderStanding]
  /// Those that were not signed off and send no heartbeat; known for an hour.
  let dead: [HolderStanding]
  package var stats: StoreStats
  package var capacity: CapacityStats
  package var undelivered: Undelivered
  /// Those that live and those that died, as far as they are read: 1,000 at most.
  var processCount: Int { holders.count + dead.count }

  /// When a producer has last seen that nothing is left to claim; nil if none that is known has. What can be claimed now could not be
  /// claimed before: its owner was paused, or had no free slot.
  package let allClaimedAt: Timestamp?

  package init(
    now: Timestamp, holders: [HolderStanding], stats: StoreStats, capacity: CapacityStats,
    undelivered: Undelivered = Undelivered()
  ) {
    self.now = now
    self.undelivered = undelivered
    self.holders = holders.filter { !$0.isDead }
    dead = holders.filter(\.isDead)
    self.stats = stats
    self.capacity = capacity
    let allClaimedAt = holders.compactMap { holder in
      holder.health.allClaimedSeconds.map { holder.heartbeatAt.moved(by: .zero - .seconds(saturating: $0)) }
    }.max()
    self.allClaimedAt = allClaimedAt
    self.capacity.oldestClaimable = capacity.oldestClaimable.map { waited in
      min(waited, allClaimedAt.map { max(.zero, now.since($0)) } ?? waited)
    }
  }

  /// For so long a due review may wait without a dispatch: a producer claims within its poll's interval, and a consumer prepares for seconds.
  static let stallMin: Duration = .seconds(60)

  /// What is wrong, the worst first, and causes before effects.
  package var findings: [HealthFinding] { (dispatchFindings + undeliveredFindings).worstFirst }

  /// Those of them that concern how reviews are dispatched.
  var dispatchFindings: [HealthFinding] {
    let causes = (targetCauses + brokerCauses + databaseCauses + missingRoles + [otherCause]).compactMap { $0 }
      .worstFirst
    let others = ([slowDatabase, lateReaper] + deaths + [fullOwners]).compactMap { $0 }
    guard let stalledFor else { return (causes + others).worstFirst }
    // While nothing is dispatched, also what only some processes report may be why.
    return (causes.map { Self.bad($0) } + [stall(stalledFor, isExplained: !causes.isEmpty)] + others).worstFirst
  }

  private static func bad(_ finding: HealthFinding) -> HealthFinding {
    var finding = finding
    finding.grade = .bad
    return finding
  }

  /// Whether any review is on its way or could be.
  var isBusy: Bool {
    capacity.oldestClaimable != nil || stats.oldestQueued != nil || stats.handedBack > 0
      || (stats.counts[.queued] ?? 0) > 0
  }

  // MARK: Nothing is dispatched

  /// For how long nothing has been dispatched while reviews are due; nil if all is as it should be.
  package var stalledFor: Duration? {
    var waits = [capacity.oldestClaimable, stats.oldestQueued].compactMap { $0 }
    // What goes back to pending and is claimed again and again is never old by its own times.
    if stats.handedBack > 0, let since = FaultReports(.circuit, of: holders).since { waits.append(now.since(since)) }
    guard let waited = waits.max(), waited > Self.stallMin else { return nil }
    let idle = processes(.consume).map { idleTime(of: $0) }.min() ?? waited
    let stalled = min(idle, waited)
    return stalled > Self.stallMin ? stalled : nil
  }

  /// Since a consumer's last dispatch, or its start.
  private func idleTime(of holder: HolderStanding) -> Duration {
    let last = holder.health.dispatchedSeconds.map { now.since(holder.heartbeatAt) + .seconds(saturating: $0) }
    return last ?? now.since(holder.startedAt)
  }

  private func stall(_ duration: Duration, isExplained: Bool) -> HealthFinding {
    HealthFinding(
      grade: .bad, title: "Nothing is dispatched while reviews are due",
      since: now.moved(by: .zero - duration),
      advice: isExplained
        ? "What stands above is the cause."
        : "No process reports a cause: look at the logs of `baton produce` and `baton consume`.")
  }

  // MARK: Processes

  /// Those that live and have a role.
  func processes(_ role: HolderStanding.Role) -> [HolderStanding] { holders.filter { $0.does(role) } }
}
