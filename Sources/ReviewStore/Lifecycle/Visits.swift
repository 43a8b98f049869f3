internal import PostgresClient
internal import Synchronization

/// An owner as the database has it: where a page of owners ends.
package struct OwnerKey: Sendable, Equatable {
  var type: String
  var id: String

  /// Before all owners.
  static let first = OwnerKey(type: "", id: "")
}

/// Where the next claim goes on among the owners to visit, so that each has its turn if there are more than a page of them.
final class VisitedUpTo: Sendable {
  private let state = Mutex<OwnerKey?>(nil)

  /// The last owner of the page before; nil starts with the first owner.
  var owner: OwnerKey? {
    get { state.withLock { $0 } }
    set { state.withLock { $0 = newValue } }
  }
}

/// When nothing was left that a producer could claim: no owner was to be visited, not even one that another transaction has locked. What
/// can be claimed now could not be claimed before.
final class AllClaimed: Sendable {
  private let seenAt = Mutex<ContinuousClock.Instant?>(nil)

  func saw() { seenAt.withLock { $0 = .now } }

  var age: Duration? { seenAt.withLock { $0 }.map { .now - $0 } }
}

/// Which owners a claim looks at: those with a visit (see the migration `visits`). The cost of a pass follows the events since the last
/// one, and not the rows and owners that wait.
extension ReviewStore {
  static let visitStatements: [PostgresStatement] = [visitsComeDue, lockOwners, nextDue, visitMissed, noteOwnerLimit]

  /// Owners, and delayed reviews, of one pass.
  static let visitPage: Int32 = 1_000

  /// Owners that one ``visitMissed(after:ownerLimit:)`` looks at: some 2 ms. 100,000 owners with reviews that wait are through after 83 minutes.
  static let missedPage: Int32 = 100

  /// The visits of owners, locked: to be deleted by the statement that has found that nothing of these owners can be claimed.
  /// - Parameter owners: a table with `owner_type` and `owner_id`.
  static func visits(of owners: String) -> String {
    """
    SELECT d.ctid
            FROM \(owners) w
           CROSS JOIN LATERAL (
             SELECT v.ctid
               FROM baton_visits v
              WHERE v.due_at IS NULL AND v.owner_type = w.owner_type AND v.owner_id = w.owner_id
              LIMIT 1000
                FOR UPDATE SKIP LOCKED) d
    """
  }

  /// The distinct owners of a table's rows, in the order of its index: steps from one to the next, instead of reading every row. For
  /// `WITH RECURSIVE`; `n` numbers them from 1.
  /// - Parameters:
  ///   - table: as `v`, with an index of (owner_id, owner_type) under the condition.
  ///   - owner: the key before the first, as (owner_id, owner_type).
  static func owners(_ name: String, in table: String, where condition: String, after owner: String, limit: String)
    -> String
  {
    """
    \(name) AS (
          (SELECT v.owner_type, v.owner_id, 1 AS n
             FROM \(table) v
            WHERE \(condition) AND (v.owner_id, v.owner_type) > \(owner) AND \(limit) > 0
            ORDER BY v.owner_id, v.owner_type
            LIMIT 1)
          UNION ALL
          SELECT t.owner_type, t.owner_id, w.n + 1
            FROM \(name) w
           CROSS JOIN LATERAL (
             SELECT v.owner_type, v.owner_id
               FROM \(table) v
              WHERE \(condition) AND (v.owner_id, v.owner_type) > (w.owner_id, w.owner_type)
              ORDER BY v.owner_id, v.owner_type
              LIMIT 1) t
           WHERE w.n < \(limit))
    """
  }

  /// Makes the visits of delayed reviews whose time has come visits of now.
  static let visitsComeDue = PostgresStatement(
    "visits_come_due",
    """
    /* baton:visits_come_due */
    WITH due AS (
      DELETE FROM baton_visits
       WHERE ctid = ANY (ARRAY(
         SELECT v.ctid FROM baton_visits v WHERE v.due_at <= now() ORDER BY v.due_at LIMIT $1 FOR UPDATE SKIP LOCKED))
      RETURNING owner_type, owner_id
    ),
    visit AS (
      INSERT INTO baton_visits (owner_type, owner_id) SELECT DISTINCT owner_type, owner_id FROM due
    )
    SELECT count(*) FROM due
    """)

