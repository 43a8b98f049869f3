package import FoundationEssentials
internal import Primitives
internal import Resilience
package import ReviewStore
package import Reviews

// From a ticket to the record of the dispatch.
extension InMemoryLedger {
  package func lease(
    _ tickets: [Ticket], by holder: Holder.ID, for duration: Duration, heartbeatTimeout: Duration, failureMax: Int
  ) async throws -> [LeaseVerdict] {
    try await run("lease") { tables in
      let before = tables
      var seen: Set<UUID> = []
      return tickets.map { ticket in
        let isFirst = seen.insert(ticket.reviewID).inserted
        let verdict = before.verdict(of: ticket, by: holder, heartbeatTimeout, failureMax)
        guard verdict == .free else { return verdict.answer(ticket, holder) }
        let until = tables.now.adding(duration)
        guard isFirst else { return .mine(Lease(ticket, holder: holder, until: until)) }
        return tables.take(ticket.reviewID, by: holder, until: until, heartbeatTimeout).map { .leased($0) } ?? .unknown
      }
    }
  }

  package func stillLeased(_ leases: [Lease], by holder: Holder.ID) async throws -> [Bool] {
    try await run("still_leased") { tables in
      leases.map { lease in
        guard let review = tables.reviews[lease.reviewID]?.row.review else { return false }
        return review.attempt == lease.attempt && review.status == .queued && review.leaseOwner == holder.text
          && review.leaseExpiresAt == lease.until
      }
    }
  }

  package func isolate(_ id: UUID, by holder: Holder.ID) async throws {
    try await run("isolate") { tables in _ = tables.holders[holder]?.isolated.insert(id) }
  }

  package func endIsolation(of id: UUID, by holder: Holder.ID) async throws {
    try await run("end_isolation") { tables in _ = tables.holders[holder]?.isolated.remove(id) }
  }

  package func recordDispatched(_ records: [DispatchRecord], by holder: Holder.ID) async throws -> [RecordAnswer] {
    try await run("record") { [monotonicClock] tables in
      records.map { record in
        guard let row = tables.reviews[record.reviewID]?.row else { return .overtaken }
        guard !tables.locked.contains(record.reviewID) else { return .locked }
        // Of this holder; or ended since, which frees the lease; or run out, and no other holder has taken it.
        guard row.review.attempt == record.attempt, row.review.status != .pending,
          row.review.leaseOwner == nil || row.review.leaseOwner == holder.text
        else { return .overtaken }
        tables.update(record.reviewID) { row, now in
          let prepared = min(row.review.dispatchedAt ?? now, now.subtracting(monotonicClock.now - record.prepared))
          row.review.preparedAt = row.review.preparedAt ?? prepared
          row.review.dispatchedAt = row.review.dispatchedAt ?? now
          row.review.agentVersion = record.agentVersion?.storable ?? row.review.agentVersion
          row.endLease()
        }
        return row.review.status == .cancelled ? .cancelled : .recorded
      }
    }
  }

  package func postpone(
    _ lease: Lease, reason: String, for delay: Duration, keepingPlace: Bool = true
  ) async throws -> ReviewStatus? {
    try await write("postpone", lease) { row, now in
      row.review.status = .pending
      row.review.statusReason = reason.storable
      row.becomeDue(at: now.adding(delay), keepingPlace: keepingPlace)
    }
  }

  package func drop(_ lease: Lease) async throws {
    _ = try await write("drop_lease", lease) { row, now in
      row.endLease()
      // Its ticket is here now: nothing older may prove that it is lost.
      row.review.publishedAt = now
      row.review.updatedAt = now
      row.unclearStarts = max(row.unclearStarts, 1)
    }
  }

  package func retryLater(
    _ lease: Lease, message: String, after delay: Duration, failureMax: Int
  ) async throws -> ReviewStatus? {
    try await write("retry_later", lease) { row, now in
      row.countFailure(1, message.storable, failureMax: failureMax, otherwise: .pending)
      row.becomeDue(at: now.adding(delay), keepingPlace: false)
    }
  }

  package func fail(_ lease: Lease, code: ErrorCode, message: String) async throws -> ReviewStatus? {
    try await write("fail", lease, notifiesOfFailure: true) { row, _ in
      row.review.status = .failed
      row.review.statusReason = code.rawValue
      row.review.errorCode = code.rawValue
      row.review.errorMessage = message.storable
    }
  }

  package func leaveQueued(
    _ lease: Lease, message: String, for delay: Duration, isCounted: Bool, failureMax: Int
  ) async throws -> ReviewStatus? {
    try await write("leave_queued", lease, notifiesOfFailure: true) { row, now in
      row.countFailure(
        isCounted ? 1 : 0, message.storable, failureMax: isCounted ? failureMax : .max, otherwise: .queued)
      row.unclearStarts += 1
      row.review.leaseOwner = nil
      row.review.leaseExpiresAt = now.adding(delay)
      row.review.updatedAt = now
    }
  }

  /// A write of a lease's holder.
  /// - Parameter notifiesOfFailure: whether the worker is notified if this fails a review that an earlier start may have brought to it.
  /// - Returns: the new status; nil if the lease is no longer this one.
  private func write(
    _ statement: String, _ lease: Lease, notifiesOfFailure: Bool = false,
    _ change: @escaping (inout ReviewRow, Timestamp) -> Void
  ) async throws -> ReviewStatus? {
    try await run(statement) { tables in
      guard let row = try tables.unlocked(lease.reviewID), row.has(lease) else { return nil }
      tables.update(lease.reviewID, change)
      guard let written = tables.reviews[lease.reviewID]?.row else { return nil }
      if notifiesOfFailure, written.review.status == .failed, written.unclearStarts > 0 {
        tables.addCancel(of: lease.reviewID, attempt: lease.attempt)
      }
      return written.review.status
    }
  }
}

