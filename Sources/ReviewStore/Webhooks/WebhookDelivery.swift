package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// A webhook as it came: verified, not yet understood.
package struct WebhookDelivery: Sendable, Equatable {
  package var platform: Platform
  /// The same for every repetition, and of this integration alone. It is made of what the sender has signed: a repetition cannot be given
  /// another one.
  package var id: String
  /// The platform's name of the event.
  package var event: String
  /// What is read of the body: JSON.
  package var payload: String
  package var integrationID: UUID
  /// That of the request: becomes the review's, in each process that processes the delivery.
  package var trace: TraceContext
  /// Why nothing is to be done about it, whatever its owner is configured for; nil if it is to be processed.
  package var ignored: String?

  package init(
    platform: Platform, id: String, event: String, payload: String, integrationID: UUID,
    trace: TraceContext = TraceContext(), ignored: String? = nil
  ) {
    self.trace = trace
    self.ignored = ignored
    self.platform = platform
    self.id = id
    self.event = event
    self.payload = payload
    self.integrationID = integrationID
  }
}

/// The integration that a webhook speaks for.
package struct WebhookSource: Sendable, Equatable {
  package var integrationID: UUID
  package var owner: Owner
  /// Its own secret; if it has one, no other counts.
  package var secretCiphertext: [UInt8]?

  init(_ row: PostgresRow) throws {
    integrationID = try row.decode("id", as: UUID.self)
    owner = Owner(
      type: try row.choice("owner_type", as: Owner.Kind.self), id: try row.decode("owner_id", as: String.self))
    secretCiphertext = try row.optional("webhook_secret_ciphertext", as: [UInt8].self)
  }
}

/// What decides whether anything of an integration is reviewed, whatever its events say.
package struct WebhookStanding: Sendable, Equatable {
  package var owner: Owner
  package var isRevoked: Bool
  /// The text of `agent_configs.config`; nil where the owner has none that is enabled.
  package var configuration: String?
}

/// What is judged when a delivery is processed: the delivery, and the owner as it is now.
package struct StoredWebhook: Sendable, Equatable {
  package var platform: Platform
  package var event: String
  package var payload: String
  package var integrationID: UUID
  package var owner: Owner
  package var isRevoked: Bool
  package var receivedAt: Timestamp
  /// The text of `agent_configs.config`; nil where the owner has none that is enabled.
  package var configuration: String?
  package var trace: TraceContext
  /// The host of the integration's GitLab; empty if the integration does not say it.
  package var instance = ""

  package var standing: WebhookStanding {
    WebhookStanding(owner: owner, isRevoked: isRevoked, configuration: configuration)
  }
}

extension ReviewStore {
  static let webhookDeliveryStatements: [PostgresStatement] = [
    webhookInstallation, webhookStanding, ownWebhookSecret, webhookIntegration, storeDelivery, dueDeliveries,
    deferDelivery, pruneDeliveries,
  ]

  static let webhookInstallation = PostgresStatement(
    "webhook_installation",
    """
    /* baton:webhook_installation */
    SELECT w.installation, i.id, i.owner_type, i.owner_id, i.webhook_secret_ciphertext
      FROM unnest($1::text[]) AS w (installation)
     CROSS JOIN LATERAL \(Fragment.integration("i", ofInstallation: "w.installation"))
    """)

  /// The integrations of GitHub installations, for each a living one before revoked ones; without those that are unknown.
  package func webhookSources(installations: [Int64]) async throws -> [Int64: WebhookSource] {
    let rows = try await pool.query(Self.webhookInstallation, [Set(installations).map { String($0) }])
    return try rows.reduce(into: [:]) { sources, row in
      guard let id = Int64(try row.decode("installation", as: String.self)) else { return }
      sources[id] = try WebhookSource(row)
    }
  }

  static let webhookStanding = PostgresStatement(
    "webhook_standing",
    """
    /* baton:webhook_standing */
    SELECT i.revoked_at IS NOT NULL AS is_revoked, \(Fragment.boundedConfig("c"))
      FROM platform_integrations i
      LEFT JOIN agent_configs c
        ON c.owner_type = i.owner_type AND c.owner_id = i.owner_id AND c.platform = i.platform AND c.is_enabled
     WHERE i.id = $1
    """)

  /// What decides whether anything of an integration is reviewed; nil if it is gone.
  package func standing(of source: WebhookSource) async throws -> WebhookStanding? {
    try await pool.query(Self.webhookStanding, [source.integrationID]).first.map { row in
      WebhookStanding(
        owner: source.owner, isRevoked: try row.decode("is_revoked", as: Bool.self),
        configuration: try row.configuration())
    }
  }

  static let ownWebhookSecret = PostgresStatement(
    "own_webhook_secret",
    """
    /* baton:own_webhook_secret */
    SELECT EXISTS (
      SELECT FROM platform_integrations WHERE platform = $1 AND webhook_secret_ciphertext IS NOT NULL) AS is_there
    """)

  /// Whether any integration of a platform has a secret of its own.
  package func hasOwnWebhookSecret(_ platform: Platform) async throws -> Bool {
    try await pool.query(Self.ownWebhookSecret, [platform.rawValue])[0].decode("is_there", as: Bool.self)
  }

  static let webhookIntegration = PostgresStatement(
    "webhook_integration",
    """
    /* baton:webhook_integration */
    SELECT i.id, i.owner_type, i.owner_id, i.webhook_secret_ciphertext
      FROM platform_integrations i
     WHERE i.platform = 'gitlab' AND i.id = ANY ($1::uuid[])
    """)

