package import FoundationEssentials
internal import PostgresClient

/// Everything that is sealed in one row of `platform_integrations`.
package struct SealedSecrets: Sendable, Equatable {
  package var integration: UUID
  package var token: [UInt8]?
  package var webhookSecret: [UInt8]?
  /// The text of `metadata`, which holds the tokens of projects.
  package var metadata: String
  /// Replaces `metadata.project_tokens`; nil leaves it.
  package var projectTokens: String?

  package init(integration: UUID, token: [UInt8]? = nil, webhookSecret: [UInt8]? = nil, metadata: String = "{}") {
    self.integration = integration
    self.token = token
    self.webhookSecret = webhookSecret
    self.metadata = metadata
  }
}

/// A process of an older release, which reads no newer format.
package struct OlderReader: Sendable, Equatable {
  package var role: String
  package var host: String
  package var processID: Int
}

extension ReviewStore {
  static let sealedSecretStatements: [PostgresStatement] = [
    sealedSecrets, lockSealedSecrets, storeSealedSecrets, sealFormat, setSealFormat, olderReaders,
  ]

  static let sealedSecrets = PostgresStatement(
    "sealed_secrets",
    """
    /* baton:sealed_secrets */
    SELECT i.id, i.token_ciphertext, i.webhook_secret_ciphertext, i.metadata::text AS metadata
      FROM platform_integrations i
     WHERE ($1::uuid IS NULL OR i.id > $1)
       AND ($3 OR i.revoked_at IS NULL)
       AND (i.token_ciphertext IS NOT NULL OR i.webhook_secret_ciphertext IS NOT NULL OR i.metadata ? 'project_tokens')
     ORDER BY i.id
     LIMIT $2
    """)

  /// The integrations that have secrets, a page of them, by id.
  /// - Parameters:
  ///   - after: the last id of the page before.
  ///   - limit: the most that are returned.
  ///   - withRevoked: also those that are revoked.
  package func sealedSecrets(after: UUID? = nil, limit: Int, withRevoked: Bool) async throws -> [SealedSecrets] {
    try await pool.query(Self.sealedSecrets, [after, Int32(clamping: limit), withRevoked]).map { try SealedSecrets($0) }
  }

  static let lockSealedSecrets = PostgresStatement(
    "lock_sealed_secrets",
    """
    /* baton:lock_sealed_secrets */
    SELECT id, token_ciphertext, webhook_secret_ciphertext, metadata::text AS metadata
      FROM platform_integrations
     WHERE id = $1
       FOR NO KEY UPDATE
    """)

  static let storeSealedSecrets = PostgresStatement(
    "store_sealed_secrets",
    """
    /* baton:store_sealed_secrets */
    UPDATE platform_integrations
       SET token_ciphertext = $2, webhook_secret_ciphertext = $3,
           metadata = CASE WHEN $4::text IS NULL THEN metadata ELSE jsonb_set(metadata, '{project_tokens}', $4::text::jsonb) END
     WHERE id = $1
    """)

  /// Seals one integration's secrets again, under the lock of its row: a renewal of a token waits, or was waited for.
  /// - Parameters:
  ///   - integration: its id.
  ///   - body: gives the row as it shall be; the same leaves it.
  /// - Returns: false if the integration is gone.
  package func reseal(
    _ integration: UUID, _ body: @escaping @Sendable (SealedSecrets) throws -> SealedSecrets
  ) async throws -> Bool {
    try await pool.withTransaction { connection in
      _ = try await connection.query(Self.patientTransaction)
      guard let row = try await connection.query(Self.lockSealedSecrets, [integration]).first else { return false }
      let present = try SealedSecrets(row)
      let new = try body(present)
      guard new != present else { return true }
      _ = try await connection.query(
        Self.storeSealedSecrets, [integration, new.token, new.webhookSecret, new.projectTokens])
      return true
    }
  }

  // MARK: The format

  /// The newest format that this program reads.
  package static let sealFormatMax = 2

  static let sealFormat = PostgresStatement(
    "seal_format", "/* baton:seal_format */ SELECT format::int AS format FROM baton_sealing")

  /// The format in which secrets are sealed now.
  package func sealFormat() async throws -> Int {
    try Int(await pool.query(Self.sealFormat)[0].decode("format", as: Int32.self))
  }

  static let setSealFormat = PostgresStatement(
    "set_seal_format", "/* baton:set_seal_format */ UPDATE baton_sealing SET format = $1::int WHERE format <> $1::int")

  static let olderReaders = PostgresStatement(
    "older_readers",
    """
    /* baton:older_readers */
    SELECT h.role, h.host, h.pid
      FROM baton_holders h
     WHERE h.seal_format < $1::int AND h.heartbeat_at > now() - interval '5 minutes'
     ORDER BY h.role, h.host, h.pid
     LIMIT 20
    """)

  /// Changes the format in which all processes seal from now on, unless a process is running that cannot read it.
  /// - Returns: the processes that cannot; empty if the format counts.
  package func setSealFormat(_ format: Int) async throws -> [OlderReader] {
    let older = try await pool.query(Self.olderReaders, [Int32(format)]).map { row in
      OlderReader(
        role: try row.decode("role", as: String.self), host: try row.decode("host", as: String.self),
        processID: Int(try row.decode("pid", as: Int32.self)))
    }
    if older.isEmpty { _ = try await pool.query(Self.setSealFormat, [Int32(format)]) }
    return older
  }
}

extension SealedSecrets {
  fileprivate init(_ row: PostgresRow) throws {
    self.init(
      integration: try row.decode("id", as: UUID.self), token: try row.optional("token_ciphertext", as: [UInt8].self),
      webhookSecret: try row.optional("webhook_secret_ciphertext", as: [UInt8].self),
      metadata: try row.decode("metadata", as: String.self))
  }
}
