package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// The outcome of a submitted review.
package struct Submission: Sendable, Codable, Equatable {
  package var id: UUID
  package var status: ReviewStatus
  /// Whether the row was made now; otherwise it is the existing one of the same pull request and commit.
  package var isNew: Bool

  package init(id: UUID, status: ReviewStatus, isNew: Bool) {
    self.id = id
    self.status = status
    self.isNew = isNew
  }
}

extension ReviewStore {
  static let submissionStatements: [PostgresStatement] = [submit]

  static let submit = PostgresStatement(
    "submit",
    """
    /* baton:submit */
    WITH made AS (
      INSERT INTO code_reviews (
        owner_type, owner_id, user_id, platform, platform_integration_id, platform_project_id, repo_full_name,
        pr_number, pr_url, pr_title, pr_author, base_ref, head_ref, head_sha, priority, traceparent,
        platform_repository_id, available_at)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
              COALESCE($19::timestamptz, now()))
      ON CONFLICT DO NOTHING
      RETURNING id, status
    )
    SELECT id, status, true AS is_new, \(Fragment.actor("$18")) FROM made
    UNION ALL
    (SELECT r.id, r.status, false, NULL
       FROM code_reviews r
      WHERE NOT EXISTS (SELECT 1 FROM made)
        AND r.owner_type = $1 AND r.owner_id = $2 AND r.platform = $4 AND r.pr_number = $8 AND r.head_sha = $14
        AND (r.platform_repository_id = $17 OR lower(r.repo_full_name) = lower($7))
      ORDER BY r.platform_repository_id = $17 DESC NULLS LAST, r.repo_full_name = $7 DESC
      LIMIT 1)
    """)

  /// What the database calls the rule that a review names an integration of its own owner and platform.
  private static let ownIntegration = "code_reviews_integration"

  /// Those of a new row, $1 to $17, in every statement that makes one.
  static func parameters(of review: NewReview, trace: TraceContext) -> [any PostgresEncodable] {
    [
      review.owner.type.rawValue, review.owner.id, review.userId, review.platform.rawValue,
      review.platformIntegrationId, review.platformProjectId, review.repoFullName, Int32(review.prNumber),
      review.prUrl, review.prTitle, review.prAuthor, review.baseRef, review.headRef, review.headSha,
      Int16(clamping: review.priority ?? 0), trace.traceparent,
      review.platformRepositoryId ?? (review.platform == .gitlab ? review.platformProjectId : nil),
    ]
  }

  /// Inserts one review, or finds the existing one of the same pull request and commit.
  /// - Parameters:
  ///   - review: checked by the caller.
  ///   - trace: what the review belongs to.
  ///   - actor: as the history names who did it; nil for this program.
  /// - Throws: `NewReviewFaults` for one that names another owner's or another platform's integration.
  package func submit(
    _ review: NewReview, trace: TraceContext = TraceContext(), actor: String? = nil
  ) async throws -> Submission {
    let parameters = Self.parameters(of: review, trace: trace) + [actor, review.availableAt?.instant]
    // Empty if another session commits the same row right now, which the statement's snapshot does not show: once more.
    for _ in 0..<3 {
      do {
        if let row = try await pool.query(Self.submit, parameters).first { return try Submission(row) }
      } catch let error as PostgresError where error.constraint == Self.ownIntegration {
        throw NewReviewFaults(faults: ["platformIntegrationId: \(error.message)"])
      }
    }
    throw UnknownValue(column: "id", value: "\(review.repoFullName)#\(review.prNumber) appears and disappears")
  }

  /// Inserts reviews in one transaction; if the database refuses one, none is inserted.
  package func submit(_ reviews: [NewReview]) async throws -> [Submission] {
    let steps = reviews.map {
      (Self.submit, Self.parameters(of: $0, trace: TraceContext()) + [nil as String?, $0.availableAt?.instant])
    }
    var submissions: [Submission] = []
    for (review, rows) in zip(reviews, try await pool.pipeline(steps)) {
      if let row = rows.first {
        submissions.append(try Submission(row))
      } else {
        submissions.append(try await submit(review))
      }
    }
    return submissions
  }
}

extension Submission {
  init(_ row: PostgresRow) throws {
    id = try row.decode("id", as: UUID.self)
    status = try row.choice("status", as: ReviewStatus.self)
    isNew = try row.decode("is_new", as: Bool.self)
  }
}