  /// GitLab integrations; without those that are unknown.
  package func webhookSources(integrations: [UUID]) async throws -> [UUID: WebhookSource] {
    let rows = try await pool.query(Self.webhookIntegration, [Array(Set(integrations))])
    return try rows.reduce(into: [:]) { sources, row in
      let source = try WebhookSource(row)
      sources[source.integrationID] = source
    }
  }

  static let storeDelivery = PostgresStatement(
    "store_delivery",
    """
    /* baton:store_delivery */
    INSERT INTO webhook_deliveries (
      platform, delivery_id, event, payload, integration_id, traceparent, due_at, outcome, processed_at)
    -- Its receiver goes on at once; others take it up where that has died.
    VALUES ($1, $2, $3, $4::text::jsonb, $5, $6, now() + interval '5 seconds', $7, CASE WHEN $7::text IS NOT NULL THEN now() END)
    ON CONFLICT (platform, delivery_id) DO UPDATE
       -- Sent again by hand, after it was given up, or after it did nothing, as reviews were not enabled, say.
       SET processed_at = EXCLUDED.processed_at, tries = 0, outcome = EXCLUDED.outcome, due_at = EXCLUDED.due_at,
           -- Not the event: its name is not signed.
           payload = EXCLUDED.payload
     WHERE webhook_deliveries.processed_at IS NOT NULL AND webhook_deliveries.outcome NOT LIKE 'pending: %'
       AND webhook_deliveries.outcome NOT LIKE 'closed: %'
       -- Nor one that has its place among the events of an installation or a repository.
       AND NOT (webhook_deliveries.pull_request IS NULL AND webhook_deliveries.pull_request_id IS NOT NULL)
    """)

  /// Stores a delivery before anything else is done with it.
  /// - Returns: false if it is stored already.
  package func store(_ webhook: WebhookDelivery) async throws -> Bool {
    try await pool.query(
      Self.storeDelivery,
      [
        webhook.platform.rawValue, webhook.id, webhook.event, webhook.payload, webhook.integrationID,
        webhook.trace.traceparent, webhook.ignored,
      ]
    ).affectedRows == 1
  }

  static let dueDeliveries = PostgresStatement(
    "due_deliveries",
    """
    /* baton:due_deliveries */
    SELECT d.platform, d.delivery_id
      FROM webhook_deliveries d
     WHERE d.processed_at IS NULL AND d.due_at <= now()
     ORDER BY d.due_at
     LIMIT $1
       -- Only to pass over those that another transaction has locked: however many they are, they hide none behind them.
       FOR UPDATE OF d SKIP LOCKED
    """)

  /// Deliveries that were not processed in time and are not locked, the longest waiting first.
  package func dueDeliveries(limit: Int) async throws -> [(platform: Platform, id: String)] {
    decodeEach(try await pool.query(Self.dueDeliveries, [Int32(limit)]), "webhook delivery") { row in
      (try row.choice("platform", as: Platform.self), try row.decode("delivery_id", as: String.self))
    }
  }

  static let deferDelivery = PostgresStatement(
    "defer_delivery",
    """
    /* baton:defer_delivery */
    WITH deferred AS (
      UPDATE webhook_deliveries
         -- What does not count brings the longest backoff at most, and leaves the tries for what counts.
         SET tries = CASE WHEN $4::int IS NULL THEN GREATEST(tries, LEAST(tries + 1, 10)) ELSE tries + 1 END,
             due_at = now() + make_interval(secs => LEAST(600, 2 ^ LEAST(tries, 10))),
             outcome = CASE WHEN tries + 1 >= $4 THEN 'given up: ' ELSE 'trying again: ' END || $3,
             processed_at = CASE WHEN tries + 1 >= $4 THEN now() END
       WHERE platform = $1 AND delivery_id = $2 AND processed_at IS NULL
      RETURNING processed_at IS NOT NULL AS is_given_up
    ),
    counted AS (
      INSERT INTO baton_counts AS c (what, label, count)
      SELECT 'webhook', 'given_up', 1 FROM deferred WHERE is_given_up
      ON CONFLICT (what, label, shard) DO UPDATE SET count = c.count + EXCLUDED.count
    )
    SELECT is_given_up FROM deferred
    """)

  /// Notes that a delivery could not be processed; it comes due again with backoff, up to `tryMax` times.
  /// - Parameters:
  ///   - platform: whose delivery it is.
  ///   - id: of the delivery.
  ///   - error: why it was not processed.
  ///   - tryMax: nil if that says nothing about the delivery: it is not given up for it, however often it happens.
  /// - Returns: whether it has been given up.
  package func deferDelivery(
    _ platform: Platform, _ id: String, error: String, tryMax: Int?
  ) async throws -> Bool {
    try await pool.query(
      Self.deferDelivery, [platform.rawValue, id, error, tryMax.map { Int32($0) }]
    ).first?.decode(
      "is_given_up", as: Bool.self) ?? false
  }

  static let pruneDeliveries = PostgresStatement(
    "prune_deliveries",
    """
    /* baton:prune_deliveries */
    DELETE FROM webhook_deliveries
     WHERE (platform, delivery_id) IN (
       SELECT platform, delivery_id
         FROM webhook_deliveries
        WHERE received_at < now() - make_interval(secs => $1) AND processed_at < now() - make_interval(secs => $1)
        ORDER BY received_at
        LIMIT $2
          FOR UPDATE SKIP LOCKED)
    """)

  /// Deletes up to `limit` deliveries that were processed longer ago than `age`. Those that were not processed stay.
  /// - Returns: how many; fewer than `limit` at the end.
  package func pruneDeliveries(olderThan age: Duration, limit: Int) async throws -> Int {
    try await pool.query(Self.pruneDeliveries, [age.inSeconds, Int32(clamping: limit)]).affectedRows
  }
}
