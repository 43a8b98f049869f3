package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// An integration as an operator adds it. Of one platform an owner has one for each installation (GitHub) or instance (GitLab),
/// and one with neither.
package struct NewIntegration: Sendable, Equatable {
  package var owner: Owner
  package var platform: Platform
  package var installationId: String?
  /// Checked by the caller, and written in one form only, as it distinguishes integrations.
  package var instanceUrl: String?

  package init(owner: Owner, platform: Platform, installationId: String? = nil, instanceUrl: String? = nil) {
    self.owner = owner
    self.platform = platform
    self.installationId = installationId
    self.instanceUrl = instanceUrl
  }
}

/// The secrets of an integration as ciphertext; nil leaves the stored one as it is.
package struct IntegrationSecrets: Sendable, Equatable {
  package var token: [UInt8]?
  package var webhookSecret: [UInt8]?

  package init(token: [UInt8]? = nil, webhookSecret: [UInt8]? = nil) {
    self.token = token
    self.webhookSecret = webhookSecret
  }
}

/// An integration as it may be shown: whether it has secrets, not which.
package struct IntegrationRow: Sendable, Equatable {
  package var id: UUID
  package var owner: Owner
  package var platform: Platform
  package var installationId: String?
  package var instanceUrl: String?
  package var hasToken: Bool
  package var hasWebhookSecret: Bool
  package var createdAt: Timestamp
  package var revokedAt: Timestamp?
}

/// The outcome of adding an integration.
package enum IntegrationAnswer: Sendable, Equatable {
  case added(UUID)
  /// The owner had it already: its secrets are the given ones now, and if it was revoked, it is valid again.
  case updated(UUID, wasRevoked: Bool)
  /// Another owner has this installation.
  case taken(by: Owner, UUID)
}

extension ReviewStore {
  static let integrationStatements: [PostgresStatement] = [
    lockIntegrations, sameIntegration, putIntegration, listIntegrations, revokeIntegration,
  ]

  static let lockIntegrations = PostgresStatement(
    "lock_integrations",
    """
    /* baton:lock_integrations */
    SELECT pg_advisory_xact_lock(hashtextextended('baton integration ' || $1::text, 0))::text
    """)

  static let sameIntegration = PostgresStatement(
    "same_integration",
    """
    /* baton:same_integration */
    SELECT i.id, i.owner_type, i.owner_id, i.revoked_at IS NOT NULL AS is_revoked,
           i.owner_type = $1 AND i.owner_id = $2 AS is_own
      FROM platform_integrations i
     WHERE i.platform = $3
       AND CASE
             -- An installation belongs to one owner: its webhooks carry nothing else that identifies the owner.
             WHEN $4::text IS NOT NULL THEN
               i.installation_id = $4 AND (i.revoked_at IS NULL OR i.owner_type = $1 AND i.owner_id = $2)
             ELSE
               i.owner_type = $1 AND i.owner_id = $2 AND i.installation_id IS NULL
                 AND rtrim(i.instance_url, '/') IS NOT DISTINCT FROM $5
           END
     ORDER BY is_own, is_revoked, i.created_at, i.id
     LIMIT 1
    """)

  static let putIntegration = PostgresStatement(
    "put_integration",
    """
    /* baton:put_integration */
    INSERT INTO platform_integrations AS i (
      id, owner_type, owner_id, platform, installation_id, instance_url, token_ciphertext, webhook_secret_ciphertext)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (id) DO UPDATE
       SET token_ciphertext = COALESCE(EXCLUDED.token_ciphertext, i.token_ciphertext),
           webhook_secret_ciphertext = COALESCE(EXCLUDED.webhook_secret_ciphertext, i.webhook_secret_ciphertext),
           -- A new token replaces what was made with the old one.
           metadata = CASE WHEN EXCLUDED.token_ciphertext IS NULL THEN i.metadata ELSE i.metadata - 'project_tokens' END,
           revoked_at = NULL
    """)

