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

/// How many reviews match, as far as they were counted.
package enum MatchCount: Sendable, Equatable {
  case exactly(Int)
  /// Counting ended there.
  case moreThan(Int)
  /// Among the newest ``ReviewStore/browseSpan``: older ones were not looked at.
  case amongNewest(Int)
}

extension ReviewStore {
  static let browseStatements: [PostgresStatement] = [browseLive, browse, browseEnd, countLive, countWindow]

  /// The most reviews that one look for a page reads: a filter that matches little would read the whole history.
  package static let browseSpan = 5_000

  /// Words of a title or a repository's name, an error code, or the number of a pull request: $10.
  private static let hasText = """
    ($10::text IS NULL OR r.error_code = $10 OR r.pr_number::text = ltrim($10, '#!') OR strpos(lower(r.pr_title), lower($10)) > 0
            OR strpos(lower(r.repo_full_name), lower($10)) > 0)
    """

  /// Those that have the number $12, or an id from $13 to $14, were shown before.
  private static let isNotShown = """
    ($12::int IS NULL OR r.pr_number <> $12) AND ($13::uuid IS NULL OR r.id NOT BETWEEN $13 AND $14)
    """

  private static let matchingLive = """
    FROM (SELECT * FROM code_reviews r WHERE r.status = 'pending' AND $1 = 'pending' AND \(Fragment.matchesFilterOfFew)
            UNION ALL
            SELECT * FROM code_reviews r WHERE r.status IN ('queued', 'running') AND r.status = $1 AND \(Fragment.matchesFilterOfFew)) r
     WHERE \(hasText)
    """

  /// The reviews behind a cursor that ``ReviewFilter/start(after:)`` gives and since a time, newest first. Written so that both bounds are
  /// conditions of the index in any plan: a page far back reads no more than the first one.
  /// - Parameters: numbers of the parameters.
  private static func span(_ columns: String, since: Int, position: Int, id: Int) -> String {
    """
    SELECT \(columns)
              FROM code_reviews r
             WHERE \(Fragment.isBehind("(r.created_at, r.id)", position: position, id: id))
               AND r.created_at >= COALESCE($\(since)::timestamptz, '-infinity')
             ORDER BY r.created_at DESC, r.id DESC
    """
  }

  private static let matchingWindow = """
    FROM (\(span("*", since: 6, position: 8, id: 9))
             LIMIT \(browseSpan)) r
     WHERE ($1::text IS NULL OR (r.status || '') = $1) AND \(Fragment.matchesFilterOfFew) AND \(hasText)
    """

  /// Of the statuses that have not ended: by the partial indexes.
  static let browseLive = PostgresStatement(
    "browse_live",
    """
    /* baton:browse_live */
    SELECT \(Review.columns)
      \(matchingLive) AND \(isNotShown)
     ORDER BY r.created_at DESC, r.id DESC
     LIMIT $11
    """)

  static let browse = PostgresStatement(
    "browse",
    """
    /* baton:browse */
    SELECT \(Review.columns)
      \(matchingWindow) AND \(isNotShown)
     ORDER BY r.created_at DESC, r.id DESC
     LIMIT $11
    """)

  static let browseEnd = PostgresStatement(
    "browse_end",
    """
    /* baton:browse_end */
    \(span("r.created_at, r.id", since: 3, position: 1, id: 2))
    OFFSET \(browseSpan - 1) LIMIT 1
    """)

