package import FoundationEssentials
internal import PostgresClient

/// The token columns of one row of `platform_integrations`.
package struct IntegrationTokens: Sendable, Equatable {
  package var tokenCiphertext: [UInt8]?
  /// The text of `metadata`.
  package var metadata: String
  /// The format in which a new token is to be sealed.
  package var sealFormat: Int

  package init(tokenCiphertext: [UInt8]?, metadata: String, sealFormat: Int = ReviewStore.sealFormatMax) {
    self.tokenCiphertext = tokenCiphertext
    self.metadata = metadata
    self.sealFormat = sealFormat
  }
}

/// What an integration's tokens shall be.
package struct NewIntegrationTokens: Sendable, Equatable {
  package var tokenCiphertext: [UInt8]?
  /// Replaces `metadata.project_tokens`; the rest of `metadata` stays.
  package var projectTokens: String

  package init(tokenCiphertext: [UInt8]?, projectTokens: String) {
    self.tokenCiphertext = tokenCiphertext
    self.projectTokens = projectTokens
  }
}

extension ReviewStore {
  static let integrationTokenStatements: [PostgresStatement] = [
    patientTransaction, lockIntegrationTokens, storeIntegrationTokens,
  ]

  /// How long the lock of an integration's tokens is waited for, in seconds: less than any session waits for an answer, after which it would be
  /// given up as lost.
  private static let tokenLockSeconds = 20
  /// See ``changeIntegrationTokens(of:_:)``.
  package static let tokenLockTimeout: Duration = .seconds(tokenLockSeconds)

  /// The body may take as long as a few calls of GitLab: longer than a session may otherwise be idle in a transaction, and than
  /// another one otherwise waits for the lock.
  static let patientTransaction = PostgresStatement(
    "patient_transaction",
    """
    /* baton:patient_transaction */
    SELECT set_config('idle_in_transaction_session_timeout', '120s', true), set_config('lock_timeout', '\(tokenLockSeconds)s', true)
    """)

  static let lockIntegrationTokens = PostgresStatement(
    "lock_integration_tokens",
    """
    /* baton:lock_integration_tokens */
    SELECT token_ciphertext, metadata::text AS metadata, (SELECT s.format::int FROM baton_sealing s) AS seal_format
      FROM platform_integrations
     WHERE id = $1
       FOR NO KEY UPDATE
    """)

  static let storeIntegrationTokens = PostgresStatement(
    "store_integration_tokens",
    """
    /* baton:store_integration_tokens */
    UPDATE platform_integrations
       SET token_ciphertext = $2, metadata = jsonb_set(metadata, '{project_tokens}', $3::text::jsonb)
     WHERE id = $1
    """)

  /// Changes an integration's tokens under its row's lock, which holds across processes and ends with this one.
  ///
  /// Uses one connection while the body runs.
  /// - Parameters:
  ///   - id: the integration's.
  ///   - body: nil leaves them as they are.
  /// - Returns: false if there is no such integration.
  /// - Throws: what the body throws; `PostgresError`, after which the new tokens may or may not be stored, also if another process keeps the lock for
  ///   ``tokenLockTimeout``.
  package func changeIntegrationTokens(
    of id: UUID, _ body: @escaping @Sendable (IntegrationTokens) async throws -> NewIntegrationTokens?
  ) async throws -> Bool {
    try await pool.withTransaction { connection in
      _ = try await connection.query(Self.patientTransaction)
      guard let row = try await connection.query(Self.lockIntegrationTokens, [id]).first else { return false }
      let present = IntegrationTokens(
        tokenCiphertext: try row.optional("token_ciphertext", as: [UInt8].self),
        metadata: try row.decode("metadata", as: String.self),
        sealFormat: Int(try row.decode("seal_format", as: Int32.self)))
      if let new = try await body(present) {
        _ = try await connection.query(
          Self.storeIntegrationTokens, [id, new.tokenCiphertext, new.projectTokens])
      }
      return true
    }
  }
}
