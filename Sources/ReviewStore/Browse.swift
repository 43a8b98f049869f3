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

  /// Words of a title or a repository's name, or an error code: $10.
  private static let hasText = """
    ($10::text IS NULL OR r.error_code = $10 OR strpos(lower(r.pr_title), lower($10)) > 0
            OR strpos(lower(r.repo_full_name), lower($10)) > 0)
    """

  /// Of the statuses that have not ended: by the partial indexes.
  static let browseLive = PostgresStatement(
    "browse_live",
    """
    /* baton:browse_live */
    SELECT \(Review.columns)
      FROM (SELECT * FROM code_reviews r WHERE r.status = 'pending' AND $1 = 'pending' AND \(Fragment.matchesFilterOfFew)
            UNION ALL
            SELECT * FROM code_reviews r WHERE r.status IN ('queued', 'running') AND r.status = $1 AND \(Fragment.matchesFilterOfFew)) r
     WHERE \(hasText)
     ORDER BY r.created_at DESC, r.id DESC
     LIMIT $11
    """)

  static let browse = PostgresStatement(
    "browse",
    """
    /* baton:browse */
    SELECT \(Review.columns)
      FROM (SELECT *
              FROM code_reviews r
             WHERE ($8::timestamptz IS NULL OR (r.created_at, r.id) < ($8, $9::uuid))
             ORDER BY r.created_at DESC, r.id DESC
             LIMIT \(browseSpan)) r
     WHERE ($1::text IS NULL OR (r.status || '') = $1) AND \(Fragment.matchesFilter) AND \(hasText)
     ORDER BY r.created_at DESC, r.id DESC
     LIMIT $11
    """)

  static let browseEnd = PostgresStatement(
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
  /// - Parameters:
  ///   - filter: what they have in common.
  ///   - text: what they have to be found by. A number or an id is found at any age; if no review has it, it is looked for as a text.
  ///   - limit: the most reviews of the page.
  ///   - cursor: where the page before ended; nil starts with the newest.
  package func browse(
    _ filter: ReviewFilter, search text: ReviewSearch? = nil, limit: Int, after cursor: ReviewCursor? = nil
  ) async throws -> BrowsedPage {
    if let text, text.isKey {
      let page = try await search(text, filter, limit: limit, after: cursor)
      var isFound = !page.reviews.isEmpty
      if !isFound, cursor != nil { isFound = try await !search(text, filter, limit: 1).reviews.isEmpty }
      if isFound { return page }
    }
    return try await browseWindow(filter, text: text?.description, limit: limit, after: cursor)
  }

  /// A page for programs: of a search at a bounded cost, of a filter alone with as many as match, however far back they are.
  package func page(
    _ filter: ReviewFilter, search text: ReviewSearch?, sort: ReviewSort = .newest, limit: Int,
    after cursor: ReviewCursor?
  ) async throws -> (reviews: [Review], next: ReviewCursor?) {
    guard sort == .newest else {
      let page = try await sorted(filter, by: sort, limit: limit, after: cursor)
      return (page.reviews, page.next)
    }
    guard let text else { return try await list(filter, limit: limit, after: cursor) }
    let page = try await browse(filter, search: text, limit: limit, after: cursor)
    return (page.reviews, page.next)
  }

  private func browseWindow(
    _ filter: ReviewFilter, text: String?, limit: Int, after cursor: ReviewCursor?
  ) async throws -> BrowsedPage {
    let isLive = filter.status.map { !$0.isTerminal } ?? false
    let rows = try await pool.query(
      isLive ? Self.browseLive : Self.browse,
      filter.parameters(after: cursor) + [text, Int32(clamping: limit + 1)])
    let page = rows.prefix(limit)
    let reviews = decodeEach(page, "review") { try Review($0) }
    if rows.count > limit, let last = page.last {
      return BrowsedPage(reviews: reviews, next: try ReviewCursor(last), isCutShort: false)
    }
    if isLive { return BrowsedPage(reviews: reviews, next: nil, isCutShort: false) }
    let end = try await pool.query(Self.browseEnd, [cursor?.createdAt.instant, cursor?.id]).first.map {
      try ReviewCursor($0)
    }
    if let since = filter.since, let end, end.createdAt < since {
      return BrowsedPage(reviews: reviews, next: nil, isCutShort: false)
    }
    return BrowsedPage(reviews: reviews, next: end, isCutShort: end != nil)
  }
}
