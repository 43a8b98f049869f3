package import FoundationEssentials
internal import PostgresClient
package import Primitives
package import Reviews

/// A webhook that was received, and its outcome: the answer to "why was my pull request not reviewed?".
package struct WebhookRecord: Sendable, Equatable {
  package var platform: Platform
  package var id: String
  /// The platform's name of the event, and its action.
  package var event: String
  package var action: String?
  package var repository: String?
  package var number: Int?
  package var sha: String?
  /// nil if no integration is known, or it is gone.
  package var owner: Owner?
  package var receivedAt: Timestamp
  package var processedAt: Timestamp?
  /// What was done, or why nothing was done; nil until it is processed for the first time.
  package var outcome: String?
  /// How often processing it has failed.
  package var tries: Int
  /// The review of the commit that it names, as it is now.
  package var review: (id: UUID, status: ReviewStatus)?

  package static func == (a: WebhookRecord, b: WebhookRecord) -> Bool {
    a.platform == b.platform && a.id == b.id && a.outcome == b.outcome && a.processedAt == b.processedAt
  }

  /// The outcome for people, also of a delivery that is not processed yet.
  package var result: String {
    if processedAt != nil { return outcome ?? "processed" }
    return outcome ?? "waiting to be processed"
  }
}

/// Which deliveries a list shows.
package struct WebhookFilter: Sendable, Hashable {
  /// Without regard to letter case.
  package var repository: String?
  package var number: Int?
  package var owner: Owner?

  package init(repository: String? = nil, number: Int? = nil, owner: Owner? = nil) {
    self.repository = repository
    self.number = number
    self.owner = owner
  }
}

/// Where a page of deliveries ends: opaque to those who pass it on.
package struct WebhookCursor: Sendable, Hashable, LosslessStringConvertible {
  var receivedAt: Timestamp
  var id: String

  package init?(_ text: String) {
    guard let mark = text.firstIndex(of: "_"), let microseconds = Int64(text[..<mark]),
      (0...253_402_300_800_000_000).contains(microseconds)
    else { return nil }
    receivedAt = Timestamp(microseconds: microseconds)
    id = String(text[text.index(after: mark)...])
  }

  init(_ webhook: WebhookRecord) {
    receivedAt = webhook.receivedAt
    id = webhook.id
  }

  init(_ row: PostgresRow) throws {
    receivedAt = try row.timestamp("received_at")
    id = try row.decode("delivery_id", as: String.self)
  }

  package var description: String { "\(receivedAt.microseconds)_\(id)" }
}

extension ReviewStore {
  static let webhookListStatements: [PostgresStatement] = [
    listDeliveries, repositoryDeliveries, deliveriesEnd, countAllDeliveries, countRepositoryDeliveries, storeUnknown,
  ]

  /// - Parameters:
  ///   - source: the deliveries that are looked at, as `d`.
  ///   - condition: which of them; $1 to $5 belong to the page, further ones to the condition.
  private static func deliveries(
    _ name: String, from source: String = "webhook_deliveries d", where condition: String = "true"
  ) -> PostgresStatement {
    PostgresStatement(
      name,
      """
      /* baton:\(name) */
      SELECT d.platform, d.delivery_id, d.event, d.about_action, d.about_repository, d.about_number, d.about_sha,
             d.received_at, d.processed_at, d.outcome, d.tries, i.owner_type, i.owner_id,
             r.id AS review_id, r.status AS review_status
        FROM \(source)
        LEFT JOIN platform_integrations i ON i.id = d.integration_id
        LEFT JOIN LATERAL (
          SELECT c.id, c.status
            FROM code_reviews c
           WHERE c.pr_number = d.about_number AND lower(c.repo_full_name) = lower(d.about_repository) AND c.head_sha = d.about_sha
             AND c.owner_id = i.owner_id AND c.owner_type = i.owner_type AND c.platform = d.platform
           LIMIT 1) r ON true
       WHERE ($1::text IS NULL OR (i.owner_type = $1 AND i.owner_id = $2))
         AND \(isBehindDelivery(position: 3, id: 4))
         AND \(condition)
       ORDER BY d.received_at DESC, d.delivery_id DESC
       LIMIT $5
      """)
  }

  private static func isBehindDelivery(position: Int, id: Int) -> String {
    "(d.received_at, d.delivery_id) < (COALESCE($\(position)::timestamptz, 'infinity'), COALESCE($\(id)::text, ''))"
  }

  private static func deliverySpan(_ columns: String, position: Int, id: Int) -> String {
    """
    SELECT \(columns)
                FROM webhook_deliveries d
               WHERE \(isBehindDelivery(position: position, id: id))
               ORDER BY d.received_at DESC, d.delivery_id DESC
    """
  }

  /// Without the payload: who may see the list need not be allowed to see it.
  private static let listedColumns = """
    d.platform, d.delivery_id, d.event, d.about_action, d.about_repository, d.about_number, d.about_sha, d.received_at,
                     d.processed_at, d.outcome, d.tries, d.integration_id
    """

  static let listDeliveries = deliveries(
    "list_deliveries", from: "(\(deliverySpan(listedColumns, position: 3, id: 4)) LIMIT \(browseSpan)) d")
  static let repositoryDeliveries = deliveries(
    "repository_deliveries",
    where: "lower(d.about_repository) = lower($6) AND ($7::int IS NULL OR d.about_number = $7)")

  static let deliveriesEnd = PostgresStatement(
    "deliveries_end",
    """
    /* baton:deliveries_end */
    \(deliverySpan("d.received_at, d.delivery_id", position: 1, id: 2))
    OFFSET \(browseSpan - 1) LIMIT 1
    """)

