package import FoundationEssentials
internal import Logging
internal import PostgresClient
package import Primitives
package import Reviews

/// A review that this process has claimed, and owes a publish.
package struct Claim: Sendable, Hashable {
  package var reviewID: UUID
  package var attempt: Int
  /// Recognises the claim: a later claim of the same review has another time.
  package var claimedAt: Timestamp
  package var trace: TraceContext

  package var ticket: Ticket { Ticket(reviewID: reviewID, attempt: attempt, claimedAt: claimedAt) }

  package init(reviewID: UUID, attempt: Int, claimedAt: Timestamp, trace: TraceContext) {
    self.reviewID = reviewID
    self.attempt = attempt
    self.claimedAt = claimedAt
    self.trace = trace
  }

  init(_ row: PostgresRow) throws {
    reviewID = try row.decode("id", as: UUID.self)
    attempt = Int(try row.decode("attempt", as: Int32.self))
    claimedAt = try row.timestamp("claimed_at")
    trace = try row.trace(of: reviewID)
  }
}

extension ReviewStore {
  static let claimStatements: [PostgresStatement] = [claimDue, claimable, published, unclaim]

  /// A pending row whose time has come by the clock, not by `now()`, which is when the transaction began. A review that was inserted after that
  /// is visible but not due by `now()`: its owner's visit would be deleted, and no producer would come back for it.
  private static let isDueByClock = "r.status = 'pending' AND r.available_at <= (SELECT clock_timestamp())"

  /// Which rows a claim takes.
  ///
  /// `$1`: the limit of owners without one; `$2`: the most rows; `$3`: rows to leave out; `$4`: the only row to take, or NULL.
  private static let chosen = """
    WITH locked_owners AS MATERIALIZED (
      SELECT o.owner_type, o.owner_id, count(*) OVER () AS owners,
             CASE WHEN o.paused THEN 0 ELSE COALESCE(o.max_concurrent, $1) END AS slots,
             CASE WHEN o.paused THEN 0
                  ELSE COALESCE(o.max_concurrent, GREATEST($1, (SELECT value FROM baton_owner_limit WHERE is_only)))
             END AS full_at,
             (SELECT count(*)
                FROM code_reviews a
               WHERE a.owner_type = o.owner_type AND a.owner_id = o.owner_id
                 AND \(Fragment.isActive("a"))) AS active
        FROM json_array_elements(current_setting('baton.owners')::json) l
        JOIN review_owners o ON o.owner_type = l ->> 0 AND o.owner_id = l ->> 1
    ),
    asked AS MATERIALIZED (
      SELECT owner_type, owner_id, full_at, active, LEAST(GREATEST(slots - active, 0), 2 * $2 / owners + 1, $2) AS size
        FROM locked_owners
    ),
    due AS MATERIALIZED (
      -- An owner without a due row has one line with no id.
      SELECT o.owner_type, o.owner_id, o.full_at, o.active, o.size, d.id, d.priority, d.place,
             o.active + row_number() OVER (
               PARTITION BY o.owner_type, o.owner_id ORDER BY d.priority DESC, d.place, d.id) AS turn
        FROM asked o
        LEFT JOIN LATERAL (
          SELECT r.id, r.priority, \(Fragment.place) AS place
            FROM code_reviews r
           WHERE \(isDueByClock) AND r.owner_type = o.owner_type AND r.owner_id = o.owner_id
             AND r.id <> ALL ($3::uuid[]) AND ($4::uuid IS NULL OR r.id = $4)
           ORDER BY r.priority DESC, \(Fragment.place), r.id
           LIMIT o.size
             FOR UPDATE SKIP LOCKED) d ON true
    ),
    chosen AS MATERIALIZED (
      SELECT owner_type, owner_id, full_at, active, size, id,
             count(id) OVER (ORDER BY turn, priority DESC, place, id ROWS UNBOUNDED PRECEDING) <= $2 AS is_taken
        FROM due
    )
    """