extension ReviewRow {
  /// Counts failures; the last one fails the review.
  fileprivate mutating func countFailure(
    _ count: Int, _ message: String, failureMax: Int, otherwise status: ReviewStatus
  ) {
    let isExhausted = review.dispatchFailures + count >= failureMax
    review.dispatchFailures += count
    review.status = isExhausted ? .failed : status
    review.statusReason = message
    review.errorCode = isExhausted ? ErrorCode.attemptsExhausted.rawValue : nil
    review.errorMessage = isExhausted ? message : nil
  }
}

/// What the row says to a ticket, before any lease of the statement is taken.
private enum TicketVerdict: Equatable {
  case free
  case lockedByOther
  case unknown
  case dispatched
  case mine(Timestamp)
  case leasedElsewhere
  case notDispatchable(String)

  func answer(_ ticket: Ticket, _ holder: Holder.ID) -> LeaseVerdict {
    switch self {
    case .free, .leasedElsewhere: .leasedElsewhere
    case .lockedByOther: .lockedByOther
    case .unknown: .unknown
    case .dispatched: .dispatched
    case .mine(let until): .mine(Lease(ticket, holder: holder, until: until))
    case .notDispatchable(let reason): .notDispatchable(reason)
    }
  }
}

extension LedgerTables {
  fileprivate func verdict(
    of ticket: Ticket, by holder: Holder.ID, _ heartbeatTimeout: Duration, _ failureMax: Int
  ) -> TicketVerdict {
    guard let review = reviews[ticket.reviewID]?.row.review else { return .unknown }
    if locked.contains(ticket.reviewID) { return .lockedByOther }
    if review.attempt != ticket.attempt { return .notDispatchable("outdated") }
    if review.dispatchedAt != nil || review.status == .running || review.status == .completed { return .dispatched }
    if review.status != .queued { return .notDispatchable(review.status.rawValue) }
    guard let owner = review.leaseOwner else {
      return review.leaseExpiresAt.map { $0 > now } ?? false ? .notDispatchable("waiting") : .free
    }
    if !leaseHasEnded(review, heartbeatTimeout) {
      return owner == holder.text ? .mine(review.leaseExpiresAt ?? now) : .leasedElsewhere
    }
    // The reaper ends it.
    if isCharged(review, heartbeatTimeout), review.leaseLosses + 1 >= failureMax {
      return .leasedElsewhere
    }
    return .free
  }

  fileprivate mutating func take(
    _ id: UUID, by holder: Holder.ID, until: Timestamp, _ heartbeatTimeout: Duration
  ) -> LeasedReview? {
    let isLost = reviews[id].map { isCharged($0.row.review, heartbeatTimeout) } ?? false
    update(id) { row, now in
      // Its last holder may have called the worker.
      if row.review.leaseOwner != nil { row.unclearStarts = max(row.unclearStarts, 1) }
      if isLost { row.review.leaseLosses += 1 }
      row.review.leaseOwner = holder.text
      row.review.leaseExpiresAt = until
      row.review.publishedAt = row.review.publishedAt ?? now
    }
    return reviews[id].map { leased($0.row, until: until) }
  }

  private func leased(_ row: ReviewRow, until: Timestamp) -> LeasedReview {
    let review = row.review
    let previous = previousReview(of: review)
    return LeasedReview(
      id: review.id, attempt: review.attempt, owner: review.owner, userId: review.userId, platform: review.platform,
      platformIntegrationId: review.platformIntegrationId, platformProjectId: review.platformProjectId,
      repoFullName: review.repoFullName, prNumber: review.prNumber, prUrl: review.prUrl, prTitle: review.prTitle,
      prAuthor: review.prAuthor, baseRef: review.baseRef, headRef: review.headRef, headSha: review.headSha,
      previousSessionId: review.previousSessionId ?? previous?.sessionId, previousHeadSha: previous?.headSha,
      claimedAt: review.claimedAt ?? now, leasedAt: now, leasedUntil: until,
      dispatchFailures: review.dispatchFailures, leaseLosses: review.leaseLosses, unclearStarts: row.unclearStarts,
      configuration: configurations[.init(owner: review.owner, platform: review.platform)])
  }

  /// The review of this pull request that completed last, at another commit.
  private func previousReview(of review: Review) -> Review? {
    reviews.values.filter { $0.row.review.precedes(review) }
      .max { $0.row.review.completedEarlier(than: $1.row.review) }?.row.review
  }
}

extension Review {
  /// Whether it is a completed review of a pull request at another commit, and has the session that the other one goes on with, if it says which.
  fileprivate func precedes(_ other: Review) -> Bool {
    status == .completed && prNumber == other.prNumber && repoFullName == other.repoFullName && owner == other.owner
      && platform == other.platform && headSha != other.headSha && isOfRepository(of: other)
      && (other.previousSessionId == nil || sessionId == other.previousSessionId)
  }

  /// Whether a repository of the same name is the same one: another one may have had the name, or have it at another instance.
  private func isOfRepository(of other: Review) -> Bool {
    if let id = platformRepositoryId, let otherID = other.platformRepositoryId, id != otherID { return false }
    return instance == other.instance
  }

  private var instance: String {
    PullRequestKey(owner: owner, platform: platform, url: prUrl, repoFullName: repoFullName, prNumber: prNumber)
      .instance
  }

  fileprivate func completedEarlier(than other: Review) -> Bool {
    (completedAt ?? .negativeInfinity, id) < (other.completedAt ?? .negativeInfinity, other.id)
  }
}
