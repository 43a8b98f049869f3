internal import PostgresClient
package import Reviews

/// An owner's limit and load.
package struct OwnerSummary: Sendable, Codable, Equatable {
  package var owner: Owner
  /// nil: BATON_OWNER_LIMIT.
  package var limit: Int?
  package var isPaused: Bool
  package var pending: Int
  package var active: Int
}

extension ReviewStore {
  static let setOwnerLimit = PostgresStatement(
    "set_owner_limit",
    """
    /* baton:set_owner_limit */
    INSERT INTO review_owners (owner_type, owner_id, max_concurrent)
    VALUES ($1, $2, $3)
    ON CONFLICT (owner_type, owner_id) DO UPDATE SET max_concurrent = EXCLUDED.max_concurrent
    """)

  /// Sets how many reviews an owner may have queued or running at once; creates the owner if it is new.
  /// - Parameters:
  ///   - owner: whose limit it is.
  ///   - limit: nil for BATON_OWNER_LIMIT.
  package func setLimit(of owner: Owner, to limit: Int?) async throws {
    _ = try await pool.query(Self.setOwnerLimit, [owner.type.rawValue, owner.id, limit.map { Int32(clamping: $0) }])
  }

  static let pauseOwner = PostgresStatement(
    "pause_owner",
    """
    /* baton:pause_owner */
    UPDATE review_owners SET paused = $3 WHERE owner_type = $1 AND owner_id = $2
    """)

  /// Pauses or resumes claims of an owner's reviews; what is queued already goes on.
  /// - Returns: false if there is no such owner.
  package func setPaused(_ isPaused: Bool, _ owner: Owner) async throws -> Bool {
    try await pool.query(Self.pauseOwner, [owner.type.rawValue, owner.id, isPaused]).affectedRows == 1
  }

  static let listOwners = PostgresStatement(
    "list_owners",
    """
    /* baton:list_owners */
    SELECT o.owner_type, o.owner_id, o.max_concurrent, o.paused,
           (SELECT count(*) FROM code_reviews r
             WHERE r.owner_type = o.owner_type AND r.owner_id = o.owner_id AND r.status = 'pending') AS pending,
           (SELECT count(*) FROM code_reviews r
             WHERE r.owner_type = o.owner_type AND r.owner_id = o.owner_id
               AND \(Fragment.isActive("r"))) AS active
      FROM review_owners o
     ORDER BY active DESC, pending DESC, o.owner_type, o.owner_id
     LIMIT $1
    """)

  /// The owners with their load, the busiest first.
  package func owners(limit: Int) async throws -> [OwnerSummary] {
    decodeEach(try await pool.query(Self.listOwners, [Int32(clamping: limit)]), "owner") { row in
      OwnerSummary(
        owner: Owner(
          type: try row.choice("owner_type", as: Owner.Kind.self), id: try row.decode("owner_id", as: String.self)),
        limit: try row.optional("max_concurrent", as: Int32.self).map { Int($0) },
        isPaused: try row.decode("paused", as: Bool.self), pending: Int(try row.decode("pending", as: Int64.self)),
        active: Int(try row.decode("active", as: Int64.self)))
    }
  }
}
