import Foundation
import Primitives
import Reviews
import Testing

@testable import BatonServer
@testable import ReviewStore

/// What every page, command and metric says in an incident. The processes' reports are the incident.
@Suite("System health")
struct SystemHealthTests {
  private static let now = Timestamp(microseconds: 1_795_000_000_000_000)

  private static func ago(_ seconds: Int64) -> Timestamp {
    Timestamp(microseconds: now.microseconds - seconds * 1_000_000)
  }

  /// A living process with all that is well.
  private static func holder(
    _ role: String, roles: [String]? = nil, faults: [Holder.Fault] = [], dispatched: Double? = nil,
    allClaimed: Double? = nil, roundTrip: Double = 0.001,
    startedAgo: Int64 = 3_600, isDead: Bool = false
  ) -> HolderStanding {
    var health = Holder.Health(version: "1.0.0", roles: roles ?? [role], faults: faults)
    health.dispatchedSeconds = dispatched
    health.allClaimedSeconds = allClaimed
    health.roundTripSeconds = roundTrip
    return HolderStanding(
      role: role, host: "host", processID: Int.random(in: 1...1_000_000), startedAt: ago(startedAgo), heartbeatAt: now,
      inFlight: 0,
      isDead: isDead, health: health)
  }

  private static let others = [holder("produce"), holder("reap"), holder("serve")]

  /// - Parameters: in seconds; nil: none waits.
  private static func health(
    _ holders: [HolderStanding], claimable: Int? = nil, queued: Int? = nil, handedBack: Int = 0, reaperAgo: Int64? = 5,
    heldByLimit: Int = 0
  ) -> SystemHealth {
    var stats = StoreStats(counts: [:], oldestPending: nil, oldestQueued: nil, unacknowledged: 0, consumers: 0)
    stats.oldestQueued = queued.map { .seconds($0) }
    stats.handedBack = handedBack
    let capacity = CapacityStats(
      oldestClaimable: claimable.map { .seconds($0) }, oldestRunning: nil, heldByLimit: heldByLimit, heldByPause: 0,
      reaperLastRun: reaperAgo.map(ago))
    return SystemHealth(now: now, holders: holders, stats: stats, capacity: capacity)
  }

  private static func circuit(_ target: String, _ seconds: Int) -> Holder.Fault {
    Holder.Fault(.circuit, target: target, for: .seconds(seconds), reason: "connection refused")
  }

