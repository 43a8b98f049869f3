internal import FoundationEssentials
internal import PostgresClient
internal import Primitives
package import Reviews

extension ReviewStore {
  static let webhookStatements: [PostgresStatement] = [takeDelivery, settleDelivery, lockTimeout, lockPullRequest]

  static let takeDelivery = PostgresStatement(
    "take_delivery",
    """
    /* baton:take_delivery */
    SELECT d.event, d.payload::text AS payload, d.received_at, i.id AS integration_id, i.instance_url, d.traceparent, i.owner_type, i.owner_id,
           i.revoked_at IS NOT NULL AS is_revoked, \(Fragment.boundedConfig("c"))
      FROM webhook_deliveries d
      -- A delivery that another program has stored names none: GitHub's say themselves whose they are.
      LEFT JOIN platform_integrations i ON i.id = COALESCE(d.integration_id, (
        SELECT w.id FROM \(Fragment.integration("w", ofInstallation: "d.payload #>> '{installation,id}'"))
         WHERE d.platform = 'github'))
       AND i.platform = d.platform
      LEFT JOIN agent_configs c
        ON c.owner_type = i.owner_type AND c.owner_id = i.owner_id AND c.platform = i.platform AND c.is_enabled
     WHERE d.platform = $1 AND d.delivery_id = $2 AND d.processed_at IS NULL
       FOR UPDATE OF d SKIP LOCKED
    """)

  static let settleDelivery = PostgresStatement(
    "settle_delivery",
    """
    /* baton:settle_delivery */
    UPDATE webhook_deliveries
       SET processed_at = now(), outcome = $3, pull_request = $4, pull_request_id = $5, pr_updated_at = $6,
           previous_sha = $7, head_sha = $8,
           -- An event of a check or a merge group names its pull request in its own way, or not at all.
           about_number = COALESCE(about_number, $9, (SELECT r.pr_number FROM code_reviews r WHERE r.id = $10))
     WHERE platform = $1 AND delivery_id = $2
    """)

  /// The transaction locks a pull request's reviews. If this process stands still in the middle of it, Postgres rolls it back soon, and
  /// another server processes the delivery.
  static let lockTimeout = PostgresStatement(
    "lock_timeout",
    """
    /* baton:lock_timeout */
    SELECT set_config('lock_timeout', $1, true), set_config('idle_in_transaction_session_timeout', '3s', true)
    """)

  static let lockPullRequest = PostgresStatement(
    "lock_pull_request",
    "/* baton:lock_pull_request */ SELECT pg_advisory_xact_lock(hashtextextended($1, 1111577422))")

  /// Processes a stored delivery: what it does, and that it was done, are one transaction, so that it happens once, by
  /// whichever process, and after a crash too.
  /// - Parameters:
  ///   - platform: that has delivered it.
  ///   - id: the platform's id of the delivery.
  ///   - waitMax: how long to wait for another event of the same pull request.
  ///   - judge: what the delivery means.
  /// - Throws: what `judge` throws; `PostgresError`, transient if that takes too long.
  package func process(
    _ platform: Platform, _ id: String, waitMax: Duration, judge: (StoredWebhook) throws -> WebhookVerdict
  ) async throws -> WebhookOutcome {
    try await pool.withTransaction { connection in
      _ = try await connection.query(Self.lockTimeout, ["\(Int64(waitMax / .milliseconds(1)))ms"])
      guard let row = try await connection.query(Self.takeDelivery, [platform.rawValue, id]).first else {
        return .repeated
      }
      let stored = try StoredWebhook(row, platform: platform)
      let verdict = try stored.map(judge) ?? .ignored("its integration is gone")
      let outcome = try await apply(verdict, of: stored, on: connection)
      let (place, order) = (verdict.place, verdict.order)
      _ = try await connection.query(
        Self.settleDelivery,
        [
          platform.rawValue, id, outcome.text, place?.pullRequest.text, place?.pullRequest.idText ?? order?.subject,
          (place?.updatedAt ?? order?.time)?.instant, place?.previousSha, place?.headSha,
          verdict.number.map { Int32(clamping: $0) },
          outcome.reviewID,
        ])
      return outcome
    }
  }

  private func apply(
    _ verdict: WebhookVerdict, of webhook: StoredWebhook?, on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    let receivedAt = webhook?.receivedAt ?? .infinity
    switch verdict {
    case .ignored(let reason): return .unchanged(reason, nil)
    case .named(let name): return try await self.name(name, on: connection)
    case .pushed(let push):
      return try await apply(push, receivedAt, trace: webhook?.trace ?? TraceContext(), on: connection)
    case .withheld(let place, let reason): return try await withhold(place, reason, receivedAt, on: connection)
    case .closed(let place): return try await close(place, receivedAt, on: connection)
    case .platform(let event):
      guard let webhook else { return .unchanged("its integration is gone", nil) }
      return try await apply(event, of: webhook, on: connection)
    }
  }

  /// Locks a pull request's events and reviews, by its repository's number and by its name, which is all that earlier releases lock.
  func lock(_ place: PullRequestPlace, on connection: PostgresConnection) async throws -> [RelatedReview] {
    let key = place.pullRequest
    for text in [key.idText, key.text].compactMap({ $0 }) {
      _ = try await connection.query(Self.lockPullRequest, [text])
    }
    try await identify(place, on: connection)
    return try await lockRelated(key, sha: place.headSha ?? "", on: connection)
  }

  static func supersededReason(_ place: PullRequestPlace) -> String {
    "superseded by \((place.headSha ?? "").prefix(12))"
  }

  static let outdated = "a newer event of this pull request came before"

