internal import Primitives
internal import ReviewStore

/// Roles that no process has, and processes that died.
extension SystemHealth {
  /// A pass comes every minute from cron.
  private static let reaperLateAfter: Duration = .seconds(300)
  /// A pass that ended so long after the last heartbeat of a reaper is another one's.
  private static let lastPassTime: Duration = .seconds(5)

  var missingRoles: [HealthFinding?] {
    [HolderStanding.Role.produce, .consume].map { role in
      guard processes(role).isEmpty else { return nil }
      let waits = role == .produce ? capacity.oldestClaimable : stats.oldestQueued
      return HealthFinding(
        grade: isBusy ? .bad : .warning, title: "No `baton \(role)` runs",
        since: waits.map { now.moved(by: .zero - $0) },
        advice: isBusy
          ? "Reviews wait for it: start `baton \(role)`. Its log says why it ended."
          : "Start `baton \(role)`: nothing waits for it yet.")
    }
  }

  var lateReaper: HealthFinding? {
    guard let at = capacity.reaperLastRun else {
      // One that has just started is about to.
      let since = processes(.reap).map(\.startedAt).min()
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

  // MARK: Deaths

  /// Of processes that nothing has replaced: no other of the kind has started since.
  var deaths: [HealthFinding?] {
    Dictionary(grouping: dead, by: \.title).sorted { $0.key < $1.key }.map { kind, dead in death(of: kind, dead) }
  }

  /// - Parameters:
  ///   - kind: the command that runs such a process.
  ///   - dead: those that died.
  private func death(of kind: String, _ dead: [HolderStanding]) -> HealthFinding? {
    guard let last = dead.max(by: { $0.heartbeatAt < $1.heartbeatAt }),
      let first = dead.map(\.heartbeatAt).min()
    else { return nil }
    let count = dead.count - holders.filter { $0.title == kind && $0.startedAt > first }.count
    guard count > 0 else { return nil }
    let missing = last.roles.filter { role in !holders.contains { $0.roles.contains(role) } }
    let lacking = missing.filter { !isSaidElsewhere($0, since: last.heartbeatAt) }
    // If other findings name all that is missing, they say more than the death does.
    guard missing.isEmpty || !lacking.isEmpty else { return nil }
    let title = count == 1 ? "A `baton \(kind)` has died" : "\(count) of `baton \(kind)` have died"
    let reason = "\(last.host), process \(last.processID)"
    guard !lacking.isEmpty else {
      return HealthFinding(
        grade: .warning, title: title, since: last.heartbeatAt, reason: reason,
        advice:
          "Others have taken its work over. Start it again if nothing else does; its log says why it ended. This is shown for an hour."
      )
    }
    return HealthFinding(
      grade: .warning, title: "\(title), and no \(Self.commands(lacking)) runs", since: last.heartbeatAt,
      reason: reason,
      advice: lacking.map { Self.lack(of: $0) + ". " }.joined()
        + "Start \(Self.commands(lacking)) again; the log says why it ended. This is shown for an hour.")
  }

  private static func commands(_ roles: [String]) -> String {
    roles.map { "`baton \($0)`" }.joined(separator: " or ")
  }

  /// Whether another finding says that nothing has a role of a process that died, or another does its work: a reaper may come from cron.
  private func isSaidElsewhere(_ role: String, since death: Timestamp) -> Bool {
    switch HolderStanding.Role(rawValue: role) {
    case .produce, .consume: true
    case .reap: lateReaper != nil || capacity.reaperLastRun.map { $0.since(death) > Self.lastPassTime } ?? false
    case .serve, nil: false
    }
  }

  /// What is not done if no process has a role.
  private static func lack(of role: String) -> String {
    role == HolderStanding.Role.serve.rawValue
      ? "No process answers webhooks, callbacks and pages, or sends feedback"
      : "No process recovers what a killed process leaves"
  }
}
