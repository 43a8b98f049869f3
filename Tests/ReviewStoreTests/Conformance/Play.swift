import FoundationEssentials
import Primitives
import ReviewStore
import Reviews
import Synchronization

/// The language of the cases: each step is a call of the ledger by one of four processes, or time that passes.
///
/// Claims, leases and other tokens that a case has been given stay valid while time passes, whatever the world does for that.
struct Play: Sendable {
  let world: any LedgerWorld
  let producer = Holder(role: "produce", host: "test", processID: 1)
  let consumer = Holder(role: "consume", host: "test", processID: 2)
  let other = Holder(role: "consume", host: "test", processID: 3)
  let reaper = Holder(role: "reap", host: "test", processID: 4)
  private let witness = Holder(role: "serve", host: "test", processID: 5)
  private let state = State()

  private final class State: Sendable {
    let alive = Mutex<[Holder.ID]>([])
    let count = Mutex(0)
  }

  static let acme = Owner(type: .org, id: "acme")
  static let times = ReapTimes(
    heartbeatTimeout: .seconds(100), publishGrace: .seconds(1_000), staleAfter: .seconds(1_500),
    runningTimeout: .seconds(1_800))
  static let leaseTime: Duration = .seconds(600)
  static let queue = "q"

  /// - Parameter world: with an empty ledger.
  init(_ world: any LedgerWorld) async throws {
    self.world = world
    // Heard first and always: the ledger counts as one that answers.
    try await ledger.register(witness)
    try await world.setHeartbeat(of: witness.id, in: .seconds(86_400))
    for holder in [producer, consumer, other, reaper] { try await join(holder) }
  }

  var ledger: any ReviewLedger { world.ledger }

  private func out(_ claim: Claim) -> Claim { claim.shifted(by: world.shift) }
  private func back(_ claim: Claim) -> Claim { claim.shifted(by: .zero - world.shift) }
  private func back(_ lease: Lease) -> Lease { lease.shifted(by: .zero - world.shift) }
  private func back(_ review: SilentReview) -> SilentReview { review.shifted(by: .zero - world.shift) }

  // MARK: Time and processes

  func join(_ holder: Holder) async throws {
    try await ledger.register(holder)
    state.alive.withLock { $0.append(holder.id) }
  }

  /// Lets time pass, in which every process that was not killed sends its heartbeats.
  func pass(_ duration: Duration) async throws {
    try await world.pass(duration, alive: state.alive.withLock { $0 })
    try await world.setHeartbeat(of: witness.id, in: .seconds(86_400))
  }

  /// Lets time pass in which the ledger answers no process but some.
  func passSilently(_ duration: Duration, but alive: [Holder] = []) async throws {
    try await world.setHeartbeat(of: witness.id, in: .zero)
    try await world.pass(duration, alive: alive.map(\.id))
  }

  /// A process dies, and every other one can know it.
  func kill(_ holder: Holder) async throws {
    state.alive.withLock { $0.removeAll { $0 == holder.id } }
    try await ledger.lookAtHolders()
    try await pass(.seconds(3))
  }

  /// Processes send no heartbeats any more.
  func silence(_ holders: Holder...) {
    state.alive.withLock { alive in alive.removeAll { id in holders.contains { $0.id == id } } }
  }

  // MARK: Reviews

  func submit(
    _ owner: Owner = Play.acme, priority: Int = 0, number: Int? = nil, sha: String? = nil,
    repository: String = "acme/shop", repositoryID: Int64? = nil, availableAt: Timestamp? = nil
  ) async throws -> UUID {
    let count = state.count.withLock { count in
      count += 1
      return count
    }
    let review = NewReview(
      owner: owner, platform: .github, platformRepositoryId: repositoryID, repoFullName: repository,
      prNumber: number ?? count,
      prUrl: "https://github.com/acme/shop/pull/\(count)", prTitle: "Title", prAuthor: "ada", baseRef: "main",
      headRef: "feature", headSha: sha ?? "0123abc\(count)", priority: priority,
      availableAt: availableAt)
    return try await ledger.submit(review).id
  }

  func submit(count: Int, _ owner: Owner = Play.acme) async throws -> [UUID] {
    var ids: [UUID] = []
    for _ in 0..<count { ids.append(try await submit(owner)) }
    return ids
  }

  func row(_ id: UUID) async throws -> Review {
    guard let review = try await ledger.review(id) else { throw NoSuchReview(id: id) }
    return review
  }

  // MARK: Claims

  func claim(_ limit: Int = 100, ownerLimit: Int = 20, by holder: Holder? = nil) async throws -> [Claim] {
    try await ledger.claim(limit: limit, ownerLimit: ownerLimit, by: (holder ?? producer).id).map(out)
  }

  func publish(_ claims: [Claim]) async throws { try await ledger.recordPublished(claims.map(back)) }

  func unclaim(_ claims: [Claim]) async throws { try await ledger.unclaim(claims.map(back), reason: "not taken") }

  func owed(_ claims: [Claim]) async throws -> [Claim] { try await ledger.owed(claims.map(back)).map(out) }

  func ownClaims(of holder: Holder? = nil, limit: Int = 10) async throws -> [Claim] {
    try await ledger.ownClaims(of: (holder ?? producer).id, limit: limit).map(out)
  }

  // MARK: Leases

  func lease(
    _ claims: [Claim], by holder: Holder? = nil, for duration: Duration = Play.leaseTime, failureMax: Int = 8
  ) async throws -> [LeaseVerdict] {
    try await ledger.lease(
      claims.map { back($0).ticket }, by: (holder ?? consumer).id, for: duration,
      heartbeatTimeout: Self.times.heartbeatTimeout, failureMax: failureMax)
  }

