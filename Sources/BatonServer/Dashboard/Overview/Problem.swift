internal import Primitives
internal import ReviewStore
internal import Reviews

/// Something that holds reviews up, or soon will, and what to do.
struct Problem: Sendable, Equatable {
  /// How bad it is, the worst first.
  enum Grade: Int, Sendable, Comparable {
    /// Nothing continues until an operator acts.
    case bad
    /// Worth a look.
    case warning
    /// As it should be, and worth knowing.
    case note

    static func < (left: Grade, right: Grade) -> Bool { left.rawValue < right.rawValue }

    var name: String {
      switch self {
      case .bad: "bad"
      case .warning: "warning"
      case .note: "note"
      }
    }

    /// For those who do not see the colour.
    var label: String {
      switch self {
      case .bad: "Stuck"
      case .warning: "Look"
      case .note: "Note"
      }
    }
  }

  var grade: Grade
  var title: String
  /// Since when, or until when.
  var time: Timestamp?
  var advice: HTML
  /// Where to look.
  var links: [HTML] = []
}

extension Problem {
  init(_ finding: HealthFinding, links: [HTML] = []) {
    let reason: HTML = finding.reason.map { " <span class=\"quote\">\(HTML.foreign($0))</span>" } ?? HTML.none
    self.init(
      grade: finding.grade == .bad ? .bad : .warning, title: finding.title, time: finding.since,
      advice: "\(Advice.html(finding.advice))\(reason)", links: links)
  }
}

extension Overview {
  /// A producer claims after its poll interval (5 s) at the latest. Without a claim for this long, something is wrong.
  private static let claimGrace = Duration.seconds(30)
  /// So many of the last minutes decide whether reviews are failing now.
  private static let failureMinutes = 10

  /// The worst first.
  var problems: [Problem] {
    // What the processes report comes first: it is the cause of what the counts show.
    let reported: [Problem?] = (health?.dispatchFindings ?? []).map { Problem($0) }
    let undelivered: [Problem?] =
      (health?.overdueFindings ?? []).map { overdue, finding in
        Problem(
          finding, links: overdue.kind.isOfWebhooks ? [Self.deliveriesLink] : overdue.examples.map { HTML.link(to: $0) }
        )
      }
      + (health?.eventFindings ?? []).map { Problem($0, links: [Self.endpointsLink]) }
      + [health?.feedbackFinding].compactMap { $0 }.map {
        Problem($0, links: (health?.undelivered.feedback?.examples ?? []).map { HTML.link(to: $0) })
      }
    let counted: [Problem?] = [
      brokerProblem, consumerProblem, deadProblem, versionProblem ?? failureProblem,
      feedbackProblem,
    ]
    let all =
      reported + counted + undelivered + endpoints.map(endpointProblem) + waitingProblems
      + blockedReviews.map { blockProblem($0) }
    return all.compactMap { $0 }.enumerated().sorted { ($0.element.grade, $0.offset) < ($1.element.grade, $1.offset) }
      .map(\.element)
  }

  private var brokerProblem: Problem? {
    guard queue == nil, health.map({ FaultReports(.brokerAway, of: $0.holders).isEmpty }) ?? true else { return nil }
    return Problem(HealthFinding.brokerAway, links: ["<a href=\"/readyz\">Readiness of this process</a>"])
  }

  private var consumerProblem: Problem? {
    // A consumer that holds back for a reason has no consumer at the broker: the reason is reported.
    guard queue?.consumers == 0, health?.dispatchFindings.isEmpty ?? true,
      !blockedReviews.contains(where: { $0.reason == .unconsumed })
    else { return nil }
    return Problem(
      grade: .warning, title: "There is no consumer",
      advice: "No ticket waits for one yet. Start <code>baton consume</code>.")
  }

  private var deadProblem: Problem? {
    HealthFinding.deadLetters(queue?.dead ?? 0).map {
      Problem($0, links: ["<a href=\"/dead-letters\">Which, and why</a>"])
    }
  }

  private var failureProblem: Problem? {
    let first = now.microseconds - Int64(Self.failureMinutes) * 60_000_000
    let recent = flow.filter { $0.start.microseconds >= first }
    let failed = recent.reduce(0) { $0 + $1.failed }
    let ended = recent.reduce(failed) { $0 + $1.completed }
    guard failed >= 3, failed * 4 >= ended else { return nil }
    return Problem(
      grade: .warning, title: "\(Reading.grouped(failed)) of the last \(Reading.count(ended, "review")) failed",
      advice: "Within ten minutes. <a href=\"#failures\">What failed, and what to do</a>.",
      links: ["<a href=\"/reviews?status=failed\">failed reviews</a>"])
  }

  /// The newest version fails often, and an older one did not: the deploy is the likely cause.
  private var versionProblem: Problem? {
    guard let newest = versions.first, newest.failed >= 3, newest.failed * 4 >= newest.ended,
      let former = versions.dropFirst().max(by: { $0.ended < $1.ended }), former.ended > 0,
      newest.failed * former.ended >= 2 * former.failed * newest.ended
    else { return nil }
    return Problem(
      grade: .warning,
      title:
        "\(Reading.grouped(newest.failed)) of \(Reading.count(newest.ended, "review")) of worker version "
        + "\(newest.version ?? "without a name") failed",
      time: newest.firstSeen,
      advice: """
        Within the last hour; of version \(former.version ?? "without a name") it was \(Reading.grouped(former.failed)) of \
        \(Reading.grouped(former.ended)). The time is that of the version's first review. Roll the worker back, or see \
        <a href="#failures">what failed</a>.
        """, links: ["<a href=\"/reviews?status=failed\">failed reviews</a>"])
  }

