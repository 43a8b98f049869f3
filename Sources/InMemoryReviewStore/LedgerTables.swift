internal import FoundationEssentials
internal import Primitives
internal import ReviewStore
internal import Reviews

/// What the database's tables hold, and what its triggers do.
struct LedgerTables: Sendable {
  /// The instant of the present statement.
  var now = Timestamp.negativeInfinity
  private(set) var reviews: [UUID: StoredRow] = [:]
  var owners: [Owner: OwnerRow] = [:]
  var ownerLimit: Int?
  var configurations: [ConfigurationKey: String] = [:]
  var holders: [Holder.ID: HolderRow] = [:]
  var rollCalls: [Int64: RollCallRow] = [:]
  var outbox: [Int64: OutboxRow] = [:]
  var transitions: [UUID: [ReviewTransition]] = [:]
  var answeringWorkers: Set<String> = []
  var counts = ReviewCounts()
  var reaperRanAt: Timestamp?
  /// When a claim last looked at delayed reviews.
  var lookedAtDelayed = Timestamp.negativeInfinity
  /// Reviews that a transaction elsewhere has locked.
  var locked: Set<UUID> = []
  /// The open sessions of holders that hold their locks.
  var sessions: [Holder.ID: InMemorySession] = [:]
  /// What the present statement notifies of when it is done.
  var notifications: [(LedgerEvent, [InMemorySession])] = []
  private var lastID: Int64 = 0

  struct ConfigurationKey: Hashable {
    var owner: Owner
    var platform: Platform
  }

  struct OwnerRow {
    var limit: Int?
    var isPaused = false
  }

  mutating func nextID() -> Int64 {
    lastID += 1
    return lastID
  }

  /// Becomes what it was. Time goes on, no number is given twice, and neither sessions nor locks are rows.
  mutating func goBack(to older: LedgerTables) {
    let (now, sessions, locked, lastID) = (now, sessions, locked, lastID)
    self = older
    (self.now, self.sessions, self.locked, self.lastID) = (now, sessions, locked, lastID)
  }

  mutating func notify(_ event: LedgerEvent) { notifications.append((event, sessionsInOrder)) }

  /// The open sessions, in the same order in each run.
  var sessionsInOrder: [InMemorySession] { sessions.sorted { $0.key.text < $1.key.text }.map(\.value) }

  /// An owner's row, made if it is missing.
  mutating func addOwner(_ owner: Owner) {
    guard owners[owner] == nil else { return }
    owners[owner] = OwnerRow()
    notify(.reviewsDue)
  }

  func hasDue(_ owner: Owner) -> Bool { reviews.values.contains { $0.row.isDue(at: now) && $0.row.owner == owner } }

  /// Changes a review under its id, and does what the triggers do if its status has changed.
  mutating func update(_ id: UUID, actor: String? = nil, _ change: (inout ReviewRow, Timestamp) -> Void) {
    guard let old = reviews[id]?.row else { return }
    var new = old
    change(&new, now)
    if new.review.status != old.review.status {
      new.followStatus(old, at: now)
      recordTransition(from: old, to: new, actor: actor)
    }
    reviews[id] = StoredRow(new)
    if new.review.status != old.review.status { wake(old, new) }
  }

  /// Changes columns of a review that no trigger looks at.
  mutating func amend(_ id: UUID, _ change: (inout ReviewRow) -> Void) {
    guard var row = reviews[id]?.row else { return }
    change(&row)
    reviews[id] = StoredRow(row)
  }

  private mutating func recordTransition(from old: ReviewRow?, to new: ReviewRow, actor: String?) {
    let isNews = new.review.statusReason != old?.review.statusReason
    transitions[new.review.id, default: []].append(
      ReviewTransition(
        at: now, fromStatus: old?.review.status, toStatus: new.review.status,
        reason: isNews ? new.review.statusReason : new.review.errorCode, actor: actor))
    switch new.review.status {
    case .completed: counts.completed += 1
    case .failed: counts.failed[new.review.errorCode ?? "", default: 0] += 1
    case .pending, .queued, .running, .cancelled: break
    }
  }

  /// Notifies of a slot that is free, and of what is pending again, if a review waits for it.
  private mutating func wake(_ old: ReviewRow, _ new: ReviewRow) {
    let isPending = new.review.status == .pending
    guard isPending || old.review.status.isActive && !new.review.status.isActive else { return }
    let isDelayed = isPending && new.review.availableAt > now && new.review.availableAt < .infinity
    if isDelayed || hasDue(new.owner) { notify(.reviewsDue) }
  }

  mutating func insert(_ row: ReviewRow, actor: String?) {
    addOwner(row.owner)
    reviews[row.review.id] = StoredRow(row)
    var submitted = row
    submitted.review.statusReason = "submitted"
    recordTransition(from: nil, to: submitted, actor: actor)
    if row.review.availableAt < .infinity { notify(.reviewsDue) }
  }
}

extension Timestamp {
  func adding(_ duration: Duration) -> Timestamp {
    let (seconds, attoseconds) = duration.components
    let (sum, isOver) = microseconds.addingReportingOverflow(seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
    return isOver ? (seconds < 0 ? .negativeInfinity : .infinity) : Timestamp(microseconds: sum)
  }

  func subtracting(_ duration: Duration) -> Timestamp { adding(.zero - duration) }
}
