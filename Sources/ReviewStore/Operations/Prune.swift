internal import FoundationEssentials
internal import PostgresClient
internal import Primitives
internal import Reviews

/// How far a pass over the ended reviews has come, the first that ended first.
package struct PruneMark: Sendable, Equatable {
  var completedAt: Timestamp
  var id: UUID
}

extension ReviewStore {
  static let pruneStatements: [PostgresStatement] = [pruneReviews]

  /// Looks at a page of the reviews that ended long ago and deletes them, with their transitions (by a trigger).
  static let pruneReviews = PostgresStatement(
    "prune_reviews",
    """
    /* baton:prune_reviews */
    WITH page AS MATERIALIZED (
      SELECT r.id, r.completed_at
        FROM code_reviews r
       WHERE r.status IN ('completed', 'failed', 'cancelled')
         AND r.completed_at < now() - make_interval(secs => $1) AND (r.completed_at, r.id) > ($2, $3)
       ORDER BY r.completed_at, r.id
       LIMIT $4
    ),
    ended AS MATERIALIZED (
      SELECT r.id
        FROM code_reviews r
       WHERE r.id = ANY (ARRAY(SELECT id FROM page))
         AND \(Fragment.hasStatus("'completed'", "'failed'", "'cancelled'"))
         AND r.completed_at < now() - make_interval(secs => $1)
         -- The worker is still to be notified.
         AND NOT EXISTS (SELECT 1 FROM baton_outbox o WHERE o.review_id = r.id AND o.given_up_at IS NULL)
       ORDER BY r.id
         FOR UPDATE OF r SKIP LOCKED
    ),
    given_up AS (
      DELETE FROM baton_outbox o WHERE o.review_id = ANY (ARRAY(SELECT id FROM ended))
    ),
    deleted AS (
      DELETE FROM code_reviews r WHERE r.id = ANY (ARRAY(SELECT id FROM ended)) RETURNING r.id
    )
    SELECT p.completed_at, p.id, (SELECT count(*) FROM deleted) AS deleted
      FROM page p
     ORDER BY p.completed_at DESC, p.id DESC
     LIMIT 1
    """)

  /// RFC 9562, section 5.9.
  private static let nilID: uuid_t = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)

  /// Deletes reviews that ended long ago, of one page: a short transaction, so that it holds up no other.
  /// - Parameters:
  ///   - age: since their end.
  ///   - mark: where the last page ended; nil starts with the oldest.
  ///   - limit: of the page; its reviews with an undelivered cancel are not deleted.
  /// - Returns: how many were deleted, and where the next page starts; nil at the end.
  package func pruneReviews(
    endedFor age: Duration, after mark: PruneMark?, limit: Int
  ) async throws -> (deleted: Int, next: PruneMark?) {
    // Before every existing row.
    let start = mark ?? PruneMark(completedAt: Timestamp(microseconds: .min), id: UUID(uuid: Self.nilID))
    let row = try await pool.query(
      Self.pruneReviews, [age.inSeconds, start.completedAt.instant, start.id, Int32(clamping: limit)]
    ).first
    guard let row else { return (0, nil) }
    let next = PruneMark(completedAt: try row.timestamp("completed_at"), id: try row.decode("id", as: UUID.self))
    return (Int(try row.decode("deleted", as: Int64.self)), next)
  }
}
