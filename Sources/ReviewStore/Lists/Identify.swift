package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// The review that the start of an id names.
package enum Identified: Sendable, Equatable {
  case one(UUID)
  case unknown
  /// Several ids begin so: the first few.
  case several([Review])
}

extension ReviewStore {
  static let identifyStatements: [PostgresStatement] = [identify, identifyIntegration, identifyEndpoint]

  /// So many candidates are named if a prefix is ambiguous.
  private static let candidateCountMax = 5

  static let identify = PostgresStatement(
    "identify",
    """
    /* baton:identify */
    SELECT \(Review.columns) FROM code_reviews r WHERE r.id BETWEEN $1 AND $2 ORDER BY r.id LIMIT $3
    """)

  /// Finds the review that a prefix names. A whole id is returned as it is, also if no review has it.
  package func identify(_ prefix: IDPrefix) async throws -> Identified {
    if let id = prefix.id { return .one(id) }
    let rows = try await pool.query(
      Self.identify, [prefix.first, prefix.last, Int32(Self.candidateCountMax)])
    guard let row = rows.first else { return .unknown }
    if rows.count == 1 { return .one(try row.decode("id", as: UUID.self)) }
    return .several(decodeEach(rows, "review") { try Review($0) })
  }

  static let identifyIntegration = PostgresStatement(
    "identify_integration",
    """
    /* baton:identify_integration */
    SELECT i.id FROM platform_integrations i WHERE i.id BETWEEN $1 AND $2 ORDER BY i.id LIMIT $3
    """)

  /// The integrations whose ids begin so, the first few; a whole id is returned as it is.
  package func integrationIDs(beginningWith prefix: IDPrefix) async throws -> [UUID] {
    if let id = prefix.id { return [id] }
    return try await pool.query(
      Self.identifyIntegration, [prefix.first, prefix.last, Int32(Self.candidateCountMax)]
    ).map { try $0.decode("id", as: UUID.self) }
  }

  static let identifyEndpoint = PostgresStatement(
    "identify_endpoint",
    """
    /* baton:identify_endpoint */
    SELECT p.id FROM baton_endpoints p WHERE p.id BETWEEN $1 AND $2 ORDER BY p.id LIMIT $3
    """)

  /// The same for endpoints of events.
  package func endpointIDs(beginningWith prefix: IDPrefix) async throws -> [UUID] {
    if let id = prefix.id { return [id] }
    return try await pool.query(
      Self.identifyEndpoint, [prefix.first, prefix.last, Int32(Self.candidateCountMax)]
    ).map { try $0.decode("id", as: UUID.self) }
  }
}
