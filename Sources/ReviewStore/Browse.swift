internal import FoundationEssentials
internal import PostgresClient
internal import Primitives
package import Reviews

/// A page of reviews for people.
package struct BrowsedPage: Sendable, Equatable {
  package var reviews: [Review]
  /// Where to look further; nil at the end.
  package var next: ReviewCursor?
  /// Whether the look ended before the page was full: among so many reviews no more match.
  package var isCutShort: Bool
}

extension ReviewStore {
  /// The most reviews that one look for a page reads: a filter that matches little would read the whole history.
  package static let browseSpan = 20_000

  private static let matches = """
    ($2::text IS NULL OR (r.owner_type = $2 AND r.owner_id = $3))
           AND ($4::text IS NULL OR lower(r.repo_full_name) = lower($4))
           AND ($5::timestamptz IS NULL OR (r.created_at, r.id) < ($5, $6::uuid))
    """

  /// Of the statuses that have not ended: by the partial indexes.
  static let browseLive = Statement(
    "browse_live",
    """
    /* baton:browse_live */
    SELECT \(Review.columns)
      FROM (SELECT * FROM code_reviews r WHERE r.status = 'pending' AND $1 = 'pending' AND \(matches)
            UNION ALL
            SELECT * FROM code_reviews r WHERE r.status IN ('queued', 'running') AND r.status = $1 AND \(matches)) r
     ORDER BY r.created_at DESC, r.id DESC
     LIMIT $7
    """)

  static let browse = Statement(
    "browse",
    """
    /* baton:browse */
    SELECT \(Review.columns)
      FROM (SELECT *
              FROM code_reviews r
             WHERE ($5::timestamptz IS NULL OR (r.created_at, r.id) < ($5, $6::uuid))
             ORDER BY r.created_at DESC, r.id DESC
             LIMIT \(browseSpan)) r
     WHERE ($1::text IS NULL OR (r.status || '') = $1) AND \(matches)
     ORDER BY r.created_at DESC, r.id DESC
     LIMIT $7
    """)

  static let browseEnd = Statement(
    "browse_end",
    """
    /* baton:browse_end */
    SELECT r.created_at, r.id
      FROM code_reviews r
     WHERE ($1::timestamptz IS NULL OR (r.created_at, r.id) < ($1, $2::uuid))
     ORDER BY r.created_at DESC, r.id DESC
    OFFSET \(browseSpan - 1) LIMIT 1
    """)

  /// A page of reviews, newest first, at a bounded cost over any history: see ``browseSpan``.
  package func browse(
    _ filter: ReviewFilter, limit: Int, after cursor: ReviewCursor? = nil
  ) async throws -> BrowsedPage {
    let isLive = filter.status.map { !$0.isTerminal } ?? false
    let rows = try await pool.query(
      isLive ? Self.browseLive : Self.browse,
      [
        filter.status?.rawValue, filter.owner?.type.rawValue, filter.owner?.id, filter.repository,
        cursor?.createdAt.instant, cursor?.id, Int32(clamping: limit + 1),
      ])
    let page = rows.prefix(limit)
    let reviews = decodeEach(page, "review") { try Review($0) }
    if rows.count > limit, let last = page.last {
      return BrowsedPage(reviews: reviews, next: try ReviewCursor(last), isCutShort: false)
    }
    if isLive { return BrowsedPage(reviews: reviews, next: nil, isCutShort: false) }
    let end = try await pool.query(Self.browseEnd, [cursor?.createdAt.instant, cursor?.id]).first.map {
      try ReviewCursor($0)
    }
    return BrowsedPage(reviews: reviews, next: end, isCutShort: end != nil)
  }
}
