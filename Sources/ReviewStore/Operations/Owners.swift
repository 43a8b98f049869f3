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
  static let ownerStatements: [PostgresStatement] = [setOwnerLimit, pauseOwner, addPausedOwner, listOwners]

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

  static let addPausedOwner = PostgresStatement(
    "add_paused_owner",
    """
    /* baton:add_paused_owner */
    INSERT INTO review_owners AS o (owner_type, owner_id, paused)
    VALUES ($1, $2, true)
    ON CONFLICT (owner_type, owner_id) DO UPDATE SET paused = true WHERE NOT o.paused
    """)

  /// Pauses an owner, also before its first review.
  /// - Returns: whether it was not known before.
  package func pause(_ owner: Owner) async throws -> Bool {
    guard try await !setPaused(true, owner) else { return false }
    _ = try await pool.query(Self.addPausedOwner, [owner.type.rawValue, owner.id])
    return true
  }

  static let listOwners = PostgresStatement(
    "list_owners",
    """
    /* baton:list_owners */
    WITH load AS MATERIALIZED (
      SELECT r.owner_type, r.owner_id, sum(r.pending) AS pending, sum(r.active) AS active
        FROM (SELECT r.owner_type, r.owner_id, 1 AS pending, 0 AS active FROM code_reviews r WHERE r.status = 'pending'
              UNION ALL
              SELECT r.owner_type, r.owner_id, 0, 1 FROM code_reviews r WHERE \(Fragment.isActive("r"))) r
       GROUP BY r.owner_id, r.owner_type
    ),
    busy AS MATERIALIZED (
      SELECT o.owner_type, o.owner_id, o.max_concurrent, o.paused, l.pending, l.active
        FROM load l
        JOIN review_owners o ON o.owner_type = l.owner_type AND o.owner_id = l.owner_id
       WHERE o.paused OR NOT $2::boolean
       ORDER BY l.active DESC, l.pending DESC, o.owner_type, o.owner_id
       LIMIT $1
    ),
    idle AS (
      -- By the index, and only as many as there is room for.
      SELECT o.owner_type, o.owner_id, o.max_concurrent, o.paused, 0, 0
        FROM review_owners o
       WHERE (SELECT true FROM code_reviews r
               WHERE r.owner_type = o.owner_type AND r.owner_id = o.owner_id AND r.status = 'pending' LIMIT 1) IS NULL
         AND (SELECT true FROM code_reviews r
               WHERE r.owner_type = o.owner_type AND r.owner_id = o.owner_id AND \(Fragment.isActive("r")) LIMIT 1) IS NULL
         AND (o.paused OR NOT $2::boolean)
       ORDER BY o.owner_type, o.owner_id
       LIMIT GREATEST(0, $1 - (SELECT count(*) FROM busy))
    )
    SELECT b.owner_type, b.owner_id, b.max_concurrent, b.paused, b.pending::bigint AS pending, b.active::bigint AS active
      FROM (SELECT * FROM busy UNION ALL SELECT * FROM idle) b
     ORDER BY active DESC, pending DESC, b.owner_type, b.owner_id
    """)

  /// The owners with their load, the busiest first.
  /// - Parameters:
  ///   - limit: the most that are returned.
  ///   - onlyPaused: whether the others are left out.
  package func owners(limit: Int, onlyPaused: Bool = false) async throws -> [OwnerSummary] {
    decodeEach(try await pool.query(Self.listOwners, [Int32(clamping: limit), onlyPaused]), "owner") { row in
      OwnerSummary(
        owner: Owner(
          type: try row.choice("owner_type", as: Owner.Kind.self), id: try row.decode("owner_id", as: String.self)),
        limit: try row.optional("max_concurrent", as: Int32.self).map { Int($0) },
        isPaused: try row.decode("paused", as: Bool.self), pending: Int(try row.decode("pending", as: Int64.self)),
        active: Int(try row.decode("active", as: Int64.self)))
    }
  }
}
