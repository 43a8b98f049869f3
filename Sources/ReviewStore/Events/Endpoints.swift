package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// An address that events are sent to, and how sending goes. Its secret is not part of it.
package struct Endpoint: Sendable, Equatable {
  package var id: UUID
  package var url: String
  /// nil: events of every owner.
  package var owner: Owner?
  package var isEnabled: Bool
  package var createdAt: Timestamp
  /// Attempts that failed since the last event that it accepted.
  package var failures: Int
  /// Since when it has accepted none of those that were tried, or that no server could try.
  package var failingSince: Timestamp?
  /// When it last accepted an event, to within some seconds.
  package var acceptedAt: Timestamp?
  package var lastError: String?
  /// Events that it has not accepted yet, and those that were given up.
  package var undelivered: Int
  package var givenUp: Int
}

/// What is sent to all endpoints together.
package struct EventBacklog: Sendable, Equatable {
  package var undelivered: Int
  package var givenUp: Int
  /// Since when the oldest undelivered event of an enabled endpoint waits.
  package var oldest: Duration?
  /// Enabled endpoints whose circuit is open, or that have accepted nothing for ``ReviewStore/failingGrace``.
  package var failingEndpoints: Int
}

extension ReviewStore {
  static let endpointStatements: [PostgresStatement] = [
    addEndpoint, listEndpoints, enableEndpoint, replaceEndpointSecret, removeEndpoint, endpointSecrets,
    resealEndpointSecret, eventBacklog,
  ]

  static let addEndpoint = PostgresStatement(
    "add_endpoint",
    """
    /* baton:add_endpoint */
    INSERT INTO baton_endpoints (id, url, secret_ciphertext, owner_type, owner_id) VALUES ($1, $2, $3, $4, $5)
    """)

  /// Adds an endpoint: the reviews that end from now on are reported to it.
  /// - Parameters:
  ///   - url: checked by the caller.
  ///   - owner: whose reviews are reported; nil for all.
  ///   - seal: encrypts the secret for the endpoint's id, which is authenticated along.
  /// - Throws: what `seal` throws; nothing is changed then.
  package func addEndpoint(
    _ url: String, owner: Owner?, sealing seal: (UUID) throws -> [UInt8]
  ) async throws -> UUID {
    let id = UUID()
    _ = try await pool.query(Self.addEndpoint, [id, url, try seal(id), owner?.type.rawValue, owner?.id])
    return id
  }

  static let listEndpoints = PostgresStatement(
    "list_endpoints",
    """
    /* baton:list_endpoints */
    SELECT p.id, p.url, p.owner_type, p.owner_id, p.is_enabled, p.created_at, p.failures, p.failing_since, p.accepted_at,
           p.last_error,
           (SELECT count(*) FROM baton_events e WHERE e.endpoint_id = p.id AND e.due_at IS NOT NULL) AS undelivered,
           (SELECT count(*) FROM baton_events e WHERE e.given_up_at IS NOT NULL AND e.endpoint_id = p.id) AS given_up
      FROM baton_endpoints p
     ORDER BY p.created_at, p.id
    """)

  /// All endpoints, the oldest first.
  package func endpoints() async throws -> [Endpoint] {
    decodeEach(try await pool.query(Self.listEndpoints, []), "endpoint") { try Endpoint($0) }
  }

  static let enableEndpoint = PostgresStatement(
    "enable_endpoint",
    """
    /* baton:enable_endpoint */
    UPDATE baton_endpoints
       SET is_enabled = $2, failures = 0, failing_since = NULL, blocked_until = NULL, last_error = NULL
     WHERE id = $1
    """)

  /// Enables or disables an endpoint. For a disabled one no event is written, and what waits for it keeps waiting.
  /// - Returns: false if there is no such endpoint.
  package func setEndpoint(_ id: UUID, isEnabled: Bool) async throws -> Bool {
    try await pool.query(Self.enableEndpoint, [id, isEnabled]).affectedRows == 1
  }

  static let replaceEndpointSecret = PostgresStatement(
    "replace_endpoint_secret",
    """
    /* baton:replace_endpoint_secret */
    UPDATE baton_endpoints SET secret_ciphertext = $2, blocked_until = NULL WHERE id = $1
    """)

