internal import FoundationEssentials
internal import Primitives
package import ReviewStore
internal import Reviews

// Which processes live.
extension InMemoryLedger {
  package func session(
    of holder: Holder, hearing events: Set<LedgerEvent>,
    onSignOn: @escaping @Sendable (_ start: ContinuousClock.Instant) -> Void
  ) -> any LedgerSession {
    InMemorySession(of: holder, hearing: events, ledger: self, onSignOn: onSignOn)
  }

  package func register(_ holder: Holder) async throws {
    try await run("register_holder") { tables in
      guard tables.holders[holder.id] == nil else { return }
      tables.holders[holder.id] = HolderRow(holder, at: tables.now, answeringSince: tables.answeringSinceAsSeen)
    }
  }

  package func heartbeat(_ id: Holder.ID, _ report: Holder.Report) async throws -> Holder.Standing {
    try await run("heartbeat") { tables in
      let answeringSince = tables.answeringSinceAsSeen
      guard tables.holders[id] != nil else { return Holder.Standing(isKnown: false, isAsked: false) }
      tables.holders[id]?.beat(report, at: tables.now, answeringSince: answeringSince)
      let isAsked = tables.rollCalls.values.contains { $0.seenAt != nil && $0.waiting.contains(id) }
      return Holder.Standing(isKnown: true, isAsked: isAsked)
    }
  }

  package func leave(_ id: Holder.ID) async throws {
    try await run("leave") { tables in tables.holders[id] = nil }
  }

  package func lookAtHolders() async throws {
    try await run("look_at_holders") { tables in
      for id in tables.holders.keys {
        let hasLock = tables.sessions[id] != nil
        tables.holders[id]?.look(hasLock: hasLock, at: tables.now)
      }
    }
  }

  package func timeUntilDeathsAreSure(heartbeatTimeout: Duration) async throws -> Duration? {
    try await run("undecided_holders") { tables in
      tables.holders.values.compactMap { holder -> Duration? in
        guard let sure = holder.deathIsSureAt(tables.now, heartbeatTimeout), !tables.isDead(holder.id, heartbeatTimeout)
        else { return nil }
        let judged = tables.answeringSince?.adding(HolderTimes.grace) ?? .negativeInfinity
        return max(.zero, max(sure, judged).since(tables.now))
      }.max()
    }
  }

  package func pruneHolders() async throws {
    try await run("prune_holders") { tables in
      guard tables.databaseAnswers else { return }
      let old = tables.holders.values.filter { $0.heartbeatAt < tables.now.subtracting(.seconds(3_600)) }.map(\.id)
      for id in old where !tables.hasActiveReviews(id) { tables.holders[id] = nil }
    }
  }

  /// Enters the holder's row, takes its lock for the session, and ends an older session of the same holder.
  func signOn(_ holder: Holder, _ session: InMemorySession) async throws {
    try await run("sign_on") { tables in
      let answeringSince = tables.answeringSinceAsSeen
      if let older = tables.sessions[holder.id], older !== session { older.replace() }
      tables.sessions[holder.id] = session
      if tables.holders[holder.id] == nil {
        tables.holders[holder.id] = HolderRow(holder, at: tables.now, answeringSince: answeringSince)
      }
      tables.holders[holder.id]?.heartbeatAt = tables.now
      tables.holders[holder.id]?.answeringSince = answeringSince
      tables.holders[holder.id]?.lockFreeSince = nil
    }
  }

  /// Releases the lock that a session has held.
  func ended(_ holder: Holder, _ session: InMemorySession) {
    _ = try? change { tables in
      if tables.sessions[holder.id] === session { tables.sessions[holder.id] = nil }
    }
  }
}

/// A row of `baton_holders`.
struct HolderRow: Sendable {
  let id: Holder.ID
  let role: String
  let startedAt: Timestamp
  var heartbeatAt: Timestamp
  var lockFreeSince: Timestamp?
  var silentSince: Timestamp?
  var answeringSince: Timestamp?
  var leasedUpTo: Timestamp?
  /// The reviews that it prepares isolated from all others.
  var isolated: Set<UUID> = []
  /// Whether any of the sessions that its last heartbeat reported is left; nil before the first heartbeat.
  private var hasSessions: Bool?
  /// Whether its lock was free and none of its sessions left when it was last looked at.
  private var isGone = false

