package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// What an operator does to reviews.
package enum ReviewOperation: String, Sendable, CaseIterable {
  case retry, cancel

  /// The statuses that it is for.
  package var statuses: [ReviewStatus] { self == .retry ? [.failed, .cancelled] : [.pending, .queued, .running] }

  /// Those that are meant if none is named: what was cancelled was cancelled on purpose.
  package var defaultStatuses: [ReviewStatus] { self == .retry ? [.failed] : statuses }
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
  /// The most reviews that one operation is for.
  package static let matchCountMax = 100_000

  /// Each status by an index of its own.
  static let matching = PostgresStatement(
    "matching",
    """
    /* baton:matching */
    SELECT r.id, r.status, r.owner_type, r.owner_id, r.repo_full_name, r.pr_number, r.error_code, r.created_at
      FROM (SELECT * FROM code_reviews r WHERE r.status = 'pending' AND 'pending' = ANY ($1::text[]) AND \(Fragment.matchesFilter)
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
  package func matching(_ filter: ReviewFilter, statuses: [ReviewStatus]) async throws -> [MatchingReview] {
    let parameters: [any PostgresEncodable] = [statuses.map(\.rawValue)] + filter.parameters(after: nil).dropFirst()
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
  ///   - operation: a cancel or a retry.
  ///   - id: the review's.
  ///   - reason: of a cancel, for those who look at the review later.
  ///   - actor: as the history names who did it; nil for this program.
  package func operate(
    _ operation: ReviewOperation, _ id: UUID, reason: String? = nil, actor: String? = nil
  ) async throws -> OperationAnswer {
    switch operation {
    case .retry: try await retry(id, actor: actor)
    case .cancel: try await cancel(id, reason: reason ?? "cancelled by a user", actor: actor)
    }
  }
}