  /// Locks a page of the owners that have a visit, and hands them to ``claimDue``. Owners that another producer has locked are
  /// left to it. Its transaction does not wait for the disk, see ``claim(limit:ownerLimit:by:looksAtDelayed:)``. The recursion steps through the distinct owners of the index, instead of reading every visit.
  static let lockOwners = PostgresStatement(
    "lock_owners",
    """
    /* baton:lock_owners */
    WITH RECURSIVE \(owners("walk", in: "baton_visits", where: "v.due_at IS NULL", after: "($2, $1)", limit: "$3")),
    page AS MATERIALIZED (
      SELECT owner_type, owner_id, n FROM walk
    ),
    locked AS MATERIALIZED (
      SELECT o.owner_type, o.owner_id
        FROM page p
        JOIN review_owners o ON o.owner_type = p.owner_type AND o.owner_id = p.owner_id
         FOR UPDATE OF o SKIP LOCKED
    ),
    gone AS MATERIALIZED (
      -- Owners that have no row any more; looked for only if some were not locked.
      SELECT p.owner_type, p.owner_id
        FROM page p
       WHERE (SELECT count(*) FROM locked) < (SELECT count(*) FROM page)
         AND NOT EXISTS (SELECT 1 FROM review_owners o WHERE o.owner_type = p.owner_type AND o.owner_id = p.owner_id)
    ),
    forgotten AS (
      DELETE FROM baton_visits WHERE ctid = ANY (ARRAY(\(visits(of: "gone"))))
    )
    SELECT set_config('baton.owners', (
             SELECT COALESCE(json_agg(json_build_array(l.owner_type, l.owner_id)), '[]') FROM locked l)::text, true),
           (SELECT owner_type FROM page WHERE n = $3) AS owner_type,
           (SELECT owner_id FROM page WHERE n = $3) AS owner_id,
           \(Fragment.asynchronousCommit)
    """)

  /// The last owner of a page; nil if it was the last page.
  static func pageEnd(_ rows: PostgresRows) throws -> OwnerKey? {
    guard let type = try rows[0].optional("owner_type", as: String.self),
      let id = try rows[0].optional("owner_id", as: String.self)
    else { return nil }
    return OwnerKey(type: type, id: id)
  }

  static let nextDue = PostgresStatement(
    "next_due",
    """
    /* baton:next_due */
    SELECT (SELECT \(Fragment.seconds(from: "now()", to: "v.due_at"))
              FROM baton_visits v
             WHERE v.due_at IS NOT NULL
             ORDER BY v.due_at
             LIMIT 1) AS seconds,
           (SELECT true FROM baton_visits v WHERE v.due_at IS NULL LIMIT 1) IS NULL
           AND (SELECT true FROM baton_visits v WHERE v.due_at <= now() LIMIT 1) IS NULL AS is_all_claimed
    """)

  /// Whether an owner has a visit, and how long until the next delayed review comes due.
  ///
  /// One of those may have come due since the last claim looked at them, or be locked by another: it is neither in the future nor among those that a claim
  /// has found.
  package func nextDue() async throws -> NextDue {
    let row = try await pool.query(Self.nextDue, [])[0]
    let isAllClaimed = try row.decode("is_all_claimed", as: Bool.self)
    if isAllClaimed { allClaimed.saw() }
    let delay = try row.optional("seconds", as: Double.self).map { seconds in
      seconds > 0 ? .seconds(saturating: seconds) : DelayedReviews.overdueWait
    }
    return NextDue(isNow: !isAllClaimed, delay: delay)
  }

  /// Since nothing was left that a producer could claim, as this process has last seen it; nil if it has never seen that.
  package var allClaimedAge: Duration? { allClaimed.age }

