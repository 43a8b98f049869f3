package import FoundationEssentials
package import Primitives
internal import Resilience
package import ReviewStore
package import Reviews

// What people and workers do.
extension InMemoryLedger {
  package func submit(_ new: NewReview, trace: TraceContext, actor: String?) async throws -> Submission {
    try await run("submit") { [random] tables in
      let reviews = tables.reviews.values
      if let known = reviews.first(where: { $0.row.review.isOf(new, byNumber: true) })
        ?? reviews.first(where: { $0.row.review.isOf(new, byNumber: false) })
      {
        return Submission(id: known.row.review.id, status: known.row.review.status, isNew: false)
      }
      var review = Review(new, id: UUID(random), at: tables.now)
      // The name is written as the pull request's other reviews have it.
      review.repoFullName =
        reviews.first { $0.row.review.isOfPullRequest(new) }?.row.review.repoFullName ?? new.repoFullName
      let row = ReviewRow(review: review, traceparent: trace.traceparent)
      tables.insert(row, actor: actor)
      return Submission(id: row.review.id, status: .pending, isNew: true)
    }
  }

  package func review(_ id: UUID) async throws -> Review? { try await run("find") { $0.reviews[id]?.row.review } }

  package func transitions(of id: UUID) async throws -> [ReviewTransition] {
    try await run("transitions") { $0.transitions[id] ?? [] }
  }

  package func cancel(
    _ id: UUID, code: ErrorCode, reason: String, actor: String?
  ) async throws -> OperationAnswer {
    try await run("cancel") { tables in
      guard let review = try tables.unlocked(id)?.review else { return .unknownReview }
      guard !review.status.isTerminal else { return .conflict(review.status) }
      tables.update(id, actor: actor) { row, _ in
        row.review.status = .cancelled
        row.review.statusReason = reason.storable
        row.review.errorCode = code.rawValue
        row.review.errorMessage = reason.storable
      }
      // Also if no dispatch is recorded: its call may be on the way.
      if review.claimedAt != nil { tables.addCancel(of: id, attempt: review.attempt) }
      return .done(.cancelled, attempt: review.attempt)
    }
  }

  package func retry(_ id: UUID, reason: String, actor: String?) async throws -> OperationAnswer {
    try await run("retry") { tables in
      guard let review = try tables.unlocked(id)?.review else { return .unknownReview }
      guard review.status == .failed || review.status == .cancelled else { return .conflict(review.status) }
      tables.addOwner(review.owner)
      tables.update(id, actor: actor) { row, now in
        row.review.status = .pending
        row.review.statusReason = reason.storable
        row.review.availableAt = now
      }
      return .done(.pending, attempt: review.attempt + 1)
    }
  }

  package func apply(_ report: RunReport, to id: UUID) async throws -> (answer: ReportAnswer, trace: TraceContext) {
    guard report.status == .running || report.status.isTerminal else {
      return (.ignored(report.status), TraceContext(of: id))
    }
    return try await run("report") { tables in
      guard let row = try tables.unlocked(id) else { return (.unknownReview, TraceContext(of: id)) }
      guard row.isAbout(report) else { return (.ignored(row.review.status), row.trace) }
      tables.update(id) { row, now in row.take(report, at: now) }
      return (.applied, row.trace)
    }
  }

  package func setLimit(of owner: Owner, to limit: Int?) async throws {
    try await run("set_owner_limit") { tables in
      tables.owners[owner, default: LedgerTables.OwnerRow()].limit = limit
      tables.notify(.reviewsDue)
    }
  }

  package func setPaused(_ isPaused: Bool, _ owner: Owner) async throws -> Bool {
    try await run("pause_owner") { tables in
      guard tables.owners[owner] != nil else { return false }
      tables.owners[owner]?.isPaused = isPaused
      tables.notify(.reviewsDue)
      return true
    }
  }

  package func setConfiguration(_ config: String, of owner: Owner, platform: Platform) async throws {
    try await run("change_configuration") { tables in
      tables.configurations[.init(owner: owner, platform: platform)] = config
    }
  }
}