  /// Claims due rows of the owners that ``lockOwners`` has locked, owners in turn, up to their limits (I3, I7).
  ///
  /// A visit is a row of `baton_visits`: it says that an owner may have something to claim, now or from a time on. Triggers add it when a
  /// review becomes pending, when a slot becomes free, and when the owner's limit is raised or its pause ends.
  ///
  /// A statement of its own, because in one statement with the locks its snapshot would be older than the lock that it
  /// has just got, and it would count too few active rows. An owner's n-th active review competes with the other
  /// owners' n-th ones. No owner gives more than twice its share of a pass, which bounds what a pass reads and locks. A row that
  /// another transaction has locked does not use up a slot of its owner: the next one is taken instead.
  ///
  /// An owner is exhausted if nothing more of it can be claimed: it is full, or paused, or has no other due row. Its visits are then
  /// deleted, as far as this statement's snapshot shows them. A due row that another transaction has locked counts as one more: its owner keeps
  /// its visits.
  ///
  /// `slots` and `full_at` differ only for an owner without a limit of its own while processes run with different values of
  /// BATON_OWNER_LIMIT, during a rollout. `slots` is this process's value: so many it may claim up to. `full_at` is the larger of this value and
  /// the noted one: an owner that is full for this process alone keeps its visits, for a process that may claim more.
  static let claimDue = PostgresStatement(
    "claim_due",
    """
    /* baton:claim_due */
    \(chosen),
    exhausted AS (
      SELECT o.owner_type, o.owner_id
        FROM (SELECT owner_type, owner_id, max(full_at) AS full_at, max(active) AS active, max(size) AS size,
                     count(id) AS due, count(id) FILTER (WHERE is_taken) AS taken
                FROM chosen
               GROUP BY owner_type, owner_id) o
       WHERE o.active + o.taken >= o.full_at
          OR o.taken = o.due AND o.due < o.size AND (
               SELECT true
                 FROM code_reviews r
                WHERE \(isDueByClock) AND r.owner_type = o.owner_type AND r.owner_id = o.owner_id
               OFFSET o.due
                LIMIT 1) IS NULL
    ),
    visited AS (
      DELETE FROM baton_visits WHERE ctid = ANY (ARRAY(\(visits(of: "exhausted"))))
    )
    UPDATE code_reviews r
       SET status = 'queued', status_reason = 'claimed', claimed_at = now(), claimed_by = $5, updated_at = now(),
           traceparent = \(Fragment.traceparent)
      FROM chosen c
     WHERE r.id = c.id AND c.is_taken AND \(Fragment.hasStatus("'pending'"))
    RETURNING r.id, r.attempt, r.claimed_at, r.traceparent
    """)

  /// The rows that ``claimDue`` would take.
  static let claimable = PostgresStatement(
    "claimable", "/* baton:claimable */ \(chosen) SELECT id FROM chosen WHERE is_taken")

  /// Claims up to `limit` due reviews: from pending to queued, never more of an owner than its limit allows.
  ///
  /// Looks at a page of the owners that have a visit, and goes on with the next page as long as nothing was claimed, so that many owners with
  /// nothing to claim do not hold up one behind them.
  ///
  /// The commit does not wait for the disk. If Postgres crashes before it is there, the review is pending again, and nothing outside has
  /// happened but a ticket: the worker is called only after the lease, whose commit waits, and with it every commit before. The
  /// ticket of the lost claim is then rejected, because its row is pending. If the row has been claimed again, the ticket serves that claim, which
  /// is of the same attempt.
  /// - Parameters:
  ///   - limit: the most rows that this call claims.
  ///   - ownerLimit: the limit of owners that have none of their own.
  ///   - holder: this process, which owes the publishes.
  ///   - looksAtDelayed: whether visits of delayed reviews that have come due become visits of now first: a statement that mostly finds none.
  /// - Throws: `PostgresError`. If the connection was lost, the rows may be claimed: `ownClaims` finds them, and the reaper those that
  ///   no process has found.
  package func claim(
    limit: Int, ownerLimit: Int, by holder: Holder.ID, looksAtDelayed: Bool
  ) async throws -> [Claim] {
    do {
      return try await claimPages(limit, ownerLimit, holder, looksAtDelayed: looksAtDelayed)
    } catch let error as PostgresError where error.mayBeAboutOneRow {
      return try await claimEach(limit, ownerLimit, holder)
    }
  }

  private func claimPages(
    _ limit: Int, _ ownerLimit: Int, _ holder: Holder.ID, looksAtDelayed: Bool
  ) async throws -> [Claim] {
    let look: [(PostgresStatement, [any PostgresEncodable])] =
      looksAtDelayed ? [(Self.visitsComeDue, [Self.visitPage])] : []
    // How often the last page may be reached: once if this call starts with the first page, twice if with a later one, so that it also sees
    // the pages before its start.
    var endsLeft = visitedUpTo.owner == nil ? 1 : 2
    while true {
      let start = visitedUpTo.owner ?? .first
      // One round trip, one implicit transaction: the locks last until the claim is committed.
      let claim: [(PostgresStatement, [any PostgresEncodable])] = [
        (Self.lockOwners, [start.type, start.id, Self.visitPage]),
        (Self.claimDue, [Int32(ownerLimit), Int32(limit), unclaimable.rows, nil as UUID?, holder.text]),
      ]
      let results = try await pool.pipeline(look + claim)
      let claims = decodeEach(results[look.count + 1], "claim") { try Claim($0) }
      visitedUpTo.owner = try Self.pageEnd(results[look.count])
      let isMoreDue = try looksAtDelayed && results[0][0].decode(0, as: Int64.self) == Self.visitPage
      if visitedUpTo.owner == nil && !isMoreDue { endsLeft -= 1 }
      if !claims.isEmpty || endsLeft == 0 { return claims }
    }
  }

