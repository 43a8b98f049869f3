internal import FoundationEssentials
internal import PostgresClient
internal import Primitives
internal import Reviews

/// A text that someone looks for among the reviews: the number of a pull request, the start of an id, an error code, or words of a title or a
/// repository's name.
package struct ReviewSearch: Sendable, Hashable, LosslessStringConvertible {
  /// No title is longer.
  package static let byteCountMax = 512

  package let description: String
  /// `42`, `#42`, and GitLab's `!42`.
  private(set) var number: Int32?
  let ids: IDPrefix?

  package init?(_ text: String) {
    let text = text.drop { $0 == " " }
    guard !text.isEmpty, text.utf8.count <= Self.byteCountMax, !text.utf8.contains(0) else { return nil }
    description = String(text)
    number = Int32(text.first == "#" || text.first == "!" ? text.dropFirst() : text).flatMap { $0 > 0 ? $0 : nil }
    ids = IDPrefix(String(text))
  }

  var withoutNumber: Self {
    var search = self
    search.number = nil
    return search
  }

  /// Whether the database finds it by an index, however long the history is.
  package var isKey: Bool { number != nil || ids != nil }
}

extension ReviewStore {
  static let searchStatements: [PostgresStatement] = [search, commonNumber]

  static let search = PostgresStatement(
    "search",
    """
    /* baton:search */
    WITH found AS MATERIALIZED (
      SELECT r.id FROM code_reviews r WHERE r.pr_number = $10
       UNION
      SELECT r.id FROM code_reviews r WHERE r.id BETWEEN $11 AND $12
    )
    SELECT \(Review.columns)
      FROM code_reviews r
     WHERE r.id = ANY (ARRAY(SELECT id FROM found))
       AND ($1::text IS NULL OR (r.status || '') = $1) AND \(Fragment.matchesFilterOfFew)
     ORDER BY r.created_at DESC, r.id DESC
     LIMIT $13
    """)

  /// The most reviews of one number that are looked at together, whatever their age.
  package static let numberSpan = 2_000

  static let commonNumber = PostgresStatement(
    "common_number",
    """
    /* baton:common_number */
    SELECT true FROM code_reviews r WHERE r.pr_number = $1 OFFSET \(numberSpan) LIMIT 1
    """)

  /// The same search without its number, if more than ``numberSpan`` reviews have it: those are looked for as a text is.
  func withoutCommonNumber(_ search: ReviewSearch) async throws -> ReviewSearch {
    guard let number = search.number, try await !pool.query(Self.commonNumber, [number]).isEmpty else { return search }
    return search.withoutNumber
  }

  /// The reviews whose number or id is looked for, of any age.
  func search(
    _ search: ReviewSearch, _ filter: ReviewFilter, limit: Int, after cursor: ReviewCursor? = nil
  ) async throws -> BrowsedPage {
    let rows = try await pool.query(
      Self.search,
      filter.parameters(after: cursor) + [
        search.number, search.ids?.first, search.ids?.last, Int32(clamping: limit + 1),
      ])
    let page = rows.prefix(limit)
    return BrowsedPage(
      reviews: decodeEach(page, "review") { try Review($0) },
      next: rows.count > limit ? try page.last.map { try ReviewCursor($0) } : nil, isCutShort: false)
  }
}
