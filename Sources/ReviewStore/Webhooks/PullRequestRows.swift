internal import FoundationEssentials
internal import PostgresClient
internal import Primitives
internal import Reviews

// The statements of a pull request's events; all run under its advisory lock.
extension ReviewStore {
  /// `r` is `code_reviews`; $1 to $5 are the pull request.
  private static let isOfPullRequest = """
    r.pr_number = $1 AND r.repo_full_name = $2 AND r.owner_id = $3 AND r.owner_type = $4 AND r.platform = $5
    """

  private static func parameters(of key: PullRequestKey) -> [any PostgresEncodable] {
    [Int32(key.prNumber), key.repoFullName, key.owner.id, key.owner.type.rawValue, key.platform.rawValue]
  }

  static let relatedReviews = Statement(
    "related_reviews",
    """
    /* baton:related_reviews */
    SELECT r.id, r.status, r.error_code, r.head_sha = $6 AS is_same, r.pr_updated_at
      FROM code_reviews r
     WHERE \(isOfPullRequest)
       AND (r.head_sha = $6 OR \(Fragment.hasStatus("'pending'", "'queued'", "'running'")))
     ORDER BY r.id
       FOR UPDATE
    """)

  /// Locks the reviews that an event may change: those that have not ended, and the one of its commit.
  func lockRelated(
    _ key: PullRequestKey, sha: String, on connection: PostgresConnection
  ) async throws -> [RelatedReview] {
    try await connection.query(Self.relatedReviews, Self.parameters(of: key) + [sha]).map { row in
      RelatedReview(
        id: try row.decode("id", as: UUID.self), status: try row.choice("status", as: ReviewStatus.self),
        errorCode: try row.optional("error_code", as: String.self),
        isSameCommit: try row.decode("is_same", as: Bool.self),
        updatedAt: try row.optionalTimestamp("pr_updated_at"))
    }
  }

  static let newestEvent = Statement(
    "newest_event",
    """
    /* baton:newest_event */
    SELECT GREATEST(
             (SELECT max(r.pr_updated_at) FROM code_reviews r WHERE \(isOfPullRequest)),
             (SELECT max(d.pr_updated_at) FROM webhook_deliveries d WHERE d.pull_request = $6)) AS newest,
           EXISTS (
             SELECT 1 FROM webhook_deliveries d
              WHERE d.pull_request = $6 AND d.pr_updated_at = $7 AND d.previous_sha = $8) AS is_replaced
    """)

  /// The newest time that an event of the pull request had, and whether one of the same time has replaced the commit.
  func newest(
    _ key: PullRequestKey, updatedAt: Timestamp, sha: String, on connection: PostgresConnection
  ) async throws -> (time: Timestamp?, isReplaced: Bool) {
    let row = try await connection.query(
      Self.newestEvent, Self.parameters(of: key) + [key.text, updatedAt.instant, sha])[0]
    return (try row.optionalTimestamp("newest"), try row.decode("is_replaced", as: Bool.self))
  }

  func newest(
    _ key: PullRequestKey, _ push: PullRequestPush, on connection: PostgresConnection
  ) async throws -> (time: Timestamp?, isReplaced: Bool) {
    try await newest(key, updatedAt: push.updatedAt, sha: push.review.headSha, on: connection)
  }

  static let cancelRelated = Statement(
    "cancel_related",
    """
    /* baton:cancel_related */
    WITH cancelled AS (
      UPDATE code_reviews r
         SET status = 'cancelled', status_reason = $3, error_code = $2, error_message = $3
       WHERE r.id = ANY ($1::uuid[]) AND \(Fragment.hasStatus("'pending'", "'queued'", "'running'"))
      RETURNING r.id, r.attempt, r.claimed_at
    )
    INSERT INTO baton_outbox (kind, review_id, attempt)
    SELECT 'worker_cancel', id, attempt FROM cancelled WHERE claimed_at IS NOT NULL
    ON CONFLICT DO NOTHING
    """)

  /// Cancels reviews that are locked; the outbox notifies the worker.
  func cancel(_ ids: [UUID], code: ErrorCode, reason: String, on connection: PostgresConnection) async throws {
    guard !ids.isEmpty else { return }
    _ = try await connection.query(Self.cancelRelated, [ids, code.rawValue, reason])
  }

  static let insertPush = Statement(
    "insert_push",
    """
    /* baton:insert_push */
    INSERT INTO code_reviews (
      owner_type, owner_id, user_id, platform, platform_integration_id, platform_project_id, repo_full_name,
      pr_number, pr_url, pr_title, pr_author, base_ref, head_ref, head_sha, priority, traceparent, pr_updated_at,
      status_reason)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 'webhook')
    ON CONFLICT (owner_type, owner_id, platform, repo_full_name, pr_number, head_sha) DO NOTHING
    RETURNING id
    """)

  static let restartPush = Statement(
    "restart_push",
    """
    /* baton:restart_push */
    UPDATE code_reviews r
       SET status = 'pending', status_reason = 'the same commit came again', available_at = now(),
           pr_updated_at = GREATEST(r.pr_updated_at, $2), pr_title = $3, base_ref = $4, head_ref = $5,
           platform_integration_id = $6, platform_project_id = COALESCE($7, r.platform_project_id)
     WHERE r.id = $1
    RETURNING r.attempt, r.traceparent
    """)

  static let touchPush = Statement(
    "touch_push",
    "/* baton:touch_push */ UPDATE code_reviews r SET pr_updated_at = GREATEST(r.pr_updated_at, $2) WHERE r.id = $1")
}