  /// Claims row by row what a claim would take as a whole.
  private func claimEach(_ limit: Int, _ ownerLimit: Int, _ holder: Holder.ID) async throws -> [Claim] {
    // The claim that failed has taken this back with it.
    _ = try await pool.query(Self.visitsComeDue, [Self.visitPage])
    let start = visitedUpTo.owner ?? .first
    let owners: (PostgresStatement, [any PostgresEncodable]) = (
      Self.lockOwners, [start.type, start.id, Self.visitPage]
    )
    let rows = try await pool.pipeline([
      owners, (Self.claimable, [Int32(ownerLimit), Int32(limit), unclaimable.rows, nil as UUID?]),
    ])[1]
    func claim(_ limit: Int, only id: UUID?) async throws -> [Claim] {
      let claimed = try await pool.pipeline([
        owners, (Self.claimDue, [Int32(ownerLimit), Int32(limit), [UUID](), id, holder.text]),
      ])[1]
      return decodeEach(claimed, "claim") { try Claim($0) }
    }
    return try await eachAlone(
      rows.map { try $0.decode("id", as: UUID.self) }, leftOut: unclaimable,
      "the review cannot be claimed for now; the others are",
      check: { _ = try await claim(0, only: nil) }, take: { try await claim(1, only: $0) })
  }

  static let published = PostgresStatement(
    "published",
    """
    /* baton:published */
    WITH commit AS MATERIALIZED (SELECT \(Fragment.asynchronousCommit))
    UPDATE code_reviews r
       SET published_at = now()
      FROM commit
     WHERE r.id IN (
       -- Skips rows that another statement has locked now: mostly one that takes a lease, and that records the publication itself.
       SELECT h.id
         FROM unnest($1::uuid[], $2::timestamptz[]) AS c (id, claimed_at)
         JOIN code_reviews h ON h.id = c.id AND h.claimed_at = c.claimed_at
        WHERE h.published_at IS NULL
        ORDER BY h.id
          FOR UPDATE OF h SKIP LOCKED)
       AND r.status <> 'pending'
    """)

  /// Records that the broker has confirmed the tickets of claims.
  ///
  /// The commit does not wait for the disk. If Postgres crashes before it is there, the review counts as not published, and is
  /// published once more: a second ticket, which the row decides as any other.
  ///
  /// A row that the database or a trigger refuses counts as not published too.
  package func recordPublished(_ claims: [Claim]) async throws {
    guard !claims.isEmpty else { return }
    try await inHalves(claims, "publications cannot be recorded; the others are") { claims in
      _ = try await pool.query(Self.published, [claims.map(\.reviewID), claims.map(\.claimedAt.instant)])
    }
  }

  /// A claim that no consumer has, and for which none can have called the worker: a review that may be running stays queued, or its
  /// callbacks would be ignored.
  private static func mayGoBack(_ row: String) -> String {
    """
    \(row).lease_owner IS NULL AND \(row).lease_expires_at IS NULL AND \(row).dispatched_at IS NULL
           AND \(row).unclear_starts = 0
    """
  }

  static let unclaim = PostgresStatement(
    "unclaim",
    """
    /* baton:unclaim */
    WITH mine AS MATERIALIZED (
      SELECT h.id
        FROM unnest($1::uuid[], $2::timestamptz[]) AS c (id, claimed_at)
        JOIN code_reviews h ON h.id = c.id AND h.claimed_at = c.claimed_at
       WHERE \(mayGoBack("h"))
       ORDER BY h.id
         FOR UPDATE OF h SKIP LOCKED
    )
    UPDATE code_reviews r
       SET status = 'pending', status_reason = $3
      FROM mine m
     WHERE r.id = m.id AND \(Fragment.hasStatus("'queued'")) AND \(mayGoBack("r"))
    """)

  /// Makes claims pending again whose tickets were not confirmed: still this claim, unleased and certainly never started. They are due at once,
  /// and keep their place among the pending reviews. A ticket that is in the queue after all is rejected there.
  package func unclaim(_ claims: [Claim], reason: String) async throws {
    guard !claims.isEmpty else { return }
    try await inHalves(claims, "claims cannot be given back; the reaper publishes them") { claims in
      _ = try await pool.query(Self.unclaim, [claims.map(\.reviewID), claims.map(\.claimedAt.instant), reason])
    }
  }
}
