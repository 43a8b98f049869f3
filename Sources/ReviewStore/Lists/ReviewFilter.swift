internal import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// Which reviews a list shows, or an operation is for.
package struct ReviewFilter: Sendable, Hashable {
  package var status: ReviewStatus?
  package var owner: Owner?
  package var repository: String?
  package var errorCode: String?
  /// Created at this time or later.
  package var since: Timestamp?
  /// Created before this time.
  package var until: Timestamp?

  package init(
    status: ReviewStatus? = nil, owner: Owner? = nil, repository: String? = nil, errorCode: String? = nil,
    since: Timestamp? = nil, until: Timestamp? = nil
  ) {
    self.status = status
    self.owner = owner
    self.repository = repository
    self.errorCode = errorCode
    self.since = since
    self.until = until
  }

  /// Where a look for the newest begins that goes on behind a cursor: not after `until`. As one bound: with two, Postgres begins at the first one
  /// of the condition, and reads all that is newer than the other.
  func start(after cursor: ReviewCursor?) -> ReviewCursor? {
    guard let until, cursor.map({ $0.createdAt >= until }) ?? true else { return cursor }
    return ReviewCursor(createdAt: until, id: UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)))
  }

  /// The status as $1, then those of ``Fragment/matchesFilter``, of which the cursor is that of ``start(after:)``.
  func parameters(after cursor: ReviewCursor?) -> [any PostgresEncodable] {
    let start = start(after: cursor)
    return [
      status?.rawValue, owner?.type.rawValue, owner?.id, repository, errorCode, since?.instant, until?.instant,
      start?.createdAt.instant, start?.id,
    ]
  }
}

extension Fragment {
  /// A row behind a cursor, or any row if there is none. Written as one comparison, so that it is a condition of an index in a plan for any
  /// parameters too: otherwise such a plan reads everything before the cursor.
  /// - Parameters:
  ///   - row: the two columns of the order.
  ///   - isTime: whether the first one is a time, and otherwise a positive number.
  ///   - position: number of the parameter of the first column; `id` of the second.
  static func isBehind(
    _ row: String, isFalling: Bool = true, isTime: Bool = true, position: Int, id: Int
  ) -> String {
    let type = isTime ? "timestamptz" : "bigint"
    let end =
      isTime ? (isFalling ? "'infinity'" : "'-infinity'") : (isFalling ? "9223372036854775807" : "-1")
    let lastID = isFalling ? "ffffffff-ffff-ffff-ffff-ffffffffffff" : "00000000-0000-0000-0000-000000000000"
    return """
      \(row) \(isFalling ? "<" : ">") (COALESCE($\(position)::\(type), \(end)), COALESCE($\(id)::uuid, '\(lastID)'))
      """
  }

  /// A review that a filter lets through, apart from its status, behind a cursor: $2 to $9; `r` is `code_reviews`.
  static let matchesFilter = """
    \(matchesNames) AND r.created_at >= COALESCE($6::timestamptz, '-infinity') AND r.created_at < COALESCE($7::timestamptz, 'infinity')
    """

  /// The same of rows that are found by another index: written so that the planner cannot take the one of the creation, which grows with
  /// the history.
  static let matchesFilterOfFew = """
    \(matchesNames) AND (r.created_at >= COALESCE($6::timestamptz, '-infinity')) IS TRUE
           AND (r.created_at < COALESCE($7::timestamptz, 'infinity')) IS TRUE
    """

  private static let matchesNames = """
    ($2::text IS NULL OR (r.owner_type = $2 AND r.owner_id = $3))
           AND ($4::text IS NULL OR lower(r.repo_full_name) = lower($4))
           AND ($5::text IS NULL OR r.error_code = $5)
           AND ($8::timestamptz IS NULL OR (r.created_at, r.id) < ($8, $9::uuid))
    """
}
