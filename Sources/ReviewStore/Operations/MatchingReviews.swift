package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// What an operator does to reviews.
package enum ReviewOperation: String, Sendable, CaseIterable {
  /// Start an ended review again, as a new attempt.
  case retry
  /// Make a pending review due now, whatever it waits for, or although it is held.
  case release
  /// End a review that has not ended.
  case cancel

  /// The statuses that it is for.
  package var statuses: [ReviewStatus] {
    switch self {
    case .retry: [.failed, .cancelled]
    case .release: [.pending]
    case .cancel: [.pending, .queued, .running]
    }
  }

  /// Those that are meant if none is named: what was cancelled was cancelled on purpose.
  package var defaultStatuses: [ReviewStatus] { self == .retry ? [.failed] : statuses }

  /// Whether a review allows it.
  package func isPossible(for review: Review, now: Timestamp) -> Bool {
    statuses.contains(review.status) && (self != .release || review.availableAt > now)
  }

  /// As a button or a question names it.
  package var title: String {
    switch self {
    case .retry: "Retry"
    case .release: "Release"
    case .cancel: "Cancel"
    }
  }

  package var participle: String {
    switch self {
    case .retry: "retried"
    case .release: "released"
    case .cancel: "cancelled"
    }
  }
}

/// A review that a filter lets through, with what a person recognises it by.
package struct MatchingReview: Sendable, Equatable {
  package var id: UUID
  package var status: ReviewStatus
  package var owner: Owner
  package var repository: String
  package var number: Int
  package var errorCode: String?
  package var createdAt: Timestamp
}

extension ReviewStore {
  static let matchStatements: [PostgresStatement] = [matching]

  /// The most reviews that one operation is for.
  package static let matchCountMax = 100_000

  /// Each status by an index of its own.
  static let matching = PostgresStatement(
    "matching",
    """
    /* baton:matching */
    SELECT r.id, r.status, r.owner_type, r.owner_id, r.repo_full_name, r.pr_number, r.error_code, r.created_at
      FROM (SELECT * FROM code_reviews r
             WHERE r.status = 'pending' AND 'pending' = ANY ($1::text[]) AND \(Fragment.matchesFilter)
               AND (NOT $10::bool OR r.available_at > now())
            UNION ALL
            SELECT * FROM code_reviews r
             WHERE r.status IN ('queued', 'running') AND r.status = ANY ($1) AND \(Fragment.matchesFilter)
            UNION ALL
            SELECT * FROM code_reviews r WHERE r.status = 'failed' AND 'failed' = ANY ($1) AND \(Fragment.matchesFilter)
            UNION ALL
            SELECT * FROM code_reviews r
             WHERE r.status IN ('completed', 'failed', 'cancelled') AND r.status = 'cancelled' AND 'cancelled' = ANY ($1)
               AND \(Fragment.matchesFilter)) r
     ORDER BY r.created_at, r.id
     LIMIT \(matchCountMax)
    """)

  /// The reviews with one of the statuses that a filter lets through, the oldest first; its own status is not looked at.
  /// - Parameters:
  ///   - filter: what they have in common.
  ///   - statuses: those that are meant.
  ///   - operation: what is to be done to them; what is due already cannot be released.
  package func matching(
    _ filter: ReviewFilter, statuses: [ReviewStatus], for operation: ReviewOperation
  ) async throws -> [MatchingReview] {
    let parameters: [any PostgresEncodable] =
      [statuses.map(\.rawValue)] + filter.parameters(after: nil).dropFirst() + [operation == .release]
    return decodeEach(try await pool.query(Self.matching, parameters), "review") { row in
      MatchingReview(
        id: try row.decode("id", as: UUID.self), status: try row.choice("status", as: ReviewStatus.self),
        owner: Owner(
          type: try row.choice("owner_type", as: Owner.Kind.self), id: try row.decode("owner_id", as: String.self)),
        repository: try row.decode("repo_full_name", as: String.self),
        number: Int(try row.decode("pr_number", as: Int32.self)),
        errorCode: try row.optional("error_code", as: String.self), createdAt: try row.timestamp("created_at"))
    }
  }

  /// Does it to one review.
  /// - Parameters:
  ///   - operation: a retry, a release or a cancel.
  ///   - id: the review's.
  ///   - reason: of a cancel, for those who look at the review later.
  ///   - actor: as the history names who did it; nil for this program.
  /// - Throws: ``RowLocked``; `PostgresError`.
  package func operate(
    _ operation: ReviewOperation, _ id: UUID, reason: String? = nil, actor: String? = nil
  ) async throws -> OperationAnswer {
    try await operate(operation, id, reason: reason, actor: actor, waitMax: Self.waitMax)
  }

  private func operate(
    _ operation: ReviewOperation, _ id: UUID, reason: String?, actor: String?, waitMax: Duration
  ) async throws -> OperationAnswer {
    switch operation {
    case .retry: try await retry(id, actor: actor, waitMax: waitMax)
    case .release: try await release(id, actor: actor, waitMax: waitMax)
    case .cancel: try await cancel(id, reason: reason ?? "cancelled by a user", actor: actor, waitMax: waitMax)
    }
  }

  /// Does it to many, one after another. One that another transaction has locked costs only itself.
  /// - Parameters:
  ///   - operation: a retry, a release or a cancel.
  ///   - ids: of the reviews.
  ///   - reason: of a cancel.
  ///   - actor: as the history names who did it; nil for this program.
  ///   - result: gets each outcome as soon as it is known, so that it is right also if an error ends the operation.
  ///   - onEach: gets each answer at once.
  package func operate(
    _ operation: ReviewOperation, each ids: some Sequence<UUID>, reason: String? = nil, actor: String? = nil,
    into result: inout OperationResult, onEach: (UUID, OperationAnswer) throws -> Void = { _, _ in }
  ) async throws {
    var patience = Self.waitMaxOfMany
    for id in ids {
      guard patience > .zero - Self.tryMaxOfMany else {
        result.locked.append(id)
        continue
      }
      let begun = ContinuousClock.now
      do {
        let answer = try await operate(
          operation, id, reason: reason, actor: actor, waitMax: min(Self.waitMax, max(patience, .zero)))
        if case .done = answer { result.changed.append(id) } else { result.skipped += 1 }
        try onEach(id, answer)
      } catch is RowLocked {
        result.locked.append(id)
        patience -= .now - begun
      }
    }
  }
}

/// What an operation on many reviews has come to so far.
package struct OperationResult: Sendable, Equatable {
  /// Those that it was done to.
  package var changed: [UUID] = []
  /// How many have a status that does not allow it, or are gone.
  package var skipped = 0
  /// Those that another transaction has locked: nothing was done to them.
  package var locked: [UUID] = []

  package init() {}
}
