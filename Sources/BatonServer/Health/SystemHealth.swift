package import Primitives
package import ReviewStore
internal import Reviews

/// Something that holds reviews back, in plain text: what it is, since when, and what to do.
package struct HealthFinding: Sendable, Equatable, Codable {
  /// How bad it is.
  package enum Grade: String, Sendable, Codable, Comparable {
    /// Nothing continues until it is over, or an operator acts.
    case bad
    /// Worth a look.
    case warning

    package static func < (left: Grade, right: Grade) -> Bool { left == .bad && right == .warning }
  }

  package var grade: Grade
  package var title: String
  package var since: Timestamp?
  /// The causes' own words.
  package var reason: String?
  /// With commands in backticks.
  package var advice: String

  /// Every key is always present.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(grade, forKey: .grade)
    try container.encode(title, forKey: .title)
    try container.encode(since, forKey: .since)
    try container.encode(reason, forKey: .reason)
    try container.encode(advice, forKey: .advice)
  }
}

extension HealthFinding {
  /// Of the dead letters that the broker counts; nil if there is none.
  static func deadLetters(_ count: Int) -> Self? {
    guard count > 0 else { return nil }
    return Self(
      grade: .warning, title: count == 1 ? "There is a dead letter" : "There are \(count) dead letters",
      advice:
        "Messages that are no tickets, or that were delivered too often. `baton dead list` shows which and why; `baton dead purge` removes them."
    )
  }
}

