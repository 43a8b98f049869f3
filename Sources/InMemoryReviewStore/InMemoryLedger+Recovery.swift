package import FoundationEssentials
package import Primitives
package import ReviewStore
internal import Reviews

// What the reaper takes over, and the proof that a ticket is lost.
extension InMemoryLedger {
  package func reapAbandoned(
    _ times: ReapTimes, queue: String, limit: Int, by holder: Holder.ID, failureMax: Int
  ) async throws -> [Reaped] {
    try await run("reap") { tables in
      let abandoned = tables.reviews.values
        .filter { !tables.locked.contains($0.row.review.id) }
        .compactMap { stored in tables.abandonment(of: stored.row, times, queue).map { (row: stored.row, reason: $0) } }
        .sorted { $0.row.claimedEarlier(than: $1.row) }
      return abandoned.prefix(limit).compactMap { row, reason in
        tables.reap(row, reason, by: holder, times, failureMax: failureMax)
      }
    }
  }

  package func recordReaperRun() async throws {
    try await run("reaper_ran") { tables in tables.reaperRanAt = tables.now }
  }

  package func openRollCall(_ queue: String, heartbeatTimeout: Duration) async throws -> [Int64] {
    try await run("open_roll_call") { tables in
      let unseen = tables.rollCalls.filter { $0.value.queue == queue && $0.value.seenAt == nil }.keys.sorted()
      guard tables.isTicketMissed, tables.mayOpenRollCall(queue) else { return unseen }
      let id = tables.nextID()
      tables.rollCalls[id] = RollCallRow(
        queue: queue, startedAt: tables.now, waiting: Set(tables.livingConsumers(heartbeatTimeout)))
      return [id] + unseen
    }
  }

  package func seeRollCalls(_ ids: [Int64], isQueueEmpty: Bool, heartbeatTimeout: Duration) async throws {
    try await run("see_roll_calls") { tables in
      let living = tables.livingConsumers(heartbeatTimeout)
      for id in ids {
        guard let call = tables.rollCalls[id], call.seenAt == nil, isQueueEmpty || tables.isOvertaken(call) else {
          continue
        }
        tables.rollCalls[id]?.seenAt = tables.now
        tables.rollCalls[id]?.waiting.formUnion(living)
      }
    }
  }

  package func unansweredRollCalls(
    of holder: Holder.ID, after instant: Timestamp?
  ) async throws -> (now: Timestamp, ids: [Int64]) {
    try await run("unanswered_roll_calls") { tables in
      let calls = tables.rollCalls.filter { _, call in
        call.seenAt != nil && call.waiting.contains(holder) && call.startedAt > instant ?? .negativeInfinity
      }
      return (tables.now, calls.keys.sorted())
    }
  }

  package func answerRollCalls(_ ids: [Int64], by holder: Holder.ID, undecided: [UUID]) async throws {
    try await run("answer_roll_calls") { tables in
      for id in ids {
        tables.rollCalls[id]?.waiting.remove(holder)
        tables.rollCalls[id]?.undecided.formUnion(undecided)
      }
    }
  }

  package func pruneRollCalls() async throws {
    try await run("prune_roll_calls") { tables in
      let oldest = tables.now.subtracting(.seconds(600))
      tables.rollCalls = tables.rollCalls.filter { $0.value.startedAt >= oldest }
    }
  }
}

extension ReviewRow {
  /// The order in which the reaper takes abandoned reviews.
  fileprivate func claimedEarlier(than other: ReviewRow) -> Bool {
    (review.claimedAt ?? .negativeInfinity, review.id)
      < (other.review.claimedAt ?? .negativeInfinity, other.review.id)
  }
}

/// A row of `baton_roll_calls`.
struct RollCallRow: Sendable {
  let queue: String
  let startedAt: Timestamp
  var seenAt: Timestamp?
  /// The consumers that have not answered yet.
  var waiting: Set<Holder.ID>
  var undecided: Set<UUID> = []
}

