internal import PostgresClient
package import Reviews

/// A row of `agent_configs`: how an owner's reviews of a platform are done.
package struct StoredConfiguration: Sendable, Equatable {
  /// The text of `config`: a JSON object, unless something else was written by SQL.
  package var json: String
  package var isEnabled: Bool
}

/// What to change of an owner's configuration. What it does not name stays as it is, including fields that this version
/// does not know.
package struct ConfigurationChange: Sendable, Equatable {
  /// The whole configuration in place of the present one: a JSON object.
  package var replacement: String?
  /// Fields to set, over the replacement or the present configuration: a JSON object.
  package var fields: String
  /// Fields to take away.
  package var removed: [String]
  /// nil: as it is; enabled if the row is new.
  package var isEnabled: Bool?

  package init(
    replacement: String? = nil, fields: String = "{}", removed: [String] = [], isEnabled: Bool? = nil
  ) {
    self.replacement = replacement
    self.fields = fields
    self.removed = removed
    self.isEnabled = isEnabled
  }
}

extension ReviewStore {
  static let configurationStatements: [PostgresStatement] = [changeConfiguration, findConfiguration]

  static let changeConfiguration = PostgresStatement(
    "change_configuration",
    """
    /* baton:change_configuration */
    INSERT INTO agent_configs AS c (owner_type, owner_id, platform, config, is_enabled)
    VALUES ($1, $2, $3, (COALESCE($4::text::jsonb, '{}') || $5::text::jsonb) - $6::text[], COALESCE($7, true))
    ON CONFLICT (owner_type, owner_id, platform) DO UPDATE
       SET config = (COALESCE($4::text::jsonb, c.config) || $5::text::jsonb) - $6::text[],
           is_enabled = COALESCE($7, c.is_enabled)
    RETURNING config::text AS config, is_enabled
    """)

  private static func parameters(
    _ change: ConfigurationChange, _ owner: Owner, _ platform: Platform
  ) -> [any PostgresEncodable] {
    [
      owner.type.rawValue, owner.id, platform.rawValue, change.replacement, change.fields, change.removed,
      change.isEnabled,
    ]
  }

  /// Changes an owner's configuration, and checks the result; concurrent changes run one after another.
  /// - Returns: the configuration as it is now.
  /// - Throws: `ReviewConfigurationFaults` with every fault of the whole; nothing is changed then.
  package func change(
    _ change: ConfigurationChange, of owner: Owner, platform: Platform
  ) async throws -> StoredConfiguration {
    try await pool.withTransaction { connection in
      let row = try await connection.query(Self.changeConfiguration, Self.parameters(change, owner, platform))[0]
      let stored = try StoredConfiguration(row)
      _ = try ReviewConfiguration(json: stored.json)
      return stored
    }
  }

  /// Stores and enables an owner's review configuration.
  /// - Parameters:
  ///   - json: checked by the caller with `ReviewConfiguration`.
  ///   - owner: whose it is.
  ///   - platform: the one whose reviews it is for.
  package func setConfiguration(_ json: String, of owner: Owner, platform: Platform) async throws {
    let change = ConfigurationChange(replacement: json, isEnabled: true)
    _ = try await pool.query(Self.changeConfiguration, Self.parameters(change, owner, platform))
  }

  static let findConfiguration = PostgresStatement(
    "find_configuration",
    """
    /* baton:find_configuration */
    SELECT config::text AS config, is_enabled
      FROM agent_configs
     WHERE owner_type = $1 AND owner_id = $2 AND platform = $3
    """)

  /// An owner's configuration for a platform, enabled or not; nil if it has none.
  package func configuration(of owner: Owner, platform: Platform) async throws -> StoredConfiguration? {
    try await pool.query(Self.findConfiguration, [owner.type.rawValue, owner.id, platform.rawValue]).first
      .map { try StoredConfiguration($0) }
  }
}

extension StoredConfiguration {
  init(_ row: PostgresRow) throws {
    json = try row.decode("config", as: String.self)
    isEnabled = try row.decode("is_enabled", as: Bool.self)
  }
}