  /// Replaces the secret that signs an endpoint's events.
  /// - Returns: false if there is no such endpoint.
  package func setEndpointSecret(_ id: UUID, _ ciphertext: [UInt8]) async throws -> Bool {
    try await pool.query(Self.replaceEndpointSecret, [id, ciphertext]).affectedRows == 1
  }

  static let removeEndpoint = PostgresStatement(
    "remove_endpoint", "/* baton:remove_endpoint */ DELETE FROM baton_endpoints WHERE id = $1")

  /// Removes an endpoint, with its events (by a trigger).
  /// - Returns: false if there is no such endpoint.
  package func removeEndpoint(_ id: UUID) async throws -> Bool {
    try await pool.query(Self.removeEndpoint, [id]).affectedRows == 1
  }

  static let endpointSecrets = PostgresStatement(
    "endpoint_secrets",
    "/* baton:endpoint_secrets */ SELECT id, secret_ciphertext FROM baton_endpoints ORDER BY id")

  static let resealEndpointSecret = PostgresStatement(
    "reseal_endpoint_secret",
    """
    /* baton:reseal_endpoint_secret */
    UPDATE baton_endpoints SET secret_ciphertext = $3 WHERE id = $1 AND secret_ciphertext = $2
    """)

  /// What is sealed for the endpoints.
  package func endpointSecrets() async throws -> [(id: UUID, ciphertext: [UInt8])] {
    try await pool.query(Self.endpointSecrets, []).map { row in
      (try row.decode("id", as: UUID.self), try row.decode("secret_ciphertext", as: [UInt8].self))
    }
  }

  /// Replaces a ciphertext by another one of the same secret, unless the secret was replaced in the meantime.
  package func resealEndpoint(_ id: UUID, from old: [UInt8], to new: [UInt8]) async throws {
    _ = try await pool.query(Self.resealEndpointSecret, [id, old, new])
  }

  static let eventBacklog = PostgresStatement(
    "event_backlog",
    """
    /* baton:event_backlog */
    SELECT count(*) FILTER (WHERE e.due_at IS NOT NULL) AS undelivered,
           count(*) FILTER (WHERE e.given_up_at IS NOT NULL) AS given_up,
           \(Fragment.seconds(from: "min(e.due_at) FILTER (WHERE e.due_at < now() AND p.is_sound)")) AS oldest,
           (SELECT count(*) FROM baton_endpoints f WHERE \(isFailing("f"))) AS failing
      FROM baton_events e
      -- Of an endpoint that fails, events wait for it, and not for a server.
      LEFT JOIN (SELECT s.id, s.is_enabled AND (\(isFailing("s"))) IS NOT TRUE AS is_sound FROM baton_endpoints s) p
        ON p.id = e.endpoint_id
    """)

  /// The events that were not accepted yet. The table holds no others: an accepted one is deleted.
  package func eventBacklog() async throws -> EventBacklog {
    let row = try await pool.query(Self.eventBacklog, [])[0]
    return EventBacklog(
      undelivered: Int(try row.decode("undelivered", as: Int64.self)),
      givenUp: Int(try row.decode("given_up", as: Int64.self)),
      oldest: try row.optional("oldest", as: Double.self).map { .seconds(saturating: $0) },
      failingEndpoints: Int(try row.decode("failing", as: Int64.self)))
  }
}

extension Endpoint {
  fileprivate init(_ row: PostgresRow) throws {
    id = try row.decode("id", as: UUID.self)
    url = try row.decode("url", as: String.self)
    owner = try row.optional("owner_type", as: String.self) == nil ? nil : Owner(row)
    isEnabled = try row.decode("is_enabled", as: Bool.self)
    createdAt = try row.timestamp("created_at")
    failures = Int(try row.decode("failures", as: Int32.self))
    failingSince = try row.optionalTimestamp("failing_since")
    acceptedAt = try row.optionalTimestamp("accepted_at")
    lastError = try row.optional("last_error", as: String.self)
    undelivered = Int(try row.decode("undelivered", as: Int64.self))
    givenUp = Int(try row.decode("given_up", as: Int64.self))
  }
}
