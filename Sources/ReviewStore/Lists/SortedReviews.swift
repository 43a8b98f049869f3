internal import FoundationEssentials
internal import PostgresClient
internal import Primitives
package import Reviews

/// The order of a list of reviews.
package enum ReviewSort: String, Sendable, Hashable, CaseIterable {
  /// The newest first.
  case newest = "-created"
  case oldest = "created"
  /// Ended reviews, the last that ended first.
  case lastEnded = "-ended"
  case firstEnded = "ended"
  /// Pending reviews, the first that is due first. Those that are held are not among them.
  case due
  /// Pending reviews, the highest priority first.
  case priority

  /// The statuses whose reviews have such an order.
  package var statuses: [ReviewStatus] {
    switch self {
    case .newest, .oldest: ReviewStatus.allCases
    case .lastEnded, .firstEnded: ReviewStatus.allCases.filter(\.isTerminal)
    case .due, .priority: [.pending]
    }
  }

  /// The reviews that are read, each order by an index: `r` is `code_reviews`.
  fileprivate var condition: String {
    switch self {
    case .newest, .oldest: "true"
    case .lastEnded, .firstEnded: "r.status IN ('completed', 'failed', 'cancelled')"
    case .due: "r.status = 'pending' AND isfinite(r.available_at)"
    case .priority: "r.status = 'pending'"
    }
  }

  fileprivate var key: String {
    switch self {
    case .newest, .oldest: "r.created_at"
    case .lastEnded, .firstEnded: "r.completed_at"
    case .due: "r.available_at"
    // Rising, and above zero.
    case .priority: "(40000 - r.priority)::bigint"
    }
  }

  fileprivate var isFalling: Bool { self == .newest || self == .lastEnded }
  fileprivate var isTime: Bool { self != .priority }

  /// Where a page begins, as its key is compared.
  fileprivate func position(_ cursor: ReviewCursor?) -> any PostgresEncodable {
    if isTime { cursor?.createdAt.instant } else { cursor?.createdAt.microseconds }
  }

  fileprivate func cursor(_ row: PostgresRow) throws -> ReviewCursor {
    let position =
      isTime
      ? try row.timestamp("position")
      : Timestamp(microseconds: try row.decode("position", as: Int64.self))
    return ReviewCursor(createdAt: position, id: try row.decode("id", as: UUID.self))
  }
}

extension ReviewStore {
  static let sortStatements: [PostgresStatement] = [
    sortOldest, sortLastEnded, sortFirstEnded, sortDue, sortPriority, sortOldestEnd, sortLastEndedEnd,
    sortFirstEndedEnd, sortDueEnd, sortPriorityEnd,
  ]

  /// The reviews behind a cursor in an order, at most ``browseSpan``.
  /// - Parameters: numbers of those of the position and its id.
  private static func span(_ sort: ReviewSort, _ columns: String, position: Int, id: Int) -> String {
    let direction = sort.isFalling ? "DESC" : "ASC"
    return """
      SELECT \(columns)
        FROM code_reviews r
       WHERE \(sort.condition)
         AND \(Fragment.isBehind("(\(sort.key), r.id)", isFalling: sort.isFalling, isTime: sort.isTime, position: position, id: id))
       ORDER BY \(sort.key) \(direction), r.id \(direction)
      """
  }

  private static func page(_ sort: ReviewSort, _ name: String) -> PostgresStatement {
    let direction = sort.isFalling ? "DESC" : "ASC"
    return PostgresStatement(
      name,
      """
      /* baton:\(name) */
      SELECT \(Review.columns), \(sort.key) AS position
        FROM (\(span(sort, "*", position: 11, id: 12)) LIMIT \(browseSpan)) r
       WHERE ($1::text IS NULL OR (r.status || '') = $1) AND \(Fragment.matchesFilterOfFew)
       ORDER BY \(sort.key) \(direction), r.id \(direction)
       LIMIT $10
      """)
  }

  private static func end(_ sort: ReviewSort, _ name: String) -> PostgresStatement {
    PostgresStatement(
      name,
      """
      /* baton:\(name) */
      \(span(sort, "r.id, \(sort.key) AS position", position: 1, id: 2)) OFFSET \(browseSpan - 1) LIMIT 1
      """)
  }

  static let sortOldest = page(.oldest, "sort_oldest")
  static let sortLastEnded = page(.lastEnded, "sort_last_ended")
  static let sortFirstEnded = page(.firstEnded, "sort_first_ended")
  static let sortDue = page(.due, "sort_due")
  static let sortPriority = page(.priority, "sort_priority")
  static let sortOldestEnd = end(.oldest, "sort_oldest_end")
  static let sortLastEndedEnd = end(.lastEnded, "sort_last_ended_end")
  static let sortFirstEndedEnd = end(.firstEnded, "sort_first_ended_end")
  static let sortDueEnd = end(.due, "sort_due_end")
  static let sortPriorityEnd = end(.priority, "sort_priority_end")

  /// - Returns: nil for the order that ``browse(_:search:limit:after:)`` has.
  private static func statements(_ sort: ReviewSort) -> (
    page: PostgresStatement, end: PostgresStatement
  )? {
    switch sort {
    case .newest: nil
    case .oldest: (sortOldest, sortOldestEnd)
    case .lastEnded: (sortLastEnded, sortLastEndedEnd)
    case .firstEnded: (sortFirstEnded, sortFirstEndedEnd)
    case .due: (sortDue, sortDueEnd)
    case .priority: (sortPriority, sortPriorityEnd)
    }
  }

  /// A page of reviews in an order, by keyset, at a bounded cost over any history: see ``browseSpan``.
  package func sorted(
    _ filter: ReviewFilter, by sort: ReviewSort, limit: Int, after cursor: ReviewCursor? = nil
  ) async throws -> BrowsedPage {
    guard let (statement, end) = Self.statements(sort) else {
      return try await browse(filter, limit: limit, after: cursor)
    }
    let start: [any PostgresEncodable] = [sort.position(cursor), cursor?.id]
    let rows = try await pool.query(
      statement, filter.parameters(after: nil) + [Int32(clamping: limit + 1)] + start)
    let page = rows.prefix(limit)
    let reviews = decodeEach(page, "review") { try Review($0) }
    if rows.count > limit, let last = page.last {
      return BrowsedPage(reviews: reviews, next: try sort.cursor(last), isCutShort: false)
    }
    let next = try await pool.query(end, start).first.map { try sort.cursor($0) }
    return BrowsedPage(reviews: reviews, next: next, isCutShort: next != nil)
  }
}