  /// Takes the lease of a claim's ticket.
  func take(_ claim: Claim, by holder: Holder? = nil, for duration: Duration = Play.leaseTime) async throws -> Lease {
    guard case .leased(let review) = try await lease([claim], by: holder, for: duration)[0] else {
      throw NoSuchReview(id: claim.reviewID)
    }
    return Lease(claim.ticket, holder: (holder ?? consumer).id, until: review.leasedUntil.shifted(by: world.shift))
  }

  /// Submits, claims, publishes and leases a review.
  func leased(_ owner: Owner = Play.acme, by holder: Holder? = nil) async throws -> (claim: Claim, lease: Lease) {
    let id = try await submit(owner)
    guard let claim = try await claim().first(where: { $0.reviewID == id }) else { throw NoSuchReview(id: id) }
    try await publish([claim])
    return (claim, try await take(claim, by: holder))
  }

  /// A lease of a review whose earlier start may have reached the worker.
  func leasedAfterAnUnclearStart() async throws -> Lease {
    let (claim, lease) = try await leased()
    _ = try await leaveQueued(lease, for: .seconds(1), isCounted: false)
    try await pass(.seconds(2))
    guard let again = try await reap().claims.first(where: { $0.reviewID == claim.reviewID }) else {
      throw NoSuchReview(id: claim.reviewID)
    }
    return try await take(again)
  }

  func isLeased(_ lease: Lease) async throws -> Bool {
    try await ledger.stillLeased([back(lease)], by: lease.holder)[0]
  }

  func record(_ id: UUID, attempt: Int = 1, version: String? = nil, by holder: Holder? = nil) async throws
    -> RecordAnswer
  {
    let record = DispatchRecord(reviewID: id, attempt: attempt, agentVersion: version)
    return try await ledger.recordDispatched([record], by: (holder ?? consumer).id)[0]
  }

  func postpone(
    _ lease: Lease, for delay: Duration = .zero, keepingPlace: Bool = true
  ) async throws -> ReviewStatus? {
    try await ledger.postpone(back(lease), reason: "outage", for: delay, keepingPlace: keepingPlace)
  }

  func retryLater(_ lease: Lease, after delay: Duration = .zero, failureMax: Int = 8) async throws -> ReviewStatus? {
    try await ledger.retryLater(back(lease), message: "no", after: delay, failureMax: failureMax)
  }

  func leaveQueued(
    _ lease: Lease, for delay: Duration = .seconds(60), isCounted: Bool = true, failureMax: Int = 8
  ) async throws -> ReviewStatus? {
    try await ledger.leaveQueued(
      back(lease), message: "unclear", for: delay, isCounted: isCounted, failureMax: failureMax)
  }

  func fail(_ lease: Lease) async throws -> ReviewStatus? {
    try await ledger.fail(back(lease), code: .configMissing, message: "none")
  }

  func drop(_ lease: Lease) async throws { try await ledger.drop(back(lease)) }

  // MARK: Recovery

  func reap(by holder: Holder? = nil, limit: Int = 100, failureMax: Int = 8) async throws -> [Reaped] {
    try await ledger.reapAbandoned(
      Self.times, queue: Self.queue, limit: limit, by: (holder ?? reaper).id, failureMax: failureMax
    ).map { reaped in
      if case .republish(let claim, let reason) = reaped { return .republish(out(claim), reason) }
      return reaped
    }
  }

  /// Proves to the reapers that every published ticket is lost.
  func emptyQueue() async throws {
    try await pass(.seconds(6))
    let calls = try await ledger.openRollCall(Self.queue, heartbeatTimeout: Self.times.heartbeatTimeout)
    try await ledger.seeRollCalls(calls, isQueueEmpty: true, heartbeatTimeout: Self.times.heartbeatTimeout)
    for holder in [consumer, other] {
      let ids = try await ledger.unansweredRollCalls(of: holder.id, after: nil).ids
      try await ledger.answerRollCalls(ids, by: holder.id, undecided: [])
    }
  }

  func takeSilent(for lease: Duration = .seconds(15)) async throws -> [SilentReview] {
    try await ledger.takeSilent(Self.times, limit: 10, for: lease).map { $0.shifted(by: world.shift) }
  }

  func recordAsked(_ review: SilentReview) async throws { try await ledger.recordAsked(back(review)) }

  func forgetDispatch(_ review: SilentReview) async throws -> Claim? {
    try await ledger.forgetDispatch(back(review), by: reaper.id).map(out)
  }

  func failLost(_ review: SilentReview) async throws -> Bool {
    try await ledger.failLost(back(review), message: "gone")
  }

  // MARK: Reports

  func report(_ id: UUID, _ status: ReviewStatus, attempt: Int? = 1, session: String? = nil) async throws
    -> ReportAnswer
  {
    try await ledger.report(id, RunReport(status: status, attempt: attempt, sessionId: session))
  }
}

/// A case expected another review.
struct NoSuchReview: Error {
  let id: UUID
}

extension [Claim] {
  var ids: Set<UUID> { Set(map(\.reviewID)) }
}

extension [Reaped] {
  /// Of those that are published again.
  var reasons: [ReapReason] { compactMap { if case .republish(_, let reason) = $0 { reason } else { nil } } }
  var claims: [Claim] { compactMap { if case .republish(let claim, _) = $0 { claim } else { nil } } }
}