  init(_ holder: Holder, at now: Timestamp, answeringSince: Timestamp?) {
    id = holder.id
    role = holder.role
    startedAt = now
    heartbeatAt = now
    self.answeringSince = answeringSince
  }

  mutating func beat(_ report: Holder.Report, at now: Timestamp, answeringSince: Timestamp?) {
    heartbeatAt = now
    leasedUpTo = report.leasedUpTo
    self.answeringSince = answeringSince
    hasSessions = true
  }

  /// All its sessions have ended.
  mutating func endSessions() { if hasSessions != nil { hasSessions = false } }

  /// Notes what a look misses; a later heartbeat makes the note void.
  mutating func look(hasLock: Bool, at now: Timestamp) {
    isGone = !hasLock && hasSessions == false
    if hasLock {
      lockFreeSince = nil
    } else if lockFreeSince.map({ $0 < heartbeatAt }) ?? true {
      lockFreeSince = now
    }
    if heartbeatAt < now.subtracting(HolderTimes.pause), silentSince.map({ $0 < heartbeatAt }) ?? true {
      silentSince = now
    }
  }

  /// When its death is certain, unless a heartbeat comes before; nil if no look has missed it.
  func deathIsSureAt(_ now: Timestamp, _ heartbeatTimeout: Duration) -> Timestamp? {
    if let free = lockFreeSince, free >= heartbeatAt {
      return free.adding(isGone ? HolderTimes.gone : HolderTimes.missed)
    }
    guard let silent = silentSince, silent >= heartbeatAt, heartbeatAt < now.subtracting(heartbeatTimeout) else {
      return nil
    }
    return silent.adding(HolderTimes.missed)
  }
}

extension LedgerTables {
  private var lastHeartbeat: Timestamp? { holders.values.lazy.map(\.heartbeatAt).max() }

  /// Since when the database has answered without a pause, as the heartbeats have noted; nil: no pause was ever seen.
  var answeringSince: Timestamp? { holders.values.lazy.compactMap(\.answeringSince).max() }

  /// The same, as a heartbeat finds it now.
  var answeringSinceAsSeen: Timestamp? {
    if let last = lastHeartbeat, last < now.subtracting(HolderTimes.pause) { return now }
    return answeringSince
  }

  /// Whether the database has answered for long enough that a holder's silence is the holder's own.
  var databaseAnswers: Bool {
    guard let last = lastHeartbeat, last > now.subtracting(HolderTimes.pause) else { return false }
    return answeringSince.map { $0 < now.subtracting(HolderTimes.grace) } ?? true
  }

  /// Whether a holder is gone, so that what it holds is free.
  func isDead(_ id: Holder.ID?, _ heartbeatTimeout: Duration) -> Bool {
    guard let id, let holder = holders[id] else { return true }
    guard let sure = holder.deathIsSureAt(now, heartbeatTimeout) else { return false }
    return sure < now && databaseAnswers
  }

  /// Whether the loss of a review's lease counts against it: the holder is dead, and had isolated no other review.
  func isCharged(_ review: Review, _ heartbeatTimeout: Duration) -> Bool {
    guard let owner = review.leaseOwner.map({ Holder.ID(text: $0) }), isDead(owner, heartbeatTimeout) else {
      return false
    }
    return holders[owner].map { $0.isolated.isEmpty || $0.isolated.contains(review.id) } ?? true
  }

  /// Whether a lease has ended: its holder is dead, or its time is over. After a pause of the database a living holder has
  /// `heartbeatTimeout` to write what it has done in the meantime.
  func leaseHasEnded(_ review: Review, _ heartbeatTimeout: Duration) -> Bool {
    if isDead(review.leaseOwner.map { Holder.ID(text: $0) }, heartbeatTimeout) { return true }
    let ends = [review.leaseExpiresAt, answeringSince?.adding(heartbeatTimeout)].compactMap(\.self).max()
    return ends.map { $0 <= now } ?? false
  }

  /// The consumers that live.
  func livingConsumers(_ heartbeatTimeout: Duration) -> [Holder.ID] {
    holders.values.filter { $0.role == "consume" && !isDead($0.id, heartbeatTimeout) }.map(\.id)
  }

  fileprivate func hasActiveReviews(_ id: Holder.ID) -> Bool {
    reviews.values.contains { stored in
      stored.row.review.status.isActive && (stored.row.review.leaseOwner == id.text || stored.row.claimedBy == id)
    }
  }
}