  /// Adds an integration, or renews the one that the owner has: it keeps its id, which reviews name.
  /// - Parameters:
  ///   - new: what is stored, without its secrets.
  ///   - seal: encrypts the secrets for an integration's id, which is authenticated along.
  /// - Throws: what `seal` throws; nothing is changed then.
  package func add(
    _ new: NewIntegration, sealing seal: (UUID) throws -> IntegrationSecrets
  ) async throws -> IntegrationAnswer {
    try await pool.withTransaction { connection in
      // Two callers that add the same integration at once would both find nothing.
      let place = "\(new.platform.rawValue) \(new.installationId ?? new.instanceUrl ?? "")"
      _ = try await connection.query(Self.lockIntegrations, [place])
      let found = try await connection.query(
        Self.sameIntegration,
        [new.owner.type.rawValue, new.owner.id, new.platform.rawValue, new.installationId, new.instanceUrl]
      ).first
      let present = try found?.decode("id", as: UUID.self)
      if let found, let present, try !found.decode("is_own", as: Bool.self) {
        return .taken(by: try Owner(found), present)
      }
      let id = present ?? UUID()
      let secrets = try seal(id)
      _ = try await connection.query(
        Self.putIntegration,
        [
          id, new.owner.type.rawValue, new.owner.id, new.platform.rawValue, new.installationId, new.instanceUrl,
          secrets.token, secrets.webhookSecret,
        ])
      guard let found else { return .added(id) }
      return .updated(id, wasRevoked: try found.decode("is_revoked", as: Bool.self))
    }
  }

  static let listIntegrations = PostgresStatement(
    "list_integrations",
    """
    /* baton:list_integrations */
    SELECT i.id, i.owner_type, i.owner_id, i.platform, i.installation_id, i.instance_url, i.created_at, i.revoked_at,
           i.token_ciphertext IS NOT NULL AS has_token, i.webhook_secret_ciphertext IS NOT NULL AS has_webhook_secret
      FROM platform_integrations i
     WHERE ($1::text IS NULL OR (i.owner_type = $1 AND i.owner_id = $2))
       AND ($3::text IS NULL OR i.platform = $3)
     ORDER BY i.owner_type, i.owner_id, i.platform, i.created_at, i.id
     LIMIT $4
    """)

  /// Integrations by owner, the revoked ones too.
  package func integrations(of owner: Owner?, platform: Platform?, limit: Int) async throws
    -> [IntegrationRow]
  {
    let rows = try await pool.query(
      Self.listIntegrations,
      [owner?.type.rawValue, owner?.id, platform?.rawValue, Int32(clamping: limit)])
    return decodeEach(rows, "integration") { row in
      IntegrationRow(
        id: try row.decode("id", as: UUID.self), owner: try Owner(row),
        platform: try row.choice("platform", as: Platform.self),
        installationId: try row.optional("installation_id", as: String.self),
        instanceUrl: try row.optional("instance_url", as: String.self),
        hasToken: try row.decode("has_token", as: Bool.self),
        hasWebhookSecret: try row.decode("has_webhook_secret", as: Bool.self),
        createdAt: try row.timestamp("created_at"), revokedAt: try row.optionalTimestamp("revoked_at"))
    }
  }

  static let revokeIntegration = PostgresStatement(
    "revoke_integration",
    """
    /* baton:revoke_integration */
    WITH revoked AS (
      UPDATE platform_integrations SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING id
    )
    SELECT EXISTS (SELECT 1 FROM revoked) AS is_new FROM platform_integrations WHERE id = $1
    """)

  /// Revokes an integration: reviews that name it fail from now on, and its webhooks make none.
  /// - Returns: whether it was valid until now; nil if there is no such integration.
  package func revokeIntegration(_ id: UUID) async throws -> Bool? {
    try await pool.query(Self.revokeIntegration, [id]).first?.decode("is_new", as: Bool.self)
  }
}

extension Owner {
  /// From `owner_type` and `owner_id`.
  init(_ row: PostgresRow) throws {
    self.init(
      type: try row.choice("owner_type", as: Owner.Kind.self), id: try row.decode("owner_id", as: String.self))
  }
}
