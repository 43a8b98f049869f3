internal import FoundationEssentials
internal import PostgresClient
internal import Primitives
package import Reviews

// Installations of the GitHub App that are suspended, come back and go, as GitHub's own events say.
extension ReviewStore {
  static let installationStatements: [PostgresStatement] = [
    changeInstallation, installationState, addedSince, failRevoked, cancelRemoved, sweepSoon, presentInstallation,
  ]

  static let changeInstallation = PostgresStatement(
    "change_installation",
    """
    /* baton:change_installation */
    INSERT INTO baton_installation_changes (
      change, integration_id, reason, owner_type, owner_id, installation_id, event_at, account_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    """)

  private static func change(
    _ change: String, _ id: UUID, reason: String? = nil, owner: Owner? = nil, installation: Int64? = nil,
    account: Int64? = nil, at time: Timestamp? = nil
  ) -> [any PostgresEncodable] {
    [
      change, id, reason, owner?.type.rawValue, owner?.id, installation.map { "\($0)" }, time?.instant,
      account.map { "\($0)" },
    ]
  }

  static let installationState = PostgresStatement(
    "installation_state",
    """
    /* baton:installation_state */
    SELECT i.revoked_at IS NOT NULL AND i.revoked_reason IS NOT NULL AS can_be_restored,
           (i.installation_event_at > $2) IS TRUE AS is_outdated
      FROM platform_integrations i
     WHERE i.id = $1
    """)

  /// The numbers of repositories that a newer event than $2 has added again.
  static let addedSince = PostgresStatement(
    "added_since",
    """
    /* baton:added_since */
    SELECT DISTINCT (a.repository ->> 'id')::bigint AS id
      FROM webhook_deliveries d
     CROSS JOIN LATERAL jsonb_array_elements(
       CASE jsonb_typeof(d.payload -> 'repositories_added') WHEN 'array' THEN d.payload -> 'repositories_added' ELSE '[]' END
     ) AS a (repository)
     WHERE d.pull_request_id = $1 AND d.pr_updated_at > $2 AND a.repository ->> 'id' ~ '^[0-9]{1,18}$'
    """)

  /// The ids of an owner's reviews on a platform that have not ended, in order and locked: as CTE `waiting`. $1 to $3.
  private static let waiting = """
    WITH live AS (
      SELECT r.id FROM code_reviews r
       WHERE r.owner_id = $1 AND r.owner_type = $2 AND r.platform = $3 AND r.status = 'pending'
      UNION ALL
      SELECT r.id FROM code_reviews r
       WHERE r.owner_id = $1 AND r.owner_type = $2 AND r.platform = $3 AND r.status IN ('queued', 'running')
    ),
    waiting AS MATERIALIZED (
      SELECT r.id FROM code_reviews r JOIN live l ON l.id = r.id ORDER BY r.id FOR NO KEY UPDATE OF r
    )
    """

  static let failRevoked = PostgresStatement(
    "fail_revoked",
    """
    /* baton:fail_revoked */
    \(waiting),
    failed AS (
      UPDATE code_reviews r
         SET status = 'failed', status_reason = $5, error_code = 'integration_revoked', error_message = $5
        FROM waiting w
       -- A run that was started goes on, with the token that it has.
       WHERE r.id = w.id AND r.platform_integration_id = $4 AND r.dispatched_at IS NULL
         AND \(Fragment.hasStatus("'pending'", "'queued'"))
      RETURNING r.id, r.attempt, r.claimed_at
    ),
    notified AS (
      -- Its start may be on the way to the worker.
      INSERT INTO baton_outbox (kind, review_id, attempt)
      SELECT 'worker_cancel', id, attempt FROM failed WHERE claimed_at IS NOT NULL
      ON CONFLICT DO NOTHING
    )
    SELECT count(*) AS count FROM failed
    """)

  static let cancelRemoved = PostgresStatement(
    "cancel_removed",
    """
    /* baton:cancel_removed */
    \(waiting),
    cancelled AS (
      UPDATE code_reviews r
         SET status = 'cancelled', status_reason = $6, error_code = 'repository_removed', error_message = $6
        FROM waiting w
       WHERE r.id = w.id AND r.platform_integration_id = $4
         AND (r.platform_repository_id = ANY ($7::bigint[])
           -- Its number is not known: that of the review, or that of the repository.
           OR lower(r.repo_full_name) = ANY ($5::text[]) AND r.platform_repository_id IS NULL
           OR lower(r.repo_full_name) = ANY ($8::text[]))
         AND \(Fragment.hasStatus("'pending'", "'queued'", "'running'"))
      RETURNING r.id, r.attempt, r.claimed_at
    ),
    notified AS (
      INSERT INTO baton_outbox (kind, review_id, attempt)
      SELECT 'worker_cancel', id, attempt FROM cancelled WHERE claimed_at IS NOT NULL
      ON CONFLICT DO NOTHING
    )
    SELECT count(*) AS count FROM cancelled
    """)

  static let sweepSoon = PostgresStatement(
    "sweep_soon",
    """
    /* baton:sweep_soon */
    INSERT INTO baton_catch_up (kind, integration_id) VALUES ('installation', $1)
    ON CONFLICT (kind, integration_id, subject) DO UPDATE SET due_at = now(), position = NULL
    """)

