internal import Primitives
package import ReviewStore
internal import Reviews

// Reviews about which the worker should have reported something.
extension InMemoryLedger {
  package func takeSilent(_ times: ReapTimes, limit: Int, for lease: Duration) async throws -> [SilentReview] {
    try await run("take_silent") { tables in
      let silent = tables.reviews.values
        .filter { tables.isSilent($0.row, times) && !tables.locked.contains($0.row.review.id) }
        .map(\.row).sorted { $0.askedEarlier(than: $1) }
      return silent.prefix(limit).map { row in
        // As if it had been asked so long ago that it comes due again when the call must have ended.
        let whole = row.review.status == .queued ? times.staleAfter : times.runningTimeout
        let token = tables.now.subtracting(max(.zero, whole - lease))
        tables.amend(row.review.id) { $0.reconciledAt = token }
        return SilentReview(
          reviewID: row.review.id, attempt: row.review.attempt, status: row.review.status, trace: row.trace,
          token: token)
      }
    }
  }

  package func recordAsked(_ review: SilentReview) async throws {
    try await run("record_asked") { tables in
      guard try tables.taken(review, "record_asked") != nil else { return }
      let now = tables.now
      tables.amend(review.reviewID) { $0.reconciledAt = now }
    }
  }

  package func silentCount(_ times: ReapTimes, comingDueWithin time: Duration) async throws -> Int {
    var soon = times
    soon.staleAfter = max(.zero, times.staleAfter - time)
    soon.runningTimeout = max(.zero, times.runningTimeout - time)
    return try await run("silent_count") { tables in tables.reviews.values.count { tables.isSilent($0.row, soon) } }
  }

  package func forgetDispatch(_ review: SilentReview, by holder: Holder.ID) async throws -> Claim? {
    try await run("forget_dispatch") { tables in
      guard let row = try tables.taken(review, "forget_dispatch"), row.review.status == .queued,
        row.review.dispatchedAt != nil
      else { return nil }
      tables.update(review.reviewID) { row, now in
        row.review.dispatchedAt = nil
        // A worker that could not be asked may be running it.
        row.unclearStarts = max(row.unclearStarts, 1)
        row.review.statusReason = "the worker does not know it"
        row.claimAnew(by: holder, at: now)
      }
      return tables.reviews[review.reviewID]?.row.claim
    }
  }

  package func failLost(_ review: SilentReview, message: String) async throws -> Bool {
    try await run("fail_lost") { tables in
      guard let row = try tables.taken(review, "fail_lost"), row.review.status == .running else { return false }
      tables.update(review.reviewID) { row, _ in
        row.review.status = .failed
        row.review.statusReason = ErrorCode.workerLost.rawValue
        row.review.errorCode = ErrorCode.workerLost.rawValue
        row.review.errorMessage = message
      }
      return true
    }
  }

  package func countReconciled(_ results: [String: Int]) async throws {
    try await run("count_reconciled") { tables in tables.counts.reconciled.merge(results, uniquingKeysWith: +) }
  }

  package func rememberWorkerAnswers(_ url: String) async throws {
    try await run("worker_answers") { tables in _ = tables.answeringWorkers.insert(url) }
  }

  package func workerHasAnswered(_ url: String) async throws -> Bool {
    try await run("worker_has_answered") { $0.answeringWorkers.contains(url) }
  }

  /// What has happened to reviews so far.
  package func counts() async throws -> ReviewCounts { try await run("counts") { $0.counts } }
}

extension LedgerTables {
  /// Dispatched but still queued, or running, and nothing was heard of it for too long.
  fileprivate func isSilent(_ row: ReviewRow, _ times: ReapTimes) -> Bool {
    let heard: Timestamp
    let silence: Duration
    switch row.review.status {
    case .queued:
      guard let dispatched = row.review.dispatchedAt else { return false }
      (heard, silence) = (dispatched, times.staleAfter)
    case .running: (heard, silence) = (row.review.updatedAt, times.runningTimeout)
    case .pending, .completed, .failed, .cancelled: return false
    }
    return max(heard, row.reconciledAt ?? .negativeInfinity) < now.subtracting(silence)
  }

  /// The row, if no other reaper has taken it since.
  fileprivate func taken(_ silent: SilentReview, _ statement: String) throws -> ReviewRow? {
    guard let row = reviews[silent.reviewID]?.row, row.review.attempt == silent.attempt,
      row.reconciledAt == silent.token
    else { return nil }
    try waitForLock(silent.reviewID, statement)
    return row
  }
}

extension ReviewRow {
  /// The order in which the worker is asked about silent reviews.
  fileprivate func askedEarlier(than other: ReviewRow) -> Bool {
    (lastAsked, review.id) < (other.lastAsked, other.review.id)
  }

  /// When the worker was last asked about it, or else last heard of it.
  private var lastAsked: Timestamp {
    reconciledAt ?? max(review.updatedAt, review.dispatchedAt ?? .negativeInfinity)
  }
}