  private var feedbackProblem: Problem? {
    guard let givenUp else { return nil }
    return Problem(
      grade: .warning,
      title: "Feedback could not be delivered to \(Reading.count(givenUp.reviewCount, "pull request"))",
      time: givenUp.lastAt,
      advice: """
        The reviews themselves go on, but a check without its result may block a merge. The newest error: \
        \(HTML.foreign(givenUp.lastError ?? "none"))
        """, links: givenUp.examples.map { HTML.link(to: $0) })
  }

  private func endpointProblem(_ endpoint: Endpoint) -> Problem? {
    guard endpoint.givenUp > 0 else { return nil }
    let id = "\(endpoint.id.lowercase.prefix(8))"
    let enable: HTML = endpoint.isEnabled ? "" : "It is disabled. After <code>baton endpoint enable \(id)</code>, "
    return Problem(
      grade: .warning, title: "\(Reading.count(endpoint.givenUp, "event")) given up for \(endpoint.url)",
      advice: "\(enable)<code>baton endpoint retry \(id)</code> sends them again.", links: [Self.endpointsLink])
  }

  private static let endpointsLink: HTML = "<a href=\"/endpoints\">Endpoints</a>"
  private static let deliveriesLink: HTML = "<a href=\"/deliveries\">Deliveries</a>"

  private var waitingProblems: [Problem?] {
    [
      waiting(.unclaimed) { count, due in
        // Not since it is due, if its owner was paused until just now.
        let since = max(due, health?.allClaimedAt ?? due)
        guard now.since(since) > Self.claimGrace else { return nil }
        return Problem(
          grade: .bad, title: "\(Reading.count(count, "due review")) \(count == 1 ? "is" : "are") not claimed",
          time: since,
          advice: """
            Is <code>baton produce</code> running, and does it reach the broker? It stops claiming while \
            <code>BATON_MAX_QUEUE_DEPTH</code> messages are ready.
            """,
          links: owners(of: .unclaimed))
      },
      waiting(.paused) { count, since in
        Problem(
          grade: .note, title: "\(Reading.count(count, "review")) of paused owners", time: since,
          advice: "They wait until their owner is resumed.", links: owners(of: .paused))
      },
      waiting(.limit) { count, since in
        Problem(
          grade: .note, title: "\(Reading.count(count, "review")) \(count == 1 ? "waits" : "wait") for a slot",
          time: since,
          advice: """
            Their owners have as many under way as they may. <code>baton owner set</code> changes a limit.
            """,
          links: owners(of: .limit))
      },
      later, held,
    ]
  }

  private func waiting(_ reason: BlockReason, _ problem: (Int, Timestamp) -> Problem?) -> Problem? {
    let concerned = owners.filter { $0.waiting == reason && $0.due > 0 }
    guard let since = concerned.compactMap(\.dueSince).min() else { return nil }
    return problem(concerned.reduce(0) { $0 + $1.due }, since)
  }

  /// The owners whose reviews wait longest.
  private func owners(of reason: BlockReason) -> [HTML] {
    owners.filter { $0.waiting == reason && $0.due > 0 }
      .sorted { ($0.dueSince ?? now) < ($1.dueSince ?? now) }
      .prefix(3).map { HTML.link(to: $0.owner) }
  }

  private var later: Problem? {
    let count = owners.reduce(0) { $0 + $1.later } - stats.held
    guard count > 0 else { return nil }
    return Problem(
      grade: .note, title: "\(Reading.count(count, "review")) due later", time: owners.compactMap(\.nextDue).min(),
      advice: "After a failed attempt, a rate limit, or as they were submitted. The time is that of the first.",
      links: ["<a href=\"/reviews?status=pending\">pending reviews</a>"])
  }

  private var held: Problem? {
    guard stats.held > 0 else { return nil }
    return Problem(
      grade: .note, title: "\(Reading.count(stats.held, "review")) held", advice: Advice.html(BlockReason.held.advice),
      links: ["<a href=\"/reviews?status=pending\">pending reviews</a>"])
  }

  private func blockProblem(_ group: BlockedReviews) -> Problem {
    // `blockedReviews` never has those of the last case.
    var problem = Problem(
      grade: .warning, title: "", time: group.since, advice: Advice.html(group.reason.advice),
      links: group.examples.map { HTML.link(to: $0) })
    let (count, noun) = (group.count, Reading.count(group.count, "review"))
    switch group.reason {
    case .unconsumed:
      problem.grade = .bad
      problem.title = "\(noun) in the queue, and no consumer"
    case .silent: problem.title = "\(Reading.count(count, "run")) \(count == 1 ? "is" : "are") silent"
    case .unpublished: problem.title = "\(noun) claimed, and never confirmed by the broker"
    case .leaseExpired: problem.title = "\(noun) whose consumer died or hung"
    case .lost: problem.title = "\(noun) whose ticket is lost"
    case .stale: problem.title = "\(noun) untouched in the queue for long"
    case .dueLater, .held, .paused, .limit, .unclaimed: problem.title = noun
    }
    return problem
  }
}
