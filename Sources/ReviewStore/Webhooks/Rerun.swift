internal import FoundationEssentials
internal import PostgresClient
package import Primitives
internal import Reviews

// New attempts that a person asks for at the platform. Other than `baton retry`, they also begin a completed review again.
extension ReviewStore {
  static let rerunStatements: [PostgresStatement] = [rerunnable, checkedReviews, rerun, allowRerunBy]

  static let rerunnable = PostgresStatement(
    "rerunnable",
    """
    /* baton:rerunnable */
    SELECT r.id, r.status, r.attempt,
           -- A newer commit has come: it is reviewed instead, or was.
           EXISTS (
             SELECT 1 FROM code_reviews n
              WHERE n.pr_number = r.pr_number AND lower(n.repo_full_name) = lower(r.repo_full_name) AND n.owner_id = r.owner_id
                AND n.owner_type = r.owner_type AND n.platform = r.platform AND n.head_sha <> r.head_sha
                -- Not another repository's, which has the name now.
                AND (n.platform_repository_id = r.platform_repository_id) IS NOT FALSE
                AND COALESCE(n.pr_updated_at, n.created_at) > COALESCE(r.pr_updated_at, r.created_at)) AS is_old
      FROM code_reviews r
     WHERE r.id = ANY ($1::uuid[]) AND r.owner_type = $2 AND r.owner_id = $3 AND r.platform = $4
     ORDER BY r.id
       FOR NO KEY UPDATE
    """)

  static let checkedReviews = PostgresStatement(
    "checked_reviews",
    """
    /* baton:checked_reviews */
    SELECT r.id
      FROM code_reviews r
     WHERE r.head_sha = $1 AND r.check_run_id IS NOT NULL
       AND (r.platform_repository_id = $6
         OR lower(r.repo_full_name) = lower($2) AND (r.platform_repository_id IS NULL OR $6::bigint IS NULL))
       AND r.owner_type = $3 AND r.owner_id = $4 AND r.platform = $5
    """)

  static let rerun = PostgresStatement(
    "rerun",
    """
    /* baton:rerun */
    UPDATE code_reviews r
       SET status = 'pending', status_reason = $2, available_at = now(),
           -- The app may have been installed again since: the event's own is the valid one.
           platform_integration_id = $3
     WHERE r.id = $1 AND \(Fragment.hasStatus("'completed'", "'failed'", "'cancelled'"))
    RETURNING r.attempt, r.traceparent
    """)

  /// Says who acts, for the history, and which completed review may begin again, until the transaction's end.
  static let allowRerunBy = PostgresStatement(
    "allow_rerun_by",
    """
    /* baton:allow_rerun_by */
    SELECT set_config('baton.rerun', $1, true), set_config('baton.actor', $2, true)
    """)

  /// Begins reviews again that a re-run of checks names.
  func rerun(_ request: RerunRequest, on connection: PostgresConnection) async throws -> WebhookOutcome {
    let owner = request.owner
    let ids: [UUID]
    var attempt: Int?
    switch request.subject {
    case .review(let id, let named): (ids, attempt) = ([id], named)
    case .commit(let sha, let repository, let repositoryID):
      ids = try await connection.query(
        Self.checkedReviews, [sha, repository, owner.type.rawValue, owner.id, request.platform.rawValue, repositoryID]
      ).map { try $0.decode("id", as: UUID.self) }
    }
    let rows = try await connection.query(
      Self.rerunnable, [ids, owner.type.rawValue, owner.id, request.platform.rawValue])
    var outcome = WebhookOutcome.unchanged("no review of this owner has this check", nil)
    for row in rows {
      let id = try row.decode("id", as: UUID.self)
      let status = try row.choice("status", as: ReviewStatus.self)
      if try row.decode("is_old", as: Bool.self) {
        if case .reviewMadePending = outcome { continue }
        outcome = .unchanged("a newer commit of this pull request has come since", id)
      } else if !status.isTerminal {
        if case .reviewMadePending = outcome { continue }
        outcome = .unchanged("this commit's review is \(status.rawValue)", id)
      } else if let attempt, attempt != Int(try row.decode("attempt", as: Int32.self)) {
        // The event has no time: the same one may come again when its first delivery is no longer known.
        outcome = .unchanged("a newer attempt of this review was made since", id)
      } else {
        outcome = try await rerun(id, request, on: connection)
      }
    }
    return outcome
  }

  /// Begins a locked review that has ended again.
  private func rerun(
    _ id: UUID, _ request: RerunRequest, on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    _ = try await connection.query(Self.allowRerunBy, [id.lowercase, request.requester.storable])
    let rows = try await connection.query(Self.rerun, [id, Self.reason(request.requester), request.integrationID])
    guard let row = rows.first else { return .unchanged("this commit's review is already on its way", id) }
    return .reviewMadePending(id, attempt: Int(try row.decode("attempt", as: Int32.self)), try row.trace(of: id))
  }

  private static func reason(_ requester: String) -> String { "requested by \(requester)".storable }

  /// Reviews a pull request's commit, once more if it has been reviewed: as the pull request is now, with the integration that was asked.
  func review(
    _ push: PullRequestPush, requestedBy requester: String, receivedAt: Timestamp, trace: TraceContext,
    on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    let related = try await lock(push.place, on: connection)
    let same = related.ofSameCommit
    let soFar = try await eventsSoFar(before: push.place, receivedAt: receivedAt, on: connection)
    let decision = PushDecision(
      updatedAt: push.place.updatedAt, newest: soFar.newest, isReplaced: soFar.isReplaced, same: same)
    guard decision != .outdated, let same, same.status.isTerminal, !same.isOtherRepository else {
      _ = try await connection.query(Self.allowRerunBy, ["", requester.storable])
      return try await apply(push, receivedAt, trace: trace, on: connection)
    }
    let older = related.own.filter { $0.id != same.id }.map(\.id)
    try await cancel(
      older, code: .superseded, reason: Self.supersededReason(push.place), on: connection)
    _ = try await connection.query(Self.allowRerunBy, [same.id.lowercase, requester.storable])
    return try await restart(same.id, push, reason: Self.reason(requester), on: connection)
  }

  /// The same, in a transaction of its own: for a wish that the platform had to confirm.
  package func review(
    _ push: PullRequestPush, requestedBy requester: String, trace: TraceContext
  ) async throws -> WebhookOutcome {
    try await pool.withTransaction { connection in
      _ = try await connection.query(Self.lockTimeout, ["2000ms"])
      return try await review(push, requestedBy: requester, receivedAt: .infinity, trace: trace, on: connection)
    }
  }
}
