internal import FoundationEssentials
internal import PostgresClient
internal import Primitives
internal import Reviews

// The statements of a pull request's events; all run under its advisory lock.
extension ReviewStore {
  static let pullRequestStatements: [PostgresStatement] = [
    identifyPullRequest, nameRepository, isOutdatedEvent, relatedReviews, newestEvent, cancelRelated, insertPush,
    allowRerun, restartPush, rebasePush, touchPush,
  ]

  /// `r` is `code_reviews`; $1 to $7 are the pull request.
  static let isOfPullRequest = """
    (r.platform_repository_id = $6
            OR lower(r.repo_full_name) = lower($2) AND (r.platform_repository_id IS NULL OR $6::bigint IS NULL))
           AND r.pr_number = $1 AND r.owner_id = $3 AND r.owner_type = $4 AND r.platform = $5
           AND ($7::text = '' OR \(Fragment.instance(of: "r")) IN ('', $7))
    """

  static func parameters(of key: PullRequestKey) -> [any PostgresEncodable] {
    [
      Int32(key.prNumber), key.repoFullName, key.owner.id, key.owner.type.rawValue, key.platform.rawValue,
      key.repositoryID, key.instance,
    ]
  }

  static let identifyPullRequest = PostgresStatement(
    "identify_pull_request",
    """
    /* baton:identify_pull_request */
    UPDATE code_reviews r
       SET platform_repository_id = $6, repo_full_name = $2
     WHERE \(isOfPullRequest)
       AND (r.platform_repository_id IS NULL OR r.repo_full_name <> $2)
       -- The repository has got another name since.
       AND (r.platform_repository_id IS NULL OR NOT EXISTS (
         SELECT 1 FROM webhook_deliveries d WHERE d.pull_request_id = ANY ($8) AND d.pr_updated_at > $9))
       -- Of two reviews of the same commit under two names, one keeps its name.
       AND NOT EXISTS (
         SELECT 1 FROM code_reviews x
          WHERE x.id <> r.id AND x.pr_number = r.pr_number AND x.head_sha = r.head_sha AND x.owner_id = r.owner_id
            AND x.owner_type = r.owner_type AND x.platform = r.platform
            AND (x.platform_repository_id = $6 AND r.platform_repository_id IS NULL OR x.repo_full_name = $2
              OR lower(x.repo_full_name) IN (lower($2), lower(r.repo_full_name)) AND x.id < r.id))
    """)

  /// Gives the reviews of a pull request the number of its repository, and the name that it has now.
  func identify(_ place: PullRequestPlace, on connection: PostgresConnection) async throws {
    let key = place.pullRequest
    guard key.repositoryID != nil else { return }
    _ = try await connection.query(
      Self.identifyPullRequest, Self.parameters(of: key) + [key.nameSubjects, place.updatedAt.instant])
  }

  static let nameRepository = PostgresStatement(
    "name_repository",
    """
    /* baton:name_repository */
    UPDATE code_reviews r
       SET repo_full_name = $5
     WHERE r.platform_repository_id = $4 AND r.owner_id = $1 AND r.owner_type = $2 AND r.platform = $3
       AND r.repo_full_name <> $5
       -- Another instance has other projects with the same numbers. An integration may call its instance by another address than people do, or
       -- name none: then its reviews of the project say it.
       AND (\(Fragment.instance(of: "r")) = $6 OR \(Fragment.instance(of: "r")) IN (
         SELECT \(Fragment.instance(of: "o"))
           FROM code_reviews o
          WHERE o.platform_repository_id = $4 AND o.owner_id = $1 AND o.owner_type = $2 AND o.platform = $3
            AND o.platform_integration_id = $7))
       AND NOT EXISTS (
         SELECT 1 FROM code_reviews x
          WHERE x.id <> r.id AND x.pr_number = r.pr_number AND x.head_sha = r.head_sha AND x.owner_id = r.owner_id
            AND x.owner_type = r.owner_type AND x.platform = r.platform
            AND (x.repo_full_name = $5 OR x.platform_repository_id = $4 AND x.id < r.id))
    """)

  static let isOutdatedEvent = PostgresStatement(
    "is_outdated_event",
    """
    /* baton:is_outdated_event */
    SELECT EXISTS (
      SELECT 1 FROM webhook_deliveries d WHERE d.pull_request_id = $1 AND d.pr_updated_at > $2) AS is_outdated
    """)

  /// Gives all reviews of a repository the name that it has now.
  func name(_ name: RepositoryName, on connection: PostgresConnection) async throws -> WebhookOutcome {
    let order = name.order
    _ = try await connection.query(Self.lockPullRequest, [order.subject])
    let isOutdated = try await connection.query(Self.isOutdatedEvent, [order.subject, order.time.instant])[0]
      .decode("is_outdated", as: Bool.self)
    if isOutdated { return .unchanged("a newer event of this repository came before", nil) }
    let count = try await connection.query(
      Self.nameRepository,
      [
        name.owner.id, name.owner.type.rawValue, name.platform.rawValue, name.repositoryID, name.fullName,
        name.instance,
        name.integrationID,
      ]
    ).affectedRows
    return .unchanged("\(count) reviews got the name \(name.fullName)", nil)
  }