  /// Each owner of the page with a free slot and a due row has a visit, unless its rows came without the triggers: a restored
  /// or replicated table, triggers that were switched off.
  static let visitMissed = PostgresStatement(
    "visit_missed",
    """
    /* baton:visit_missed */
    WITH RECURSIVE \(owners("walk", in: "code_reviews", where: "v.status = 'pending'", after: "($2, $1)", limit: "$3")),
    page AS MATERIALIZED (
      SELECT w.owner_type, w.owner_id, w.n, o.owner_id IS NULL AS is_new,
             o.max_concurrent, COALESCE(o.paused, false) AS is_paused
        FROM walk w
        LEFT JOIN review_owners o ON o.owner_type = w.owner_type AND o.owner_id = w.owner_id
    ),
    made AS (
      -- The database adds the visit.
      INSERT INTO review_owners (owner_type, owner_id)
      SELECT owner_type, owner_id FROM page WHERE is_new ORDER BY 1, 2
      ON CONFLICT DO NOTHING
      RETURNING 1
    ),
    missed AS (
      INSERT INTO baton_visits (owner_type, owner_id)
      SELECT p.owner_type, p.owner_id
        FROM page p
       WHERE NOT p.is_new AND NOT p.is_paused
         AND COALESCE(p.max_concurrent, $4) > (
           SELECT count(*)
             FROM code_reviews a
            WHERE a.owner_type = p.owner_type AND a.owner_id = p.owner_id AND \(Fragment.isActive("a")))
         AND (SELECT true
                FROM code_reviews r
               WHERE \(Fragment.isDue) AND r.owner_type = p.owner_type AND r.owner_id = p.owner_id
               LIMIT 1)
         AND (SELECT true
                FROM baton_visits v
               WHERE v.due_at IS NULL AND v.owner_type = p.owner_type AND v.owner_id = p.owner_id
               LIMIT 1) IS NULL
         -- Its visit may be one that has just come due: the next claim makes it one of now.
         AND NOT EXISTS (SELECT 1 FROM baton_visits v WHERE v.due_at <= now())
      RETURNING 1
    )
    SELECT (SELECT count(*) FROM made) + (SELECT count(*) FROM missed) AS owners,
           (SELECT owner_type FROM page WHERE n = $3) AS owner_type,
           (SELECT owner_id FROM page WHERE n = $3) AS owner_id
    """)

  /// Looks at a page of the owners that have pending reviews for one that may be claimed from and has no visit: the last resort.
  /// - Parameters:
  ///   - owner: the end of the page before; nil starts with the first owner.
  ///   - ownerLimit: BATON_OWNER_LIMIT.
  /// - Returns: how many were found, and the end of the page; nil after the last page.
  package func visitMissed(after owner: OwnerKey?, ownerLimit: Int) async throws -> (found: Int, end: OwnerKey?) {
    let start = owner ?? .first
    let rows = try await pool.query(
      Self.visitMissed, [start.type, start.id, Self.missedPage, Int32(clamping: ownerLimit)])
    return (Int(try rows[0].decode("owners", as: Int64.self)), try Self.pageEnd(rows))
  }

  /// How many owners a raised limit visits: all; a limit that was not raised, none.
  private static let everyIfRaised =
    "(SELECT CASE WHEN value < $1 THEN 2147483647 ELSE 0 END FROM baton_owner_limit WHERE is_only)"

  static let noteOwnerLimit = PostgresStatement(
    "note_owner_limit",
    """
    /* baton:note_owner_limit */
    WITH RECURSIVE noted AS (
      INSERT INTO baton_owner_limit AS l (value)
      VALUES ($1)
      ON CONFLICT (is_only) DO UPDATE SET value = EXCLUDED.value WHERE l.value <> EXCLUDED.value
    ),
    \(owners("waiting", in: "code_reviews", where: "v.status = 'pending'", after: "('', '')", limit: everyIfRaised))
    INSERT INTO baton_visits (owner_type, owner_id)
    SELECT w.owner_type, w.owner_id
      FROM waiting w
      JOIN review_owners o ON o.owner_type = w.owner_type AND o.owner_id = w.owner_id
     WHERE o.max_concurrent IS NULL
    """)

  /// Notes BATON_OWNER_LIMIT before the first claim with it. If it has been raised, all owners that it is for are visited.
  package func noteOwnerLimit(_ limit: Int) async throws {
    _ = try await pool.query(Self.noteOwnerLimit, [Int32(clamping: limit)])
  }
}