  /// A page of reviews, newest first, at a bounded cost over any history: see ``browseSpan``.
  /// - Parameters:
  ///   - filter: what they have in common.
  ///   - text: what they have to be found by. Those that have it as their number, if at most ``numberSpan`` do, or as the start of their id,
  ///     come first, of any age; then those that have it in their words.
  ///   - limit: the most reviews of the page.
  ///   - cursor: where the page before ended; nil starts with the newest.
  package func browse(
    _ filter: ReviewFilter, search text: ReviewSearch? = nil, limit: Int, after cursor: ReviewCursor? = nil
  ) async throws -> BrowsedPage {
    guard let text, text.isKey else {
      return try await browseWindow(filter, text: text?.description, limit: limit, after: cursor)
    }
    let key = try await withoutCommonNumber(text)
    var page = BrowsedPage(reviews: [], next: nil, isCutShort: false)
    if cursor?.isAmongWords != true {
      page = try await search(key, filter, limit: limit, after: cursor)
      guard page.next == nil else { return page }
      page.next = .firstOfWords
    }
    guard page.reviews.count < limit else {
      let rest = try await browseWindow(filter, text: text.description, without: key, limit: 1, after: nil)
      if rest.reviews.isEmpty, rest.next == nil { page.next = nil }
      return page
    }
    let words = try await browseWindow(
      filter, text: text.description, without: key, limit: limit - page.reviews.count,
      after: cursor?.isAmongWords == true ? cursor : nil)
    page.reviews += words.reviews
    page.next = words.next
    page.next?.isAmongWords = true
    page.isCutShort = words.isCutShort
    return page
  }

  /// A page for programs, at a bounded cost over any history: it may have fewer reviews than `limit`, or none, and still a next one.
  package func page(
    _ filter: ReviewFilter, search text: ReviewSearch? = nil, sort: ReviewSort = .newest, limit: Int,
    after cursor: ReviewCursor? = nil
  ) async throws -> (reviews: [Review], next: ReviewCursor?) {
    let page =
      sort == .newest
      ? try await browse(filter, search: text, limit: limit, after: cursor)
      : try await sorted(filter, by: sort, limit: limit, after: cursor)
    return (page.reviews, page.next)
  }

  private func browseWindow(
    _ filter: ReviewFilter, text: String?, without key: ReviewSearch? = nil, limit: Int, after cursor: ReviewCursor?
  ) async throws -> BrowsedPage {
    let isLive = filter.status.map { !$0.isTerminal } ?? false
    let rows = try await pool.query(
      isLive ? Self.browseLive : Self.browse,
      filter.parameters(after: cursor) + [
        text, Int32(clamping: limit + 1), key?.number, key?.ids?.first, key?.ids?.last,
      ])
    let page = rows.prefix(limit)
    let reviews = decodeEach(page, "review") { try Review($0) }
    if rows.count > limit, let last = page.last {
      return BrowsedPage(reviews: reviews, next: try ReviewCursor(last), isCutShort: false)
    }
    if isLive { return BrowsedPage(reviews: reviews, next: nil, isCutShort: false) }
    let end = try await windowEnd(filter, after: cursor)
    return BrowsedPage(reviews: reviews, next: end, isCutShort: end != nil)
  }

  /// Where the look ends; nil if nothing behind it can match.
  private func windowEnd(_ filter: ReviewFilter, after cursor: ReviewCursor?) async throws -> ReviewCursor? {
    let start = filter.start(after: cursor)
    return try await pool.query(Self.browseEnd, [start?.createdAt.instant, start?.id, filter.since?.instant])
      .first.map { try ReviewCursor($0) }
  }

  // MARK: Counting

  /// The most reviews that are counted.
  package static let matchCountShown = 1_000

  static let countLive = PostgresStatement(
    "count_live",
    """
    /* baton:count_live */
    SELECT count(*) AS count FROM (SELECT 1 \(matchingLive) LIMIT \(matchCountShown + 1)) matching
    """)

  static let countWindow = PostgresStatement(
    "count_window",
    """
    /* baton:count_window */
    SELECT count(*) AS count FROM (SELECT 1 \(matchingWindow) LIMIT \(matchCountShown + 1)) matching
    """)

  /// How many reviews a filter lets through, at a bounded cost over any history.
  package func matchCount(_ filter: ReviewFilter, search text: ReviewSearch? = nil) async throws -> MatchCount {
    let isLive = filter.status.map { !$0.isTerminal } ?? false
    let rows = try await pool.query(
      isLive ? Self.countLive : Self.countWindow,
      filter.parameters(after: nil) + [text?.description])
    let count = Int(try rows[0].decode("count", as: Int64.self))
    if count > Self.matchCountShown { return .moreThan(Self.matchCountShown) }
    if isLive { return .exactly(count) }
    return try await windowEnd(filter, after: nil) == nil ? .exactly(count) : .amongNewest(count)
  }
}
