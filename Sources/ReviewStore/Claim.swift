package import FoundationEssentials
internal import PostgresClient
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
  /// Locks the owners that have pending rows, and hands them to ``claimDue``. Owners that another producer has locked are
  /// left to it. The recursion steps through the distinct owners of the index, instead of reading every pending row.
  static let lockOwners = Statement(
    "lock_owners",
    """
    /* baton:lock_owners */
    WITH RECURSIVE waiting AS (
      (SELECT r.owner_type, r.owner_id
         FROM code_reviews r
        WHERE r.status = 'pending'
        ORDER BY r.owner_id, r.owner_type
        LIMIT 1)
      UNION ALL
      SELECT n.owner_type, n.owner_id
        FROM waiting w
       CROSS JOIN LATERAL (
         SELECT r.owner_type, r.owner_id
           FROM code_reviews r
          WHERE r.status = 'pending' AND (r.owner_id, r.owner_type) > (w.owner_id, w.owner_type)
          ORDER BY r.owner_id, r.owner_type
          LIMIT 1) n
    )
    SELECT set_config('baton.owners', COALESCE(json_agg(json_build_array(l.owner_type, l.owner_id)), '[]')::text, true)
      FROM (SELECT o.owner_type, o.owner_id
              FROM waiting w
              JOIN review_owners o ON o.owner_type = w.owner_type AND o.owner_id = w.owner_id
             WHERE NOT o.paused
               FOR UPDATE OF o SKIP LOCKED) l
    """)

  /// Claims due rows of the locked owners, owners in turn, up to their limits (I3, I7).
  ///
  /// A statement of its own, because in one statement with the locks its snapshot would be older than the lock that it
  /// has just got, and it would count too few active rows. An owner's n-th active review competes with the other
  /// owners' n-th ones. No owner gives more than twice its share of a pass, which bounds what a pass reads.
  static let claimDue = Statement(
    "claim_due",
    """
    /* baton:claim_due */
    WITH locked AS MATERIALIZED (
      SELECT o.owner_type, o.owner_id, COALESCE(o.max_concurrent, $1) AS slots, count(*) OVER () AS owners,
             (SELECT count(*)
                FROM code_reviews a
               WHERE a.owner_type = o.owner_type AND a.owner_id = o.owner_id
                 AND a.status IN ('queued', 'running')) AS active
        FROM json_array_elements(current_setting('baton.owners')::json) l
        JOIN review_owners o ON o.owner_type = l ->> 0 AND o.owner_id = l ->> 1
    ),
    due AS (
      SELECT d.id, d.priority, d.available_at,
             o.active + row_number() OVER (
               PARTITION BY o.owner_type, o.owner_id ORDER BY d.priority DESC, d.available_at, d.id) AS turn
        FROM locked o
       CROSS JOIN LATERAL (
         SELECT r.id, r.priority, r.available_at
           FROM code_reviews r
          WHERE \(Fragment.isDue) AND r.owner_type = o.owner_type AND r.owner_id = o.owner_id
          ORDER BY r.priority DESC, r.available_at, r.id
          LIMIT LEAST(GREATEST(o.slots - o.active, 0), 2 * $2 / o.owners + 1)) d
    ),
    chosen AS MATERIALIZED (
      SELECT id FROM due ORDER BY turn, priority DESC, available_at, id LIMIT $2
    ),
    free AS MATERIALIZED (
      -- A row that somebody is cancelling now is left for the next pass.
      SELECT r.id
        FROM chosen c
        JOIN code_reviews r ON r.id = c.id
       WHERE \(Fragment.hasStatus("'pending'"))
         FOR UPDATE OF r SKIP LOCKED
    )
    UPDATE code_reviews r
       SET status = 'queued', status_reason = 'claimed', claimed_at = now(), claimed_by = $3, updated_at = now(),
           traceparent = \(Fragment.traceparent)
      FROM free f
     WHERE r.id = f.id AND \(Fragment.hasStatus("'pending'"))
    RETURNING r.id, r.attempt, r.claimed_at, r.traceparent
    """)

  /// Claims up to `limit` due reviews: from pending to queued, never more of an owner than its limit allows.
  /// - Parameters:
  ///   - limit: rows of one pass.
  ///   - ownerLimit: for owners that have none of their own.
  ///   - holder: this process, which owes the publishes.
  /// - Throws: `PostgresError`. Where the connection was lost the rows may be claimed: the reaper publishes them.
  package func claim(limit: Int, ownerLimit: Int, by holder: Holder.ID) async throws -> [Claim] {
    // One round trip, one implicit transaction: the locks last until the claim is committed.
    let results = try await pool.pipeline([
      (Self.lockOwners, []), (Self.claimDue, [Int32(ownerLimit), Int32(limit), holder.text]),
    ])
    return try results[1].map { try Claim($0) }
  }

  static let nextDue = Statement(
    "next_due",
    """
    /* baton:next_due */
    SELECT extract(epoch FROM min(r.available_at) - now())::float8
      FROM code_reviews r
     WHERE \(Fragment.isPendingByTime) AND r.available_at > now()
    """)

  /// How long until the next pending review comes due; nil where none waits for its time.
  package func timeUntilNextDue() async throws -> Duration? {
    try await pool.query(Self.nextDue, [])[0].decode(0, as: Double?.self).map { .seconds($0) }
  }

  static let published = Statement(
    "published",
    """
    /* baton:published */
    UPDATE code_reviews r
       SET published_at = now(), updated_at = now()
     WHERE r.id IN (
       -- Skips rows that a lease holds now: the lease itself records the publication.
       SELECT h.id
         FROM unnest($1::uuid[], $2::timestamptz[]) AS c (id, claimed_at)
         JOIN code_reviews h ON h.id = c.id AND h.claimed_at = c.claimed_at
        WHERE h.published_at IS NULL
        ORDER BY h.id
          FOR UPDATE OF h SKIP LOCKED)
       AND r.status <> 'pending'
    """)

  /// Records that the broker has confirmed the tickets of claims.
  package func recordPublished(_ claims: [Claim]) async throws {
    guard !claims.isEmpty else { return }
    _ = try await pool.query(Self.published, [claims.map(\.reviewID), claims.map(\.claimedAt.instant)])
  }

  static let unclaim = Statement(
    "unclaim",
    """
    /* baton:unclaim */
    WITH mine AS MATERIALIZED (
      SELECT h.id
        FROM unnest($1::uuid[], $2::timestamptz[]) AS c (id, claimed_at)
        JOIN code_reviews h ON h.id = c.id AND h.claimed_at = c.claimed_at
       WHERE h.lease_owner IS NULL AND h.dispatched_at IS NULL
       ORDER BY h.id
         FOR UPDATE OF h
    )
    UPDATE code_reviews r
       SET status = 'pending', status_reason = $3
      FROM mine m
     WHERE r.id = m.id AND \(Fragment.hasStatus("'queued'")) AND r.lease_owner IS NULL AND r.dispatched_at IS NULL
    """)

  /// Gives claims back whose tickets were not confirmed: still this claim, unleased and not dispatched. They keep their place among the
  /// pending reviews. A ticket that is in the queue after all is rejected there.
  package func unclaim(_ claims: [Claim], reason: String) async throws {
    guard !claims.isEmpty else { return }
    _ = try await pool.query(Self.unclaim, [claims.map(\.reviewID), claims.map(\.claimedAt.instant), reason])
  }
}
