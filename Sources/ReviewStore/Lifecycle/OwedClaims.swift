internal import FoundationEssentials
internal import PostgresClient

// What a process that claims still owes: a ticket that the broker has confirmed.
extension ReviewStore {
  static let owedClaimStatements: [PostgresStatement] = [owedClaims, ownClaims]

  /// A claim whose ticket no consumer has used yet, as far as the row says; `r` is `code_reviews`.
  private static let isOwed = """
    r.published_at IS NULL AND r.lease_owner IS NULL AND r.lease_expires_at IS NULL AND r.dispatched_at IS NULL
    """

  static let owedClaims = PostgresStatement(
    "owed_claims",
    """
    /* baton:owed_claims */
    SELECT r.id, r.claimed_at
      FROM unnest($1::uuid[], $2::timestamptz[]) AS c (id, claimed_at)
      JOIN code_reviews r ON r.id = c.id AND r.claimed_at = c.claimed_at
     WHERE \(Fragment.hasStatus("'queued'")) AND \(isOwed)
    """)

  /// Those of the claims that are still to be published: not cancelled, not leased, not claimed anew by the reaper.
  package func owed(_ claims: [Claim]) async throws -> [Claim] {
    let rows = try await pool.query(Self.owedClaims, [claims.map(\.reviewID), claims.map(\.claimedAt.instant)])
    let ids = Set(try rows.map { try $0.decode("id", as: UUID.self) })
    return claims.filter { ids.contains($0.reviewID) }
  }

  static let ownClaims = PostgresStatement(
    "own_claims",
    """
    /* baton:own_claims */
    SELECT r.id, r.attempt, r.claimed_at, r.traceparent
      FROM code_reviews r
     WHERE \(Fragment.isQueued) AND r.claimed_by = $1 AND \(isOwed)
     ORDER BY r.claimed_at
     LIMIT $2
    """)

  /// The claims of a holder that are still to be published, the oldest first: asked when the answer to a claim was lost.
  ///
  /// Reads the queued rows, which is why it is asked for only then.
  package func ownClaims(of holder: Holder.ID, limit: Int) async throws -> [Claim] {
    try await pool.query(Self.ownClaims, [holder.text, Int32(clamping: limit)]).map { try Claim($0) }
  }
}