  static let outdatedInstallation = "a newer event of this installation came before"

  /// One event of an installation at a time: each is compared with those before it.
  func apply(
    _ event: InstallationEvent, to stored: StoredWebhook, on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    _ = try await connection.query(Self.lockPullRequest, [event.order.subject])
    switch event.change {
    case .repositoriesAdded(let count): return .unchanged("\(count) repositories were added", nil)
    case .repositoriesRemoved(let repositories):
      return try await remove(repositories, event.order, stored, on: connection)
    case .deleted, .suspended, .restored: break
    }
    let state = try await connection.query(
      Self.installationState, [stored.integrationID, event.order.time.instant]
    ).first
    if try state?.decode("is_outdated", as: Bool.self) == true { return .unchanged(Self.outdatedInstallation, nil) }
    switch event.change {
    case .deleted(let person):
      return try await revoke(
        stored, "the GitHub App was uninstalled by \(person)", at: event.order.time, on: connection)
    case .suspended(let person):
      return try await revoke(stored, "the GitHub App was suspended by \(person)", at: event.order.time, on: connection)
    case .restored, .repositoriesAdded, .repositoriesRemoved:
      let canBeRestored = try state?.decode("can_be_restored", as: Bool.self) ?? false
      return try await restore(stored, if: canBeRestored, at: event.order.time, on: connection)
    }
  }

  /// The event has its place also if there is nothing to restore: the suspension that it ended may come later.
  private func restore(
    _ stored: StoredWebhook, if canBeRestored: Bool, at time: Timestamp, on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    let id = stored.integrationID
    _ = try await connection.query(Self.changeInstallation, Self.change("restored", id, at: time))
    guard canBeRestored else { return .unchanged("the integration is valid, or was revoked by an operator", nil) }
    // What was pushed until now has no review.
    _ = try await connection.query(Self.sweepSoon, [id])
    return .unchanged("the integration is valid again", nil)
  }

  private func remove(
    _ repositories: [RemovedRepository], _ order: EventOrder, _ stored: StoredWebhook,
    on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    let added = Set(
      try await connection.query(Self.addedSince, [order.subject, order.time.instant]).map { row in
        try row.decode("id", as: Int64.self)
      })
    let removed = repositories.filter { repository in repository.id.map { !added.contains($0) } ?? true }
    guard !removed.isEmpty || repositories.isEmpty else { return .unchanged(Self.outdatedInstallation, nil) }
    let reason = "the repository was removed from the GitHub App's installation"
    let count = try await connection.query(
      Self.cancelRemoved,
      Self.place(of: stored) + [
        removed.map { $0.fullName.lowercased() }, reason, removed.compactMap(\.id),
        removed.filter { $0.id == nil }.map { $0.fullName.lowercased() },
      ])[0]
      .decode("count", as: Int64.self)
    return .unchanged("\(removed.count) repositories were removed, \(count) reviews cancelled", nil)
  }

  private static func place(of stored: StoredWebhook) -> [any PostgresEncodable] {
    [stored.owner.id, stored.owner.type.rawValue, stored.platform.rawValue, stored.integrationID]
  }

  private func revoke(
    _ stored: StoredWebhook, _ reason: String, at time: Timestamp, on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    _ = try await connection.query(
      Self.changeInstallation, Self.change("revoked", stored.integrationID, reason: reason.storable, at: time))
    let count = try await connection.query(Self.failRevoked, Self.place(of: stored) + [reason.storable])[0]
      .decode("count", as: Int64.self)
    return .unchanged("\(reason): the integration is revoked, \(count) waiting reviews failed", nil)
  }

  static let presentInstallation = PostgresStatement(
    "present_installation",
    """
    /* baton:present_installation */
    SELECT i.id FROM platform_integrations i
     WHERE i.platform = 'github' AND i.installation_id = $1 AND i.revoked_at IS NULL
     LIMIT 1
    """)

  /// With this the database refuses the installation of another account than the owner's (schema 37).
  private static let ownAccount = "platform_integrations_account"

  /// Makes an integration for a new installation of the GitHub App, and enables reviews with the default configuration unless the owner
  /// has one. If another account has the owner's login now, nothing is made.
  /// - Parameters:
  ///   - installation: its number.
  ///   - owner: by the account's login.
  ///   - account: the account's number, which never changes; nil if the event does not name it.
  /// - Returns: what was done, for the answer and the log.
  package func provision(installation: Int64, for owner: Owner, account: Int64?) async throws -> String {
    let present = try await pool.query(Self.presentInstallation, ["\(installation)"]).first
    if let present { return "integration \(try present.decode("id", as: UUID.self).lowercase) has this installation" }
    let id = UUID()
    let change = Self.change("provisioned", id, owner: owner, installation: installation, account: account)
    do {
      _ = try await pool.pipeline([(Self.changeInstallation, change), (Self.sweepSoon, [id])])
    } catch {
      guard error.constraint == Self.ownAccount else { throw error }
      return "\(owner) belongs to another account: if both are the same owner, add it with baton integration add"
    }
    return "provisioned: integration \(id.lowercase) for \(owner)"
  }
}