  /// A page of the webhooks that were received, newest first, by keyset, at a bounded cost: see ``browseSpan``. They are kept for 14 days.
  /// - Returns: the deliveries, and where the next page begins; nil at the end.
  package func webhooks(
    _ filter: WebhookFilter, limit: Int, after cursor: WebhookCursor? = nil
  ) async throws -> (webhooks: [WebhookRecord], next: WebhookCursor?) {
    let rows = try await query(
      filter, page: [cursor?.receivedAt.instant, cursor?.id, Int32(clamping: limit + 1)], all: Self.listDeliveries,
      ofRepository: Self.repositoryDeliveries)
    let page = decodeEach(rows.prefix(limit), "webhook delivery") { try WebhookRecord($0) }
    if rows.count > limit { return (page, page.last.map { WebhookCursor($0) }) }
    guard filter.owner != nil, filter.repository == nil else { return (page, nil) }
    return (page, try await deliveriesEnd(after: cursor))
  }

  /// The last delivery that is looked at from a cursor on; nil if all are.
  private func deliveriesEnd(after cursor: WebhookCursor?) async throws -> WebhookCursor? {
    try await pool.query(Self.deliveriesEnd, [cursor?.receivedAt.instant, cursor?.id]).first.map {
      try WebhookCursor($0)
    }
  }

  /// Runs the statement that a filter needs: that of one repository goes by an index of its own.
  /// - Parameter page: what both statements take between the owner and the repository.
  private func query(
    _ filter: WebhookFilter, page: [any PostgresEncodable] = [], all: PostgresStatement,
    ofRepository: PostgresStatement
  ) async throws -> PostgresRows {
    let parameters: [any PostgresEncodable] = [filter.owner?.type.rawValue, filter.owner?.id] + page
    guard let repository = filter.repository else { return try await pool.query(all, parameters) }
    return try await pool.query(
      ofRepository, parameters + [repository, filter.number.map { Int32(clamping: $0) }])
  }
}

extension ReviewStore {
  /// - Parameter deliveries: those that are looked at; $3 and further parameters belong to it.
  private static func countDeliveries(_ name: String, of deliveries: String) -> PostgresStatement {
    PostgresStatement(
      name,
      """
      /* baton:\(name) */
      SELECT count(*) AS count
        FROM (SELECT 1
                FROM (\(deliveries)) d
                LEFT JOIN platform_integrations i ON i.id = d.integration_id
               WHERE $1::text IS NULL OR (i.owner_type = $1 AND i.owner_id = $2)
               LIMIT \(matchCountShown + 1)) matching
      """)
  }

  private static let newestDeliveries = "SELECT d.integration_id FROM webhook_deliveries d ORDER BY d.received_at DESC"

  static let countAllDeliveries = countDeliveries(
    "count_deliveries", of: "\(newestDeliveries) LIMIT \(browseSpan)")
  static let countRepositoryDeliveries = countDeliveries(
    "count_repository_deliveries",
    of: """
      SELECT d.integration_id
                        FROM webhook_deliveries d
                       WHERE lower(d.about_repository) = lower($3) AND ($4::int IS NULL OR d.about_number = $4)
      """)

  /// How many deliveries a filter lets through, at a bounded cost over any number of them.
  package func deliveryCount(_ filter: WebhookFilter) async throws -> MatchCount {
    let rows = try await query(filter, all: Self.countAllDeliveries, ofRepository: Self.countRepositoryDeliveries)
    let count = Int(try rows[0].decode("count", as: Int64.self))
    if count > Self.matchCountShown { return .moreThan(Self.matchCountShown) }
    // Those of a repository are all looked at, by its index.
    if filter.owner == nil || filter.repository != nil { return .exactly(count) }
    return try await deliveriesEnd(after: nil) == nil ? .exactly(count) : .amongNewest(count)
  }
}

extension WebhookRecord {
  init(_ row: PostgresRow) throws {
    platform = try row.choice("platform", as: Platform.self)
    id = try row.decode("delivery_id", as: String.self)
    event = try row.decode("event", as: String.self)
    action = try row.optional("about_action", as: String.self)
    repository = try row.optional("about_repository", as: String.self)
    number = try row.optional("about_number", as: Int32.self).map { Int($0) }
    sha = try row.optional("about_sha", as: String.self)
    owner = try row.optional("owner_id", as: String.self).map { id in
      Owner(type: try row.choice("owner_type", as: Owner.Kind.self), id: id)
    }
    receivedAt = try row.timestamp("received_at")
    processedAt = try row.optionalTimestamp("processed_at")
    outcome = try row.optional("outcome", as: String.self)
    tries = Int(try row.decode("tries", as: Int32.self))
    review = try row.optional("review_id", as: UUID.self).map { id in
      (id, try row.choice("review_status", as: ReviewStatus.self))
    }
  }
}

extension ReviewStore {
  static let storeUnknown = PostgresStatement(
    "store_unknown",
    """
    /* baton:store_unknown */
    INSERT INTO webhook_deliveries AS d (platform, delivery_id, event, payload, processed_at, outcome)
    VALUES ('github', 'unknown/' || $1, $2, $3::text::jsonb, now(), $4)
    ON CONFLICT (platform, delivery_id) DO UPDATE SET received_at = now(), processed_at = now(), outcome = EXCLUDED.outcome
    """)

  /// Records a delivery whose installation no integration has. It is not processed: delivered again, it is another one.
  package func storeUnknown(event: String, digest: String, payload: String, outcome: String) async throws {
    _ = try await pool.query(Self.storeUnknown, [digest, event, payload, outcome])
  }
}