extension LedgerTables {
  /// A review for a write that does not wait for locks.
  /// - Throws: ``RowLocked``.
  func unlocked(_ id: UUID) throws -> ReviewRow? {
    if locked.contains(id), reviews[id] != nil { throw RowLocked(reviewID: id) }
    return reviews[id]?.row
  }
}

extension ReviewRow {
  /// Whether a report may be applied: to a review in a worker's hands, and certainly about this attempt.
  fileprivate func isAbout(_ report: RunReport) -> Bool {
    guard review.status.isActive else { return false }
    if let attempt = report.attempt { return review.attempt == attempt }
    if let session = report.sessionId {
      return review.sessionId.map { $0 == session } ?? !pastSessionIDs.contains(session)
    }
    return review.attempt == 1 || review.dispatchedAt != nil
  }

  fileprivate mutating func take(_ report: RunReport, at now: Timestamp) {
    let message = report.errorMessage?.storable
    review.status = report.status
    review.statusReason = message ?? "reported by the worker"
    review.sessionId = report.sessionId?.storable ?? review.sessionId
    review.cliSessionId = report.cliSessionId?.storable ?? review.cliSessionId
    switch report.status {
    case .failed: review.errorCode = ErrorCode.agentFailed.rawValue
    case .cancelled: break
    case .pending, .queued, .running, .completed: review.errorCode = nil
    }
    let isWithoutResult = report.status == .failed || report.status == .cancelled
    review.errorMessage = isWithoutResult ? message ?? review.errorMessage : nil
    review.model = report.model?.storable ?? review.model
    review.totalTokensIn = report.totalTokensIn ?? review.totalTokensIn
    review.totalTokensOut = report.totalTokensOut ?? review.totalTokensOut
    review.totalCostMicrousd = report.totalCostMicrousd ?? review.totalCostMicrousd
    review.gateResult = report.gateResult ?? review.gateResult
    review.dispatchedAt = review.dispatchedAt ?? now
    endLease()
    review.updatedAt = now
  }
}

extension Review {
  /// Whether it is of the same pull request and commit: by its repository's number, or by its name, whose letter case does not matter.
  fileprivate func isOf(_ new: NewReview, byNumber: Bool) -> Bool {
    guard headSha == new.headSha else { return false }
    guard byNumber else { return isOfPullRequest(new) }
    return platformRepositoryId != nil && platformRepositoryId == new.repositoryNumber && prNumber == new.prNumber
      && owner == new.owner && platform == new.platform
  }

  /// Whether it is of a pull request of this name.
  fileprivate func isOfPullRequest(_ new: NewReview) -> Bool {
    owner == new.owner && platform == new.platform && prNumber == new.prNumber
      && repoFullName.lowercased() == new.repoFullName.lowercased()
  }

  fileprivate init(_ new: NewReview, id: UUID, at now: Timestamp) {
    self.init(
      id: id, ownerType: new.owner.type, ownerId: new.owner.id, userId: new.userId, platform: new.platform,
      platformIntegrationId: new.platformIntegrationId, platformProjectId: new.platformProjectId,
      platformRepositoryId: new.repositoryNumber, repoFullName: new.repoFullName, prNumber: new.prNumber,
      prUrl: new.prUrl, prTitle: new.prTitle,
      prAuthor: new.prAuthor, baseRef: new.baseRef, headRef: new.headRef, headSha: new.headSha, status: .pending,
      statusReason: nil, priority: new.priority ?? 0, attempt: 1, availableAt: new.availableAt ?? now, claimedAt: nil,
      publishedAt: nil,
      republishCount: 0, leaseLosses: 0, leaseOwner: nil, leaseExpiresAt: nil, dispatchFailures: 0, preparedAt: nil,
      dispatchedAt: nil, sessionId: nil, cliSessionId: nil, agentVersion: nil, previousSessionId: nil, errorCode: nil,
      errorMessage: nil, startedAt: nil, completedAt: nil, createdAt: now, updatedAt: now, model: nil,
      totalTokensIn: nil, totalTokensOut: nil, totalCostMicrousd: nil)
  }
}

extension NewReview {
  /// At GitLab it is the project's.
  fileprivate var repositoryNumber: Int64? {
    platformRepositoryId ?? (platform == .gitlab ? platformProjectId : nil)
  }
}