  static let relatedReviews = PostgresStatement(
    "related_reviews",
    """
    /* baton:related_reviews */
    SELECT r.id, r.status, r.attempt, r.error_code, r.head_sha = $8 AS is_same, r.pr_updated_at, r.base_ref,
           (r.platform_repository_id <> $6 OR $7::text <> '' AND \(Fragment.instance(of: "r")) NOT IN ('', $7)) IS TRUE AS is_other
      FROM code_reviews r
     WHERE (\(isOfPullRequest)
       AND (r.head_sha = $8 OR \(Fragment.hasStatus("'pending'", "'queued'", "'running'"))))
        -- What the unique key takes for the same: also the review of a repository that had this name before.
        OR r.pr_number = $1 AND lower(r.repo_full_name) = lower($2) AND r.head_sha = $8 AND r.owner_id = $3 AND r.owner_type = $4
           AND r.platform = $5
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
        attempt: Int(try row.decode("attempt", as: Int32.self)),
        errorCode: try row.optional("error_code", as: String.self),
        isSameCommit: try row.decode("is_same", as: Bool.self),
        updatedAt: try row.optionalTimestamp("pr_updated_at"), baseRef: try row.decode("base_ref", as: String.self),
        isOtherRepository: try row.decode("is_other", as: Bool.self))
    }
  }

  static let newestEvent = PostgresStatement(
    "newest_event",
    """
    /* baton:newest_event */
    WITH event AS MATERIALIZED (
      SELECT d.pr_updated_at, d.previous_sha, d.head_sha, d.received_at
        FROM webhook_deliveries d
       -- Another repository may have had the name, or have it at another instance.
       WHERE d.pull_request = $8 AND ($9::text IS NULL OR d.pull_request_id IS NULL OR d.pull_request_id = $9)
      UNION ALL
      SELECT d.pr_updated_at, d.previous_sha, d.head_sha, d.received_at
        FROM webhook_deliveries d WHERE d.pull_request_id = $9 AND d.pull_request <> $8
    )
    SELECT GREATEST(
             (SELECT max(r.pr_updated_at) FROM code_reviews r WHERE \(isOfPullRequest)),
             (SELECT max(e.pr_updated_at) FROM event e)) AS newest,
           (SELECT string_agg(
                     concat(e.previous_sha, ' ', e.head_sha, ' ', (e.received_at > $11)::int), ',' ORDER BY e.received_at)
              FROM event e WHERE e.pr_updated_at = $10 AND e.previous_sha <> '') AS steps,
           (SELECT r.pr_author FROM code_reviews r WHERE \(isOfPullRequest) ORDER BY r.created_at LIMIT 1) AS author
    """)

  /// What the events of a pull request have said so far.
  struct EventsSoFar: Sendable {
    /// The newest time of one.
    var newest: Timestamp?
    /// Whether the pull request has moved on from the commit in the same second.
    var isReplaced: Bool
    /// As the first review has it.
    var author: String?
  }

  /// - Parameter receivedAt: when the event in question was received.
  func eventsSoFar(
    before place: PullRequestPlace, receivedAt: Timestamp, on connection: PostgresConnection
  ) async throws -> EventsSoFar {
    let key = place.pullRequest
    let row = try await connection.query(
      Self.newestEvent,
      Self.parameters(of: key) + [key.text, key.idText, place.updatedAt.instant, receivedAt.instant])[0]
    var steps = Self.steps(try row.optional("steps", as: String.self) ?? "")
    if let sha = place.headSha, let previous = place.previousSha {
      steps.append(PushChain.Step(from: previous, to: sha, isLater: false))
    }
    return EventsSoFar(
      newest: try row.optionalTimestamp("newest"),
      isReplaced: place.headSha.map { PushChain.isReplaced($0, by: steps) } ?? false,
      author: try row.optional("author", as: String.self))
  }

  private static func steps(_ text: String) -> [PushChain.Step] {
    text.split(separator: ",").map { step in
      let parts = step.split(separator: " ", omittingEmptySubsequences: false)
      return PushChain.Step(
        from: String(parts[0]), to: parts.count > 2 && !parts[1].isEmpty ? String(parts[1]) : nil,
        isLater: parts.last == "1")
    }
  }

  static let cancelRelated = PostgresStatement(
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

  static let insertPush = PostgresStatement(
    "insert_push",
    """
    /* baton:insert_push */
    INSERT INTO code_reviews (
      owner_type, owner_id, user_id, platform, platform_integration_id, platform_project_id, repo_full_name,
      pr_number, pr_url, pr_title, pr_author, base_ref, head_ref, head_sha, priority, traceparent,
      platform_repository_id, pr_updated_at, status_reason)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 'webhook')
    ON CONFLICT DO NOTHING
    RETURNING id
    """)

  static let allowRerun = PostgresStatement(
    "allow_rerun", "/* baton:allow_rerun */ SELECT set_config('baton.rerun', $1, true)")

  static let restartPush = PostgresStatement(
    "restart_push",
    """
    /* baton:restart_push */
    UPDATE code_reviews r
       SET status = 'pending', status_reason = $8, available_at = now(),
           -- Another repository's time says nothing about this one.
           pr_updated_at = CASE WHEN (r.platform_repository_id <> $9) IS TRUE THEN $2 ELSE GREATEST(r.pr_updated_at, $2) END,
           pr_title = $3, base_ref = $4, head_ref = $5,
           platform_integration_id = $6, platform_project_id = COALESCE($7, r.platform_project_id),
           platform_repository_id = COALESCE($9, r.platform_repository_id), pr_url = $10
     WHERE r.id = $1
    RETURNING r.attempt, r.traceparent
    """)

  static let rebasePush = PostgresStatement(
    "rebase_push",
    """
    /* baton:rebase_push */
    UPDATE code_reviews r
       SET pr_updated_at = GREATEST(r.pr_updated_at, $2), pr_title = $3, base_ref = $4, head_ref = $5
     WHERE r.id = $1
    RETURNING r.attempt, r.traceparent
    """)

  static let touchPush = PostgresStatement(
    "touch_push",
    "/* baton:touch_push */ UPDATE code_reviews r SET pr_updated_at = GREATEST(r.pr_updated_at, $2) WHERE r.id = $1")
}