  func apply(
    _ push: PullRequestPush, _ receivedAt: Timestamp, trace: TraceContext, on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    let place = push.place
    let related = try await lock(place, on: connection)
    let same = related.ofSameCommit
    let soFar = try await eventsSoFar(before: place, receivedAt: receivedAt, on: connection)
    let decision = PushDecision(
      updatedAt: place.updatedAt, newest: soFar.newest, isReplaced: soFar.isReplaced, same: same, cause: push.cause,
      baseRef: push.review.baseRef)
    if decision != .outdated {
      let older = related.own.filter { $0.id != same?.id }.map(\.id)
      try await cancel(older, code: .superseded, reason: Self.supersededReason(place), on: connection)
    }
    switch decision {
    case .outdated: return .unchanged(Self.outdated, same?.id)
    case .insert:
      var review = push.review
      if !push.isAuthorKnown, let author = soFar.author { review.prAuthor = author }
      let rows = try await connection.query(
        Self.insertPush, Self.parameters(of: review, trace: trace) + [place.updatedAt.instant])
      guard let row = rows.first else {
        // An application has inserted the same commit right now, without the lock.
        throw PostgresError(.server(PostgresSQLState.serializationFailure), "the same review is being inserted")
      }
      return .reviewMadePending(try row.decode("id", as: UUID.self), attempt: 1, trace)
    case .restart(let id):
      return try await restart(id, push, reason: "the same commit came again", on: connection)
    case .retarget(let id):
      return try await replace(
        id, push, reason: "the pull request is to be merged into \(push.review.baseRef.prefix(100))", on: connection)
    case .takeOver(let id):
      return try await replace(
        id, push, reason: "\(push.review.repoFullName.prefix(200)) is another repository now", on: connection)
    case .rebase(let id):
      let review = push.review
      let rows = try await connection.query(
        Self.rebasePush, [id, place.updatedAt.instant, review.prTitle, review.baseRef, review.headRef])
      return .reviewMadePending(
        id, attempt: Int(try rows[0].decode("attempt", as: Int32.self)), try rows[0].trace(of: id))
    case .keep(let id, let reason):
      _ = try await connection.query(Self.touchPush, [id, place.updatedAt.instant])
      return .unchanged(reason, id)
    }
  }

  /// A new attempt in the place of one that may be under way or completed.
  private func replace(
    _ id: UUID, _ push: PullRequestPush, reason: String, on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    try await cancel([id], code: .superseded, reason: reason, on: connection)
    _ = try await connection.query(Self.allowRerun, [id.lowercase])
    return try await restart(id, push, reason: reason, on: connection)
  }

  /// A new attempt of the same review goes on in its trace.
  func restart(
    _ id: UUID, _ push: PullRequestPush, reason: String, on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    let review = push.review
    let rows = try await connection.query(
      Self.restartPush,
      [
        id, push.place.updatedAt.instant, review.prTitle, review.baseRef, review.headRef, review.platformIntegrationId,
        review.platformProjectId, reason, push.place.pullRequest.repositoryID, review.prUrl,
      ])
    return .reviewMadePending(
      id, attempt: Int(try rows[0].decode("attempt", as: Int32.self)), try rows[0].trace(of: id))
  }

  /// The commit is not to be reviewed; the older ones neither. A review of this commit, from before it was a draft, goes on.
  func withhold(
    _ place: PullRequestPlace, _ reason: String, _ receivedAt: Timestamp, on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    let related = try await lock(place, on: connection)
    let soFar = try await eventsSoFar(before: place, receivedAt: receivedAt, on: connection)
    guard !soFar.isReplaced, soFar.newest.map({ place.updatedAt >= $0 }) ?? true else { return .unchanged(reason, nil) }
    let older = related.own.filter { !$0.isSameCommit }.map(\.id)
    try await cancel(older, code: .superseded, reason: Self.supersededReason(place), on: connection)
    return .unchanged(reason, related.own.first { $0.isSameCommit }?.id)
  }

  private func close(
    _ place: PullRequestPlace, _ receivedAt: Timestamp, on connection: PostgresConnection
  ) async throws -> WebhookOutcome {
    let related = try await lock(place, on: connection).own
    let soFar = try await eventsSoFar(before: place, receivedAt: receivedAt, on: connection)
    guard soFar.newest.map({ place.updatedAt >= $0 }) ?? true else { return .unchanged(Self.outdated, nil) }
    try await cancel(
      related.map(\.id), code: .pullRequestClosed, reason: "the pull request was closed", on: connection)
    return .cancelled(related.count)
  }
}

extension PostgresRow {
  /// What `Fragment.boundedConfig` has selected. One that is too large to be read is as good as one that is faulty.
  func configuration() throws -> String? {
    try optional("config", as: String.self) ?? optional("config_bytes", as: Int32.self).map { _ in "" }
  }
}

extension StoredWebhook {
  /// nil if the integration is unknown, or has been deleted since.
  init?(_ row: PostgresRow, platform: Platform) throws {
    guard let id = try row.optional("integration_id", as: UUID.self),
      let owner = try row.optional("owner_id", as: String.self)
    else { return nil }
    self.init(
      platform: platform, event: try row.decode("event", as: String.self),
      payload: try row.decode("payload", as: String.self), integrationID: id,
      owner: Owner(type: try row.choice("owner_type", as: Owner.Kind.self), id: owner),
      isRevoked: try row.decode("is_revoked", as: Bool.self), receivedAt: try row.timestamp("received_at"),
      configuration: try row.configuration(),
      // None: stored by an older version.
      trace: try row.optional("traceparent", as: String.self).flatMap { TraceContext(traceparent: $0) }
        ?? TraceContext(),
      instance: PullRequestKey.instance(at: try row.optional("instance_url", as: String.self) ?? ""))
  }
}
