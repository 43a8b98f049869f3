internal import FoundationEssentials
internal import Primitives
internal import Resilience
package import ReviewStore
internal import Reviews

// From pending to a published ticket.
extension InMemoryLedger {
  package func claim(
    limit: Int, ownerLimit: Int, by holder: Holder.ID, looksAtDelayed: Bool
  ) async throws -> [Claim] {
    try await run("claim_due") { tables in
      if looksAtDelayed { tables.lookedAtDelayed = tables.now }
      return tables.claimable(limit: limit, ownerLimit: ownerLimit).compactMap { id in
        tables.update(id) { row, now in
          row.review.status = .queued
          row.review.statusReason = "claimed"
          row.review.claimedAt = now
          row.claimedBy = holder
          row.traceparent = row.traceparent ?? TraceContext(of: id).traceparent
        }
        return tables.reviews[id]?.row.claim
      }
    }
  }

  package func recordPublished(_ claims: [Claim]) async throws {
    try await run("published") { tables in
      for claim in claims where tables.has(claim) && !tables.locked.contains(claim.reviewID) {
        tables.update(claim.reviewID) { row, now in
          guard row.review.publishedAt == nil else { return }
          row.review.publishedAt = now
        }
      }
    }
  }

  package func unclaim(_ claims: [Claim], reason: String) async throws {
    try await run("unclaim") { tables in
      let mine = claims.filter { claim in
        tables.has(claim) && tables.reviews[claim.reviewID]?.row.mayGoBack == true
      }
      for claim in mine { try tables.waitForLock(claim.reviewID, "unclaim") }
      for claim in mine {
        tables.update(claim.reviewID) { row, _ in
          row.review.status = .pending
          row.review.statusReason = reason
        }
      }
    }
  }

  package func owed(_ claims: [Claim]) async throws -> [Claim] {
    try await run("owed_claims") { tables in
      claims.filter { tables.has($0) && tables.reviews[$0.reviewID]?.row.isOwed == true }
    }
  }

  package func ownClaims(of holder: Holder.ID, limit: Int) async throws -> [Claim] {
    try await run("own_claims") { tables in
      let claims = tables.reviews.values.filter { $0.row.claimedBy == holder && $0.row.isOwed }.compactMap(\.row.claim)
      return Array(
        claims.sorted { ($0.claimedAt, $0.reviewID) < ($1.claimedAt, $1.reviewID) }.prefix(limit))
    }
  }

  package func nextDue() async throws -> NextDue {
    try await run("next_due") { tables in
      let times = tables.reviews.values.filter { tables.isDelayed($0.row) && $0.row.review.availableAt < .infinity }
        .map(\.row.review.availableAt)
      return NextDue(
        isNow: tables.reviews.values.contains { $0.row.isDue(at: tables.now) },
        delay: times.min().map { $0 > tables.now ? $0.since(tables.now) : DelayedReviews.overdueWait })
    }
  }

  package func noteOwnerLimit(_ limit: Int) async throws {
    try await run("note_owner_limit") { tables in tables.ownerLimit = limit }
  }

  /// Nothing is ever missed: a claim looks at every owner.
  package func visitMissed(after owner: OwnerKey?, ownerLimit: Int) async throws -> (found: Int, end: OwnerKey?) {
    try await run("visit_missed") { _ in (0, nil) }
  }
}

extension LedgerTables {
  /// Whether the row is still this claim.
  fileprivate func has(_ claim: Claim) -> Bool { reviews[claim.reviewID]?.row.review.claimedAt == claim.claimedAt }

  /// Whether a pending review had to wait for its time when it was written, and that had not come when a claim last looked.
  fileprivate func isDelayed(_ row: ReviewRow) -> Bool {
    row.review.status == .pending && row.review.availableAt > max(row.review.updatedAt, lookedAtDelayed)
  }

  /// For writes that wait for a locked row, and give up after some seconds.
  func waitForLock(_ id: UUID, _ statement: String) throws {
    if locked.contains(id) { throw InMemoryFault(faultKind: .busy, statement: statement) }
  }

  /// What a pass claims: owners in turn, up to their limits, and no owner more than about twice its share.
  ///
  /// An owner's n-th active review competes with the other owners' n-th ones.
  fileprivate func claimable(limit: Int, ownerLimit: Int) -> [UUID] {
    let due = Dictionary(
      grouping: reviews.values.filter { $0.row.isDue(at: now) && !isDelayed($0.row) }, by: \.row.owner)
    guard !due.isEmpty else { return [] }
    let slots = due.keys.compactMap { owner -> (owner: Owner, active: Int, free: Int)? in
      guard let row = owners[owner], !row.isPaused else { return nil }
      let active = reviews.values.count { $0.row.review.status.isActive && $0.row.owner == owner }
      let free = (row.limit ?? ownerLimit) - active
      return free > 0 ? (owner, active, free) : nil
    }
    let candidates = slots.flatMap { owner, active, free in
      let size = min(free, 2 * limit / slots.count + 1, limit)
      let rows = due[owner, default: []].filter { !locked.contains($0.row.review.id) }.sorted {
        $0.row.goesBefore($1.row)
      }
      return rows.prefix(size).enumerated().map { (turn: active + $0.offset + 1, row: $0.element) }
    }
    let chosen = candidates.sorted { $0.turn != $1.turn ? $0.turn < $1.turn : $0.row.row.goesBefore($1.row.row) }
    return chosen.prefix(limit).map { $0.row.row.review.id }
  }
}

extension ReviewRow {
  /// The order of pending reviews: by priority, then by age.
  fileprivate func goesBefore(_ other: ReviewRow) -> Bool {
    (-review.priority, place, review.id) < (-other.review.priority, other.place, other.review.id)
  }
}

extension UUID {
  /// Version 4, drawn from a source of chance.
  init(_ random: RandomSource) {
    var uuid: uuid_t = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    withUnsafeMutableBytes(of: &uuid) { bytes in
      for half in 0..<2 { bytes.storeBytes(of: random.next().littleEndian, toByteOffset: half * 8, as: UInt64.self) }
      bytes[6] = bytes[6] & 0x0F | 0x40
      bytes[8] = bytes[8] & 0x3F | 0x80
    }
    self.init(uuid: uuid)
  }
}