  @Test("what is undelivered or unprocessed is a warning with its cause, behind what holds reviews back")
  func undelivered() throws {
    let id = try #require(UUID(uuidString: "0B6E6C1E-0000-4000-8000-000000000000"))
    let url = "https://hooks.example.com/x"
    var health = Self.health([Self.holder("consume", dispatched: 2), Self.holder("reap"), Self.holder("serve")])
    health.undelivered.endpoints = [UndeliveredEvents.Cause.notAccepted, .notPossible, .notTaken, .gone].map {
      UndeliveredEvents(endpoint: id, url: url, cause: $0, count: 3, since: Self.ago(700), lastError: "its words")
    }
    health.undelivered.endpoints[2].count = ReviewStore.undeliveredCountMax + 1
    health.undelivered.overdue = Overdue.Kind.allCases.map {
      Overdue($0, count: 1, since: Self.ago(800), lastError: "\($0)", examples: $0.isOfWebhooks ? [] : [id])
    }
    health.undelivered.overdue[0].count = ReviewStore.undeliveredCountMax
    health.undelivered.overdue[0].isCut = true
    health.undelivered.feedback = WaitingFeedback(
      reviewCount: 2, since: Self.ago(900), lastError: "no app", examples: [id])
    #expect(
      health.findings.map(\.title) == [
        "No `baton produce` runs", "more than 10,000 webhooks are not processed", "1 webhook was given up",
        "1 cancel not accepted by the worker", "1 cancel was given up", "3 events not accepted by \(url)",
        "3 events cannot be sent to \(url)",
        "more than 10,000 events are not sent to \(url)", "\(url) wants no more events",
        "Feedback waits for 2 pull requests",
      ])
    #expect(health.findings.allSatisfy { $0.grade == .warning })
    #expect(health.findings[2].reason == "givenUpWebhooks" && health.findings[2].since == Self.ago(800))
    #expect(health.findings[6].advice.contains("BATON_EVENT_HOSTS") && health.findings[6].reason == "its words")
    #expect(health.findings[8].advice.contains("`baton endpoint enable 0b6e6c1e`"))
    #expect(health.findings.last?.reason == "no app" && health.findings.last?.since == Self.ago(900))
    let overview = Overview(
      now: Self.now, stats: health.stats, queue: QueueFigures(name: "q", ready: 0, consumers: 1, dead: 0),
      health: health, ownerLimit: 20)
    let links = Dictionary(uniqueKeysWithValues: overview.problems.map { ($0.title, $0.links.map(\.markup).joined()) })
    #expect(links["3 events not accepted by \(url)"]?.contains("href=\"/endpoints\"") == true)
    #expect(links["1 webhook was given up"]?.contains("href=\"/deliveries\"") == true)
    #expect(links["1 cancel was given up"]?.contains("/reviews/\(id.lowercase)") == true)
    #expect(links["Feedback waits for 2 pull requests"]?.contains("/reviews/\(id.lowercase)") == true)
    #expect(overview.problems.count == health.findings.count)
  }

  @Test("a system that works has nothing to say, whether roles run apart or in one process")
  func well() {
    #expect(
      Self.health(Self.others + [Self.holder("consume", dispatched: 2)], claimable: 1, queued: 3).findings.isEmpty)
    let up = Self.holder("consume", roles: ["produce", "consume", "reap", "serve"])
    #expect(Self.health([up]).findings.isEmpty)
    // Nothing is due: no dispatch is no stall.
    #expect(Self.health(Self.others + [Self.holder("consume", dispatched: 90_000)]).stalledFor == nil)
  }

  @Test("a worker that is down comes first, with its time and its reason, though what flaps is never old")
  func workerDown() {
    let consumers = [
      Self.holder("consume", faults: [Self.circuit("worker", 240)], dispatched: 250),
      Self.holder("consume", faults: [Self.circuit("worker", 200)], dispatched: 260),
    ]
    let health = Self.health(Self.others + consumers, claimable: 1, handedBack: 38)
    let first = health.findings.first
    #expect(first?.grade == .bad && first?.title == "The worker cannot be called (all 2 processes)")
    #expect(first?.since == Self.ago(240) && first?.reason == "connection refused")
    #expect(health.stalledFor == .seconds(240))
    #expect(health.findings.last?.title == "Nothing is dispatched while reviews are due")
    // One consumer alone has a network of its own.
    let one = Self.health(
      Self.others + [consumers[0], Self.holder("consume", dispatched: 1)], claimable: 1, handedBack: 38)
    #expect(one.findings.map(\.grade) == [.warning] && one.stalledFor == nil)
  }

  private static let reported: [(fault: Holder.Fault, words: String)] = [
    (Holder.Fault(.brokerBlocked, for: .seconds(30)), "memory or disk alarm"),
    (Holder.Fault(.brokerAway, for: .seconds(30)), "The broker cannot be reached"),
    (Holder.Fault(.databaseAway, for: .seconds(30)), "Postgres does not answer"),
    (circuit("api.github.com", 30), "api.github.com cannot be called"),
    (
      Holder.Fault(.rateLimited, target: "api.github.com", for: .seconds(30), reason: "GitHub's rate limit is used up"),
      "api.github.com limits the rate of requests"
    ),
    (Holder.Fault(.other, for: .seconds(30), reason: "BATON_ENCRYPTION_KEY does not fit"), "Deliveries are not taken"),
    (Holder.Fault(.notSignedOn, for: .seconds(30)), "not signed on"),
  ]

  @Test(
    "if nothing is dispatched, the cause stands before the stall, also if only one consumer of two reports it",
    arguments: reported.indices, [1, 2])
  func causes(index: Int, consumers: Int) throws {
    let (fault, words) = Self.reported[index]
    let reporting = Self.holder("consume", faults: [fault], dispatched: 300)
    let quiet = (1..<consumers).map { _ in Self.holder("consume", dispatched: 300) }
    let findings = Self.health(Self.others + [reporting] + quiet, queued: 400).findings
    try #require(findings.count == 2, "\(findings)")
    #expect(findings[0].title.contains(words) && findings[0].since == Self.ago(30) && !findings[0].advice.isEmpty)
    #expect(findings[1].title == "Nothing is dispatched while reviews are due")
    #expect(findings[1].advice == "What stands above is the cause.")
    #expect(findings.allSatisfy { $0.grade == .bad })
  }

  @Test("while others are dispatched, a platform's outage and limit, and what one process reports, are worth a look")
  func partial() {
    for (fault, words) in Self.reported where fault.cause != .brokerBlocked {
      let consumers = [Self.holder("consume", faults: [fault], dispatched: 1), Self.holder("consume", dispatched: 1)]
      let findings = Self.health(Self.others + consumers).findings
      #expect(findings.map(\.grade) == [.warning] && findings[0].title.contains(words), "\(findings)")
    }
    let platform = Self.health(
      Self.others + [Self.holder("consume", faults: [Self.circuit("api.github.com", 30)], dispatched: 1)])
    #expect(platform.findings.map(\.grade) == [.warning])
  }

  @Test("of two causes the one that stops all stands first, and a stall without one says so")
  func severalCauses() {
    let one = Self.holder("consume", faults: [Self.circuit("worker", 9_000)], dispatched: 300)
    let others = [Self.holder("reap"), Self.holder("serve"), one, Self.holder("consume", dispatched: 300)]
    #expect(
      Self.health(others, claimable: 200).findings.map(\.title) == [
        "No `baton produce` runs", "The worker cannot be called (1 of 2 processes)",
        "Nothing is dispatched while reviews are due",
      ])
    let unknown = Self.health(Self.others + [Self.holder("consume", dispatched: 300)], queued: 200).findings
    #expect(unknown.count == 1 && unknown[0].advice.hasPrefix("No process reports a cause: look at the logs"))
  }

  @Test("a broker that takes no tickets is the cause of a stall, and worth a look if one producer of two can publish")
  func ticketsRefused() throws {
    let fault = Holder.Fault(.ticketsRefused, for: .seconds(90), reason: "403 ACCESS_REFUSED")
    let consumer = Self.holder("consume", dispatched: 300)
    let (refused, well) = (Self.holder("produce", faults: [fault]), Self.holder("produce"))
    let reaper = Self.holder("reap", faults: [fault])
    let all = Self.health([refused, reaper, consumer], queued: 90).findings
    #expect(
      all.map(\.title) == [
        "The broker takes no tickets (all 2 processes)", "Nothing is dispatched while reviews are due",
      ], "\(all)")
    #expect(all[0].grade == .bad && all[0].since == Self.ago(90) && all[0].reason == "403 ACCESS_REFUSED")
    let one = Self.health([refused, well, Self.holder("reap"), Self.holder("consume", dispatched: 1)]).findings
    #expect(one.map(\.title) == ["The broker takes no tickets (1 of 3 processes)"] && one.first?.grade == .warning)
    let taken = Self.health([well, reaper, consumer], queued: 90).findings
    #expect(taken.first?.title == "The broker takes no tickets (1 of 2 processes)" && taken[0].grade == .bad)
  }

  @Test("a process that died is named until another of its role has started, and until none of the role is left")
  func deaths() {
    let dead = Self.holder("consume", startedAgo: 7_200, isDead: true)
    let findings = Self.health(Self.others + [Self.holder("consume", dispatched: 1), dead]).findings
    #expect(findings.map(\.title) == ["A `baton consume` has died"] && findings[0].since == dead.heartbeatAt)
    #expect(findings[0].reason == "host, process \(dead.processID)")
    let replaced = Self.holder("consume", dispatched: 1, startedAgo: -1)
    #expect(Self.health(Self.others + [replaced, dead]).findings.isEmpty)
    // Then the role is missing, which says more.
    #expect(Self.health(Self.others + [dead]).findings.map(\.title) == ["No `baton consume` runs"])
  }

  @Test("the last server that died is named, and one that was ended in good order is not")
  func lastServer() {
    let others = [Self.holder("produce"), Self.holder("reap"), Self.holder("consume", dispatched: 1)]
    let dead = Self.holder("serve", startedAgo: 7_200, isDead: true)
    let findings = Self.health(others + [dead]).findings
    #expect(
      findings.map(\.title) == ["A `baton serve` has died, and no `baton serve` runs"]
        && findings.first?.grade == .warning)
    #expect(findings.first?.reason == "host, process \(dead.processID)")
    #expect(findings.first?.advice.contains("webhooks") == true)
    // A server that is ended leaves no row.
    #expect(Self.health(others).findings.isEmpty)
    // Where `baton up` serves as well, the role is not missing.
    let up = Self.holder("consume", roles: ["consume", "produce", "reap", "serve"])
    #expect(Self.health([up, dead]).findings.map(\.title) == ["A `baton serve` has died"])
    // What dispatches is missing by name; the server's share of a process that did all is named with its death.
    var deadUp = up
    deadUp.isDead = true
    #expect(
      Self.health([deadUp]).findings.map(\.title) == [
        "No `baton produce` runs", "No `baton consume` runs",
        "A `baton up` has died, and no `baton reap` or `baton serve` runs",
      ])
  }

  @Test("the last reaper that died is named until a pass has finished since, as cron's do")
  func lastReaper() {
    let others = [Self.holder("produce"), Self.holder("serve"), Self.holder("consume", dispatched: 1)]
    var dead = Self.holder("reap", startedAgo: 7_200, isDead: true)
    dead.heartbeatAt = Self.ago(60)
    let findings = Self.health(others + [dead], reaperAgo: 61).findings
    #expect(findings.map(\.title) == ["A `baton reap` has died, and no `baton reap` runs"])
    #expect(Self.health(others + [dead], reaperAgo: 5).findings.isEmpty)
    // Then the passes themselves are late, which says more.
    #expect(Self.health(others + [dead], reaperAgo: 400).findings.map(\.title) == ["No reaper has finished a pass"])
  }

  @Test("many reviews behind their owners' limits are named, and a few are as they should be")
  func owners() {
    let holders = Self.others + [Self.holder("consume", dispatched: 1)]
    #expect(Self.health(holders, heldByLimit: 500).findings.isEmpty)
    let findings = Self.health(holders, heldByLimit: 501).findings
    #expect(findings.map(\.title) == ["501 due reviews wait for their owner's limit"])
    #expect(findings.map(\.grade) == [.warning])
  }

  @Test("the broker is unreachable for one process, or for all")
  func broker() {
    let away = Holder.Fault(.brokerAway, for: .seconds(30))
    let one = Self.health(Self.others + [Self.holder("consume", faults: [away])]).findings
    #expect(one.map(\.grade) == [.warning])
    let all = Self.health([Self.holder("produce", faults: [away]), Self.holder("consume", faults: [away])]).findings
    #expect(all.first?.grade == .bad && all.first?.title == "The broker cannot be reached (all 2 processes)")
  }

  @Test("Postgres does not answer one consumer, or all; what is stuck by it is bad in either case")
  func database() throws {
    let away = Holder.Fault(.databaseAway, for: .seconds(30))
    func consumer(_ faults: [Holder.Fault]) -> HolderStanding { Self.holder("consume", faults: faults, dispatched: 1) }
    let one = Self.health(Self.others + [consumer([away]), consumer([])]).findings
    #expect(one.map(\.title) == ["Postgres does not answer (1 of 2 processes)"] && one.first?.grade == .warning)
    let all = Self.health(Self.others + [consumer([away]), consumer([away])]).findings
    #expect(all.map(\.title) == ["Postgres does not answer (all 2 processes)"] && all.first?.grade == .bad)
    let idle = Self.holder("consume", dispatched: 300)
    let stuck = Self.health(
      Self.others + [idle, Self.holder("consume", faults: [away], dispatched: 300)], queued: 400)
    #expect(stuck.findings.first?.title == "Postgres does not answer (1 of 2 processes)")
    #expect(stuck.findings.first?.grade == .bad)
  }

  @Test("a reaper that lives and never finishes a pass is named once it has had the time for one")
  func reaperWithoutPass() {
    func findings(startedAgo: Int64) -> [HealthFinding] {
      let reaper = Self.holder("reap", startedAgo: startedAgo)
      return Self.health(
        [Self.holder("produce"), Self.holder("serve"), Self.holder("consume", dispatched: 1), reaper], reaperAgo: nil
      ).findings
    }
    #expect(findings(startedAgo: 20).isEmpty)
    let late = findings(startedAgo: 400)
    #expect(late.map(\.title) == ["No reaper has ever finished a pass"] && late.first?.since == Self.ago(400))
    #expect(late.first?.advice.contains("Postgres") == true)
    // A second one does not make the first one young.
    let both = Self.health(
      Self.others + [Self.holder("consume", dispatched: 1), Self.holder("reap", startedAgo: 20)], reaperAgo: nil)
    #expect(both.findings.map(\.title) == ["No reaper has ever finished a pass"])
  }

  @Test("a role that does not run is a warning in an empty system, and bad when reviews wait for it")
  func roles() {
    let idle = Self.health([Self.holder("serve")], reaperAgo: nil).findings
    #expect(
      idle.map(\.title) == ["No `baton produce` runs", "No `baton consume` runs", "No reaper has ever finished a pass"])
    #expect(idle.allSatisfy { $0.grade == .warning })
    let busy = Self.health([Self.holder("serve"), Self.holder("consume", isDead: true)], claimable: 90).findings
    #expect(busy.prefix(2).allSatisfy { $0.grade == .bad })
    for end in [Timestamp.infinity, .negativeInfinity] {
      let capacity = CapacityStats(
        oldestClaimable: nil, oldestRunning: nil, heldByLimit: 0, heldByPause: 0, reaperLastRun: end)
      let stats = StoreStats(counts: [:], oldestPending: nil, oldestQueued: nil, unacknowledged: 0, consumers: 0)
      let holders = Self.others + [Self.holder("consume")]
      let findings = SystemHealth(now: Self.now, holders: holders, stats: stats, capacity: capacity).findings
      #expect(findings.count == (end == .infinity ? 0 : 1), "a time that a person has set")
    }
    let late = Self.health(Self.others + [Self.holder("consume")], reaperAgo: 400).findings
    #expect(late.map(\.title) == ["No reaper has finished a pass"] && late.first?.since == Self.ago(400))
  }

  @Test("Postgres is slow if it is for the quickest of all")
  func slow() {
    let slow = Self.others.map { holder in
      var holder = holder
      holder.health.roundTripSeconds = 0.5
      return holder
    }
    #expect(
      Self.health(slow + [Self.holder("consume", roundTrip: 0.4)]).findings.first?.title.contains("400 ms") == true)
    #expect(Self.health(slow + [Self.holder("consume")]).findings.isEmpty)
  }

  @Test("a stall is as long as the wait, at most, and as the time since the last dispatch or the consumers' start")
  func stall() {
    #expect(Self.health(Self.others + [Self.holder("consume", dispatched: 500)], queued: 90).stalledFor == .seconds(90))
    #expect(Self.health(Self.others + [Self.holder("consume", startedAgo: 70)], queued: 900).stalledFor == .seconds(70))
    #expect(Self.health(Self.others + [Self.holder("consume", startedAgo: 20)], queued: 900).stalledFor == nil)
    #expect(Self.health(Self.others, claimable: 90).stalledFor == .seconds(90))
    #expect(Self.health(Self.others + [Self.holder("consume", dispatched: 3)], queued: 900).stalledFor == nil)
  }

  @Test("what could not be claimed until a moment ago is no stall, and later it is one since then")
  func resumed() throws {
    // A review is due for 12 minutes, and its owner was paused: a producer has seen that nothing was left to claim.
    func health(_ allClaimed: Double?, isDead: Bool = false) -> SystemHealth {
      Self.health(
        [
          Self.holder("produce", allClaimed: allClaimed, isDead: isDead), Self.holder("reap"),
          Self.holder("consume", dispatched: 900),
        ], claimable: 720)
    }
    #expect(health(5).stalledFor == nil && health(5).findings.isEmpty)
    #expect(health(5).capacity.oldestClaimable == .seconds(5))
    let stall = try #require(health(90).findings.last)
    #expect(stall.title == "Nothing is dispatched while reviews are due" && stall.since == Self.ago(90))
    // A producer that has died since has seen it too; one of an older version says nothing.
    let gone = try #require(health(90, isDead: true).findings.first)
    #expect(gone.title == "No `baton produce` runs" && gone.since == Self.ago(90))
    #expect(health(nil).stalledFor == .seconds(720))
    #expect(health(9_000).stalledFor == .seconds(720))
    // As one that cannot be is read.
    #expect(health(.infinity).stalledFor == .seconds(720))
  }
}