extension LedgerTables {
  /// Why a review counts as abandoned; nil if it does not.
  fileprivate func abandonment(of row: ReviewRow, _ times: ReapTimes, _ queue: String) -> ReapReason? {
    let review = row.review
    guard review.status == .queued, review.dispatchedAt == nil else { return nil }
    if review.leaseOwner != nil { return leaseHasEnded(review, times.heartbeatTimeout) ? .leaseExpired : nil }
    if let until = review.leaseExpiresAt { return until <= now ? .leaseExpired : nil }
    guard let published = review.publishedAt else {
      let isLate = review.claimedAt.map { $0 < now.subtracting(times.publishGrace) } ?? false
      return isDead(row.claimedBy, times.heartbeatTimeout) || isLate ? .unpublished : nil
    }
    if let call = completedRollCall(queue), published < call.startedAt, !call.undecided.contains(review.id) {
      return .lost
    }
    let doubled = times.staleAfter * (1 << min(review.republishCount, 20))
    return published < now.subtracting(min(doubled, .seconds(3_600))) ? .stale : nil
  }

  private func completedRollCall(_ queue: String) -> RollCallRow? {
    rollCalls.values.filter { $0.queue == queue && $0.seenAt != nil && $0.waiting.isEmpty }
      .max { $0.startedAt < $1.startedAt }
  }

  fileprivate mutating func reap(
    _ row: ReviewRow, _ reason: ReapReason, by holder: Holder.ID, _ times: ReapTimes, failureMax: Int
  ) -> Reaped? {
    let review = row.review
    // Only a death is counted against a review: a living holder may be late without its fault.
    let isLost = isCharged(review, times.heartbeatTimeout)
    let isExhausted = isLost && review.leaseLosses + 1 >= failureMax
    now = Timestamp(microseconds: now.microseconds + 1)
    update(review.id) { row, now in
      if review.leaseOwner != nil { row.unclearStarts = max(row.unclearStarts, 1) }
      if isLost { row.review.leaseLosses += 1 }
      row.review.status = isExhausted ? .failed : .queued
      row.review.statusReason = isExhausted ? "its consumers died" : "republished: \(reason.rawValue)"
      row.review.errorCode = isExhausted ? ErrorCode.attemptsExhausted.rawValue : nil
      row.review.errorMessage =
        isExhausted ? "\(review.leaseLosses + 1) consumers died while they prepared this review" : nil
      row.claimAnew(by: holder, at: now)
    }
    if isExhausted {
      addCancel(of: review.id, attempt: review.attempt)
      return .failed(review.id, attempt: review.attempt, row.trace)
    }
    counts.reaped[reason.rawValue, default: 0] += 1
    return reviews[review.id]?.row.claim.map { .republish($0, reason) }
  }

  /// Whether a published ticket was not leased for two seconds.
  fileprivate var isTicketMissed: Bool {
    let time = now.subtracting(.seconds(2))
    return reviews.values.contains { $0.row.review.isPublishedAndFree(since: time) }
  }

  /// What was opened a moment ago, or still waits to be seen, is enough.
  fileprivate func mayOpenRollCall(_ queue: String) -> Bool {
    !rollCalls.values.contains { call in
      call.queue == queue
        && (call.startedAt > now.subtracting(.seconds(2))
          || call.seenAt == nil && call.startedAt > now.subtracting(.seconds(5)))
    }
  }

  /// Whether a review that was claimed after the opening has been leased: the queue is first in, first out. A consumer that came since
  /// might have taken an older ticket and given it back.
  fileprivate func isOvertaken(_ call: RollCallRow) -> Bool {
    let consumers = holders.values.filter { $0.role == "consume" }
    return consumers.contains { $0.leasedUpTo.map { $0 > call.startedAt.adding(.seconds(1)) && $0 <= now } ?? false }
      && !consumers.contains { $0.startedAt > call.startedAt }
  }
}

extension Review {
  /// Whether its ticket was published before a time, and no consumer has used it yet.
  fileprivate func isPublishedAndFree(since time: Timestamp) -> Bool {
    status == .queued && dispatchedAt == nil && leaseOwner == nil && leaseExpiresAt == nil
      && publishedAt.map { $0 < time } ?? false
  }
}
