internal import Primitives
internal import ReviewStore

/// What keeps reviews from being dispatched, as processes report it.
extension SystemHealth {
  /// Of a heartbeat, which is one statement for one row.
  private static let roundTripMax: Duration = .milliseconds(250)
  /// Owners' limits are meant to make reviews wait: so many are 25 owners' worth of the default limit.
  private static let heldByLimitMax = 500

  /// Something that processes report. The grade of each such finding is decided here: nothing continues if all report it that do
  /// the work, and otherwise it is worth a look.
  /// - Parameters:
  ///   - title: without the number of processes.
  ///   - group: the processes that the title counts; nil counts none.
  ///   - workers: those that do the work; nil if the rest goes on even if all of them report it.
  /// - Returns: nil if none reports it.
  private func cause(
    _ title: String, _ reports: FaultReports, among group: [HolderStanding]?, stops workers: [HolderStanding]?,
    advice: String
  ) -> HealthFinding? {
    guard !reports.isEmpty else { return nil }
    let isBad = workers.map { reports.isFrom(all: $0) } ?? false
    return HealthFinding(
      grade: isBad ? .bad : .warning, title: title + (group.map { reports.share(of: $0) } ?? ""),
      since: reports.since, reason: reports.reason, advice: advice)
  }

  private func reports(_ cause: Holder.Fault.Cause) -> FaultReports { FaultReports(cause, of: holders) }

  /// Of the worker, and of platforms.
  var targetCauses: [HealthFinding?] {
    let consumers = processes(.consume)
    let circuits = reports(.circuit).byTarget.map { target, reports in
      target == "worker"
        ? cause(
          "The worker cannot be called", reports, among: consumers, stops: consumers,
          advice:
            "Reviews wait, and no attempt is counted. Check that the worker runs and answers at BATON_WORKER_URL; deliveries go on by themselves."
        )
        : cause(
          "\(target) cannot be called", reports, among: consumers, stops: nil,
          advice:
            "Reviews that need it wait, and no attempt is counted. Look at the platform's status page, and at the network between."
        )
    }
    let limits = reports(.rateLimited).byTarget.map { target, reports in
      cause(
        "\(target) limits the rate of requests", reports, among: consumers, stops: nil,
        advice: "Reviews of that integration wait until its limit is renewed, and no attempt is counted. Others go on.")
    }
    return circuits + limits
  }

  var brokerCauses: [HealthFinding?] {
    let publishers = holders.filter { $0.does(.produce) || $0.does(.reap) }
    let blocked = reports(.brokerBlocked)
    return [
      // The alarm is the broker's: it stops all publishers, whichever report it so far.
      blocked.isEmpty
        ? nil
        : HealthFinding(
          grade: .bad, title: "The broker takes no messages: it has a memory or disk alarm", since: blocked.since,
          advice:
            "Nothing is claimed until it is over, and nothing is lost. `rabbitmqctl status` shows the alarm: free disk space or memory there."
        ),
      cause(
        HealthFinding.brokerAway.title, reports(.brokerAway), among: holders, stops: holders,
        advice: HealthFinding.brokerAwayAdvice),
      // A reaper alone may have the claims that no producer could publish.
      cause(
        "The broker takes no tickets", reports(.ticketsRefused), among: publishers, stops: processes(.produce),
        advice:
          "They are published again until it does, and nothing is lost. Look at the account's permissions, and at the policies and the state of Baton's queues: `rabbitmqctl list_permissions`, `rabbitmqctl list_policies`."
      ),
    ]
  }

  var databaseCauses: [HealthFinding?] {
    let (consumers, unsigned) = (processes(.consume), reports(.notSignedOn))
    return [
      cause(
        "Postgres does not answer", reports(.databaseAway), among: consumers, stops: consumers,
        advice:
          "What is in flight is kept until it does. Look for locks and a full disk: `select * from pg_stat_activity where wait_event_type = 'Lock'`."
      ),
      cause(
        "\(unsigned.count == 1 ? "1 process is" : "\(unsigned.count) processes are") not signed on with Postgres",
        unsigned, among: nil, stops: nil,
        advice: "It keeps what it has, takes nothing new, and signs on by itself."),
    ]
  }

  var otherCause: HealthFinding? {
    let consumers = processes(.consume)
    return cause(
      "Deliveries are not taken", reports(.other), among: consumers, stops: consumers,
      advice: "The process takes deliveries again by itself once the reason is gone; its log says more.")
  }

  /// By the quickest of all: a single slow one has a reason of its own.
  var slowDatabase: HealthFinding? {
    let quickest = holders.compactMap { holder in
      holder.health.roundTripSeconds.map { Duration.seconds(saturating: $0) }
    }.min()
    guard let quickest, quickest > Self.roundTripMax else { return nil }
    return HealthFinding(
      grade: .warning, title: "Postgres is slow: a heartbeat takes \(Int(quickest / .milliseconds(1))) ms",
      advice: "Every step of a review waits for it. Look at the server's load and at the network between.")
  }

  var fullOwners: HealthFinding? {
    guard capacity.heldByLimit > Self.heldByLimitMax else { return nil }
    return HealthFinding(
      grade: .warning, title: "\(capacity.heldByLimit) due reviews wait for their owner's limit",
      advice: "`baton owner list` shows who has as many under way as they may; `baton owner set` changes a limit.")
  }
}
