internal import FoundationEssentials
internal import PostgresClient
internal import Primitives
package import Reviews

extension ReviewStore {
  static let takeDelivery = Statement(
    "take_delivery",
    """
    /* baton:take_delivery */
    SELECT d.event, d.payload::text AS payload, i.id AS integration_id, d.traceparent, i.owner_type, i.owner_id,
           i.revoked_at IS NOT NULL AS is_revoked, \(Fragment.boundedConfig("c"))
      FROM webhook_deliveries d
      -- A delivery that another program has stored names none: the payload of GitHub's names the installation.
      LEFT JOIN platform_integrations i ON i.id = COALESCE(d.integration_id, (
        SELECT w.id FROM \(Fragment.integration("w", ofInstallation: "d.payload #>> '{installation,id}'"))
         WHERE d.platform = 'github'))
       AND i.platform = d.platform
      LEFT JOIN agent_configs c
        ON c.owner_type = i.owner_type AND c.owner_id = i.owner_id AND c.platform = i.platform AND c.is_enabled
     WHERE d.platform = $1 AND d.delivery_id = $2 AND d.processed_at IS NULL
       FOR UPDATE OF d SKIP LOCKED
    """)

  static let settleDelivery = Statement(
    "settle_delivery",
    """
    /* baton:settle_delivery */
    UPDATE webhook_deliveries
       SET processed_at = now(), outcome = $3, pull_request = $4, pr_updated_at = $5, previous_sha = $6
     WHERE platform = $1 AND delivery_id = $2
    """)

  /// The transaction locks a pull request's reviews. If this process stands still in the middle of it, Postgres rolls it back soon, and
  /// another server processes the delivery.
  static let lockTimeout = Statement(
    "lock_timeout",
    """
    /* baton:lock_timeout */
    SELECT set_config('lock_timeout', $1, true), set_config('idle_in_transaction_session_timeout', '3s', true)
    """)

  static let lockPullRequest = Statement(
    "lock_pull_request",
    "/* baton:lock_pull_request */ SELECT pg_advisory_xact_lock(hashtextextended($1, 1111577422))")

  /// Processes a stored delivery: what it does, and that it was done, are one transaction, so that it happens once, by
  /// whichever process, and after a crash too.
  /// - Parameters:
  ///   - patience: how long to wait for another event of the same pull request.
  ///   - judge: what the delivery means.
  /// - Throws: what `judge` throws; `PostgresError`, transient if the patience has run out.
  package func process(
    _ platform: Platform, _ id: String, patience: Duration, judge: (StoredDelivery) throws -> DeliveryVerdict
  ) async throws -> DeliveryOutcome {
    try await pool.withTransaction { connection in
      _ = try await connection.query(Self.lockTimeout, ["\(Int64(patience / .milliseconds(1)))ms"])
      guard let row = try await connection.query(Self.takeDelivery, [platform.rawValue, id]).first else {
        return .repeated
      }
      let stored = try StoredDelivery(row, platform: platform)
      let verdict = try stored.map(judge) ?? .ignored("its integration is gone")
      let outcome: DeliveryOutcome =
        switch verdict {
        case .ignored(let reason): .unchanged(reason, nil)
        case .pushed(let push): try await apply(push, trace: stored?.trace ?? TraceContext(), on: connection)
        case .closed(let key, let updatedAt): try await close(key, updatedAt: updatedAt, on: connection)
        }
      let place = verdict.place
      _ = try await connection.query(
        Self.settleDelivery,
        [platform.rawValue, id, outcome.text, place?.key.text, place?.updatedAt.instant, place?.previousSha])
      return outcome
    }
  }

  private func apply(
    _ push: PullRequestPush, trace: TraceContext, on connection: PostgresConnection
  ) async throws -> DeliveryOutcome {
    let key = push.pullRequest
    _ = try await connection.query(Self.lockPullRequest, [key.text])
    let related = try await lockRelated(key, sha: push.review.headSha, on: connection)
    let same = related.first { $0.isSameCommit }
    let (newest, isReplaced) = try await newest(key, push, on: connection)
    let decision = PushDecision(updatedAt: push.updatedAt, newest: newest, isReplaced: isReplaced, same: same)
    if decision != .outdated {
      let older = related.filter { !$0.isSameCommit }.map(\.id)
      let reason = "superseded by \(push.review.headSha.prefix(12))"
      try await cancel(older, code: .superseded, reason: reason, on: connection)
    }
    switch decision {
    case .outdated: return .unchanged("a newer event of this pull request came before", same?.id)
    case .insert:
      let rows = try await connection.query(
        Self.insertPush, Self.parameters(of: push.review, trace: trace) + [push.updatedAt.instant])
      guard let row = rows.first else {
        // An application has inserted the same commit right now, without the lock.
        throw PostgresError(.server(SQLState.serializationFailure), "the same review is being inserted")
      }
      return .pending(try row.decode("id", as: UUID.self), attempt: 1, trace)
    case .restart(let id):
      let review = push.review
      let rows = try await connection.query(
        Self.restartPush,
        [
          id, push.updatedAt.instant, review.prTitle, review.baseRef, review.headRef, review.platformIntegrationId,
          review.platformProjectId,
        ])
      // A new attempt of the same review goes on in its trace.
      return .pending(id, attempt: Int(try rows[0].decode("attempt", as: Int32.self)), try rows[0].trace(of: id))
    case .keep(let id, let reason):
      _ = try await connection.query(Self.touchPush, [id, push.updatedAt.instant])
      return .unchanged(reason, id)
    }
  }

  private func close(
    _ key: PullRequestKey, updatedAt: Timestamp, on connection: PostgresConnection
  ) async throws -> DeliveryOutcome {
    _ = try await connection.query(Self.lockPullRequest, [key.text])
    let related = try await lockRelated(key, sha: "", on: connection)
    let newest = try await newest(key, updatedAt: updatedAt, sha: "", on: connection).time
    guard newest.map({ updatedAt >= $0 }) ?? true else {
      return .unchanged("a newer event of this pull request came before", nil)
    }
    try await cancel(
      related.map(\.id), code: .pullRequestClosed, reason: "the pull request was closed", on: connection)
    return .cancelled(related.count)
  }
}

extension StoredDelivery {
  /// nil if the integration is unknown, or has been deleted since.
  init?(_ row: PostgresRow, platform: Platform) throws {
    guard let id = try row.optional("integration_id", as: UUID.self),
      let owner = try row.optional("owner_id", as: String.self)
    else { return nil }
    self.init(
      platform: platform, event: try row.decode("event", as: String.self),
      payload: try row.decode("payload", as: String.self), integrationID: id,
      owner: Owner(type: try row.choice("owner_type", as: Owner.Kind.self), id: owner),
      isRevoked: try row.decode("is_revoked", as: Bool.self),
      // One that is too large to be read is as good as one that is faulty.
      configuration: try row.optional("config", as: String.self)
        ?? row.optional("config_bytes", as: Int32.self).map { _ in "" },
      // None: stored by an older version.
      trace: try row.optional("traceparent", as: String.self).flatMap { TraceContext(traceparent: $0) }
        ?? TraceContext())
  }
}