/// How the system is, from what its processes report and what the database counts. The dashboard, `baton queue`, `baton health`, `/readyz` and
/// the metrics all show this, so that they never disagree.
/// What others are not told holds nothing back: the first two and `/api/stats` show it.
package struct SystemHealth: Sendable {
  package var now: Timestamp
  /// All that have signed on and live.
  package var holders: [HolderStanding]
  /// Those that were not signed off and send no heartbeat; known for an hour.
  private var dead: [HolderStanding]
  package var stats: StoreStats
  package var capacity: CapacityStats
  /// What others are not told of reviews.
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
  /// A pass comes every minute from cron.
  private static let reaperLateAfter: Duration = .seconds(300)
  /// A pass that ended so long after the last heartbeat of a reaper is another one's.
  private static let lastPassTime: Duration = .seconds(5)
  /// Owners' limits are meant to make reviews wait: so many are 25 owners' worth of the default limit.
  private static let heldByLimitMax = 500
  /// Of a heartbeat, which is one statement for one row.
  private static let roundTripMax: Duration = .milliseconds(250)

  /// What is wrong, the worst first, and causes before effects.
  package var findings: [HealthFinding] {
    let all = dispatchFindings + eventFindings + [feedbackFinding].compactMap { $0 }
    return all.enumerated().sorted { ($0.element.grade, $0.offset) < ($1.element.grade, $1.offset) }.map(\.element)
  }

  /// Those of them that concern how reviews are dispatched.
  var dispatchFindings: [HealthFinding] {
    (circuits + limits + brokers + databases + missingRoles + [reaper, others] + deaths + [fullOwners, stall])
      .compactMap { $0 }
  }

  /// Whether any review is on its way or could be.
  private var isBusy: Bool {
    capacity.oldestClaimable != nil || stats.oldestQueued != nil || stats.handedBack > 0
      || (stats.counts[.queued] ?? 0) > 0
  }

  // MARK: Dispatching

  /// For how long nothing has been dispatched while reviews are due; nil if all is as it should be.
  package var stalledFor: Duration? {
    var waits = [capacity.oldestClaimable, stats.oldestQueued].compactMap { $0 }
    // What goes back to pending and is claimed again and again is never old by its own times.
    if stats.handedBack > 0, let since = since(faults(.circuit)) { waits.append(now.since(since)) }
    guard let waited = waits.max(), waited > Self.stallMin else { return nil }
    let idle = consumers.map { idleTime(of: $0) }.min() ?? waited
    let stalled = min(idle, waited)
    return stalled > Self.stallMin ? stalled : nil
  }

  private var consumers: [HolderStanding] { holders.filter { $0.does("consume") } }

  /// Since a consumer's last dispatch, or its start.
  private func idleTime(of holder: HolderStanding) -> Duration {
    let last = holder.health.dispatchedSeconds.map { now.since(holder.heartbeatAt) + .seconds(saturating: $0) }
    return last ?? now.since(holder.startedAt)
  }

  private var stall: HealthFinding? {
    guard let stalledFor else { return nil }
    return HealthFinding(
      grade: .bad, title: "Nothing is dispatched while reviews are due",
      since: now.moved(by: .zero - stalledFor),
      advice:
        "What stands above is the cause. If nothing does, look at the logs of `baton produce` and `baton consume`.")
  }

  // MARK: Causes

  private typealias Reported = (fault: Holder.Fault, holder: HolderStanding)

  private func faults(_ cause: Holder.Fault.Cause) -> [Reported] {
    holders.flatMap { holder in holder.health.faults.filter { $0.cause == cause }.map { ($0, holder) } }
  }

  /// Since the first of them, by the database's clock.
  private func since(_ faults: [Reported]) -> Timestamp? {
    faults.map { $0.holder.heartbeatAt.moved(by: .zero - .seconds(saturating: $0.fault.seconds)) }.min()
  }

  private func reason(_ faults: [Reported]) -> String? {
    faults.max { $0.fault.seconds < $1.fault.seconds }?.fault.reason
  }

  private func whose(_ faults: [Reported], _ total: Int) -> String {
    let count = Set(faults.map { "\($0.holder.host) \($0.holder.processID)" }).count
    return total == 1 ? "" : count == total ? " (all \(total) processes)" : " (\(count) of \(total) processes)"
  }

  private var circuits: [HealthFinding?] {
    Dictionary(grouping: faults(.circuit)) { $0.fault.target ?? "" }.sorted { $0.key < $1.key }.map { target, faults in
      let isWorker = target == "worker"
      let isAll = faults.count >= consumers.count
      let name = isWorker ? "The worker" : target
      return HealthFinding(
        grade: isAll && isWorker ? .bad : .warning,
        title: "\(name) cannot be called\(whose(faults, consumers.count))", since: since(faults),
        reason: reason(faults),
        advice: isWorker
          ? "Reviews wait, and no attempt is counted. Check that the worker runs and answers at BATON_WORKER_URL; deliveries go on by themselves."
          : "Reviews that need it wait, and no attempt is counted. Look at the platform's status page, and at the network between."
      )
    }
  }

  private var limits: [HealthFinding?] {
    Dictionary(grouping: faults(.rateLimited)) { $0.fault.target ?? "" }.sorted { $0.key < $1.key }.map {
      target, faults in
      HealthFinding(
        grade: .warning, title: "\(target) limits the rate of requests\(whose(faults, consumers.count))",
        since: since(faults), reason: reason(faults),
        advice: "Reviews of that integration wait until its limit is renewed, and no attempt is counted. Others go on.")
    }
  }

  private var brokers: [HealthFinding?] {
    let (blocked, away, refused) = (faults(.brokerBlocked), faults(.brokerAway), faults(.ticketsRefused))
    let producers = holders.filter { $0.does("produce") }
    let publishers = holders.filter { $0.does("produce") || $0.does("reap") }
    // A reaper alone may have the claims that no producer could publish.
    let isAll = refused.count { $0.holder.does("produce") } == producers.count || stalledFor != nil
    return [
      blocked.isEmpty
        ? nil
        : HealthFinding(
          grade: .bad, title: "The broker takes no messages: it has a memory or disk alarm", since: since(blocked),
          advice:
            "Nothing is claimed until it is over, and nothing is lost. `rabbitmqctl status` shows the alarm: free disk space or memory there."
        ),
      away.isEmpty
        ? nil
        : HealthFinding(
          grade: away.count == holders.count ? .bad : .warning,
          title: "The broker cannot be reached\(whose(away, holders.count))", since: since(away),
          advice:
            "Reviews wait in Postgres, and nothing is lost. Check that RabbitMQ runs and that BATON_AMQP_URL is right."),
      refused.isEmpty
        ? nil
        : HealthFinding(
          grade: isAll ? .bad : .warning, title: "The broker takes no tickets\(whose(refused, publishers.count))",
          since: since(refused), reason: reason(refused),
          advice:
            "They are published again until it does, and nothing is lost. Look at the account's permissions, and at the policies and the state of Baton's queues: `rabbitmqctl list_permissions`, `rabbitmqctl list_policies`."
        ),
    ]
  }

  private var databases: [HealthFinding?] {
    let (away, unsigned) = (faults(.databaseAway), faults(.notSignedOn))
    let slowest = holders.compactMap { holder in holder.health.roundTripSeconds.map { Duration.seconds(saturating: $0) }
    }.min()
    return [
      away.isEmpty
        ? nil
        : HealthFinding(
          grade: away.count >= consumers.count || stalledFor != nil ? .bad : .warning,
          title: "Postgres does not answer\(whose(away, consumers.count))", since: since(away),
          advice:
            "What is in flight is kept until it does. Look for locks and a full disk: `select * from pg_stat_activity where wait_event_type = 'Lock'`."
        ),
      unsigned.isEmpty
        ? nil
        : HealthFinding(
          grade: .warning, title: "\(Self.processes(unsigned.count)) not signed on with Postgres",
          since: since(unsigned),
          reason: reason(unsigned), advice: "It keeps what it has, takes nothing new, and signs on by itself."),
      // The quickest of all: a single slow one has a reason of its own.
      slowest.flatMap { slowest -> HealthFinding? in
        guard slowest > Self.roundTripMax else { return nil }
        return HealthFinding(
          grade: .warning, title: "Postgres is slow: a heartbeat takes \(Int(slowest / .milliseconds(1))) ms",
          advice: "Every step of a review waits for it. Look at the server's load and at the network between.")
      },
    ]
  }

  private static func processes(_ count: Int) -> String { count == 1 ? "1 process is" : "\(count) processes are" }

  private var missingRoles: [HealthFinding?] {
    ["produce", "consume"].map { role in
      guard !holders.contains(where: { $0.does(role) }) else { return nil }
      let waits = role == "produce" ? capacity.oldestClaimable : stats.oldestQueued
      return HealthFinding(
        grade: isBusy ? .bad : .warning, title: "No `baton \(role)` runs",
        since: waits.map { now.moved(by: .zero - $0) },
        advice: isBusy
          ? "Reviews wait for it: start `baton \(role)`. Its log says why it ended."
          : "Start `baton \(role)`: nothing waits for it yet.")
    }
  }

  private var reaperLastRun: Timestamp? { capacity.reaperLastRun }

  private var reaper: HealthFinding? {
    guard let at = reaperLastRun else {
      // One that has just started is about to.
      let since = holders.filter { $0.does("reap") }.map(\.startedAt).min()
      if let since, now.since(since) <= Self.reaperLateAfter { return nil }
      return HealthFinding(
        grade: .warning, title: "No reaper has ever finished a pass", since: since,
        advice: since == nil
          ? "What a killed process leaves is not recovered: run `baton reap --interval 2s`."
          : "What a killed process leaves is not recovered: does `baton reap` reach Postgres and the broker? Its log says why it does not."
      )
    }
    guard now.since(at) > Self.reaperLateAfter else { return nil }
    return HealthFinding(
      grade: .warning, title: "No reaper has finished a pass", since: at,
      advice:
        "What a killed process leaves is not recovered: is `baton reap` running, and does it reach Postgres and the broker?"
    )
  }

  /// Of processes that nothing has replaced: no other of the role has started since. Where none is left, ``missingRoles`` speaks for what
  /// dispatches, and the death itself for the others.
  private var deaths: [HealthFinding?] {
    Dictionary(grouping: dead, by: \.title).sorted { $0.key < $1.key }.map { role, dead in
      guard let last = dead.max(by: { $0.heartbeatAt < $1.heartbeatAt }),
        let first = dead.map(\.heartbeatAt).min()
      else { return nil }
      let count = dead.count - holders.filter { $0.title == role && $0.startedAt > first }.count
      guard count > 0 else { return nil }
      let missing = last.roles.filter { role in !holders.contains { $0.does(role) } }
      let lacking = missing.filter { !isReported($0, of: last) }
      guard missing.isEmpty || !lacking.isEmpty else { return nil }
      let title = count == 1 ? "A `baton \(role)` has died" : "\(count) of `baton \(role)` have died"
      return HealthFinding(
        grade: .warning, title: lacking.isEmpty ? title : "\(title), and no \(Self.commands(lacking)) runs",
        since: last.heartbeatAt, reason: "\(last.host), process \(last.processID)",
        advice: lacking.isEmpty
          ? "Others have taken its work over. Start it again if nothing else does; its log says why it ended. This is shown for an hour."
          : lacking.map { Self.lack(of: $0) + ". " }.joined()
            + "Start \(Self.commands(lacking)) again; the log says why it ended. This is shown for an hour."
      )
    }
  }

  private static func commands(_ roles: [String]) -> String {
    roles.map { "`baton \($0)`" }.joined(separator: " or ")
  }

  /// Whether another finding says that nothing has a role of a process that died, or another does its work: a reaper may come from cron.
  private func isReported(_ role: String, of last: HolderStanding) -> Bool {
    switch role {
    case "produce", "consume": true
    case "reap":
      reaper != nil || reaperLastRun.map { $0.since(last.heartbeatAt) > Self.lastPassTime } ?? false
    default: false
    }
  }

  /// What is not done if no process has a role.
  private static func lack(of role: String) -> String {
    role == "serve"
      ? "No process answers webhooks, callbacks and pages, or sends feedback"
      : "No process recovers what a killed process leaves"
  }

  private var fullOwners: HealthFinding? {
    guard capacity.heldByLimit > Self.heldByLimitMax else { return nil }
    return HealthFinding(
      grade: .warning, title: "\(capacity.heldByLimit) due reviews wait for their owner's limit",
      advice: "`baton owner list` shows who has as many under way as they may; `baton owner set` changes a limit.")
  }

  private var others: HealthFinding? {
    let faults = faults(.other)
    guard !faults.isEmpty else { return nil }
    return HealthFinding(
      grade: faults.count >= consumers.count ? .bad : .warning,
      title: "Deliveries are not taken\(whose(faults, consumers.count))", since: since(faults), reason: reason(faults),
      advice: "The process takes deliveries again by itself once the reason is gone; its log says more.")
  }
}

extension HolderStanding {
  /// Whether the process has a role. One of an older version reports none but its own; `baton up` then counted as a consumer alone.
  package func does(_ role: String) -> Bool { roles.contains(role) }

  /// What it does; one of an older version names only one of its roles.
  fileprivate var roles: [String] { health.roles.isEmpty ? [role] : health.roles }

  /// What it does, for people.
  package var title: String { health.roles.count > 1 ? "up" : role }
}
