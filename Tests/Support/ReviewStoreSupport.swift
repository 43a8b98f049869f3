package import FoundationEssentials
internal import Logging
package import PostgresClient
package import ReviewStore
package import Reviews

/// A migrated database of its own, with a store on it.
package struct TestStore: Sendable {
  package let conninfo: String
  package let pool: PostgresPool
  package let store: ReviewStore
  package let holder = Holder(role: "consume", host: "test", processID: 1)

  /// A store on a database that the caller migrates.
  package init(conninfo: String, pool: PostgresPool) {
    self.conninfo = conninfo
    self.pool = pool
    store = ReviewStore(pool: pool, logger: .postgresTests)
  }

  /// Runs SQL that no statement of the store has, as a person in psql would.
  @discardableResult
  package func sql(_ text: String) async throws -> PostgresRows {
    try await pool.query(PostgresStatement(unprepared: text))
  }

  /// Inserts reviews of an owner as an application does: with the required columns alone.
  /// - Returns: their ids, in order.
  package func insert(_ count: Int, owner: String = "acme", priority: Int = 0, configured: Bool = true) async throws
    -> [UUID]
  {
    if configured { try await store.setConfiguration("{}", of: Owner(type: .org, id: owner), platform: .github) }
    let rows = try await sql(
      """
      INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                base_ref, head_ref, head_sha, priority)
      SELECT 'org', '\(owner)', 'github', 'acme/shop', g, 'https://github.com/acme/shop/pull/' || g, 'Title ' || g, 'ada',
             'main', 'feature', md5(random()::text), \(priority)
        FROM generate_series(1, \(count)) g
      RETURNING id
      """)
    return try rows.map { try $0.decode(0, as: UUID.self) }
  }

  /// The row as it is now.
  package func row(_ id: UUID) async throws -> Review {
    guard let review = try await store.review(id) else { throw MissingReview(id: id) }
    return review
  }

  /// Claims everything that can be claimed.
  @discardableResult
  package func claim(_ limit: Int = 500, ownerLimit: Int = 20, by holder: Holder.ID? = nil) async throws -> [Claim] {
    try await store.claim(limit: limit, ownerLimit: ownerLimit, by: holder ?? self.holder.id)
  }

  /// Registers a holder as a living one without a session: its lock counts as held until a look.
  package func signOn(_ holder: Holder) async throws {
    try await store.register(holder)
    _ = try await store.heartbeat(holder.id, Holder.Report())
  }

  /// Enters a holder that is always heard, so that the database counts as one that answers: only then is a holder judged.
  package func addWitness() async throws {
    try await sql(
      "INSERT INTO baton_holders (id, role, host, pid, heartbeat_at) VALUES ('witness', 'reap', 'test', 1, now() + interval '1 day')"
    )
  }

  /// Takes leases for this store's holder, with ordinary times.
  package func lease(_ tickets: [Ticket], by holder: Holder.ID? = nil, failureMax: Int = 8) async throws
    -> [LeaseVerdict]
  {
    try await store.lease(
      tickets, by: holder ?? self.holder.id, for: .seconds(86_400), heartbeatTimeout: .seconds(86_400),
      failureMax: failureMax)
  }

  /// Takes the lease of a ticket that can be had.
  package func take(_ ticket: Ticket, by holder: Holder.ID? = nil) async throws -> Lease {
    let holder = holder ?? self.holder.id
    guard case .leased(let review) = try await lease([ticket], by: holder)[0] else {
      throw MissingReview(id: ticket.reviewID)
    }
    return Lease(ticket, holder: holder, until: review.leasedUntil)
  }
}

/// A review that a test expected is not there.
package struct MissingReview: Error {
  let id: UUID
}

/// Runs the body with a migrated database of its own.
/// - Parameter server: another server's URL than the test run's.
package func withTestStore<Result>(
  on server: String? = nil, isolation: isolated (any Actor)? = #isolation, _ body: (TestStore) async throws -> Result
) async throws -> Result {
  try await withTestDatabase(on: server) { conninfo in
    var configuration = testConfiguration(conninfo)
    configuration.sessionSettings = ReviewStore.sessionSettings
    configuration.optionalSessionSettings = ReviewStore.optionalSessionSettings
    let pool = PostgresPool(configuration, logger: .postgresTests)
    do {
      _ = try await Migrator(pool: pool).migrate()
      let result = try await body(TestStore(conninfo: conninfo, pool: pool))
      await pool.close()
      return result
    } catch {
      await pool.close()
      throw error
    }
  }
}
