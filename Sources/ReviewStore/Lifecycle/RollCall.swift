package import FoundationEssentials
internal import PostgresClient
package import Primitives
internal import Reviews

/// The proof that a ticket is lost, in three steps that any number of reapers and consumers take side by side:
///
/// 1. A reaper *opens* a roll call, which names the consumers that live.
/// 2. It is *seen* when no ticket published before it is ready in the queue any more: a reaper that looked at the broker after the
///    opening found the queue empty, or a consumer has leased, at its first delivery, a ticket claimed after the opening (the queue is
///    first in, first out).
/// 3. Each consumer *answers* after that, when it has received all that the broker had sent it: with the reviews whose tickets it still
///    has to decide on. It answers nothing that was opened before it last gave a delivery back to the queue.
///
/// A ticket that was published before a completed roll call and that is in no answer is neither in the queue nor with any consumer. A consumer that dies, or gives something back, leaves the roll calls of that moment without an answer, and the next ones
/// complete. None disturbs another.
///
/// All this compares times of one clock. After a failover to a server whose clock is behind, what has a time of the future is not used, and is
/// removed before the clock has caught up: it would prove something of what was published in between.
extension ReviewStore {
  static let rollCallStatements: [PostgresStatement] = [
    openRollCall, seeRollCalls, unansweredRollCalls, answerRollCalls, pruneRollCalls,
  ]

  /// The consumers that live; a scalar array. $2 is BATON_LEASE in seconds.
  private static let livingConsumers = """
    SELECT h.id FROM baton_holders h WHERE h.role = 'consume' AND NOT \(Fragment.isDead("h", heartbeatTimeout: "$2"))
    """

  static let openRollCall = PostgresStatement(
    "open_roll_call",
    """
    /* baton:open_roll_call */
    WITH opened AS (
      INSERT INTO baton_roll_calls (queue, waiting)
      SELECT $1, ARRAY(\(livingConsumers))
       -- Something is missed; and what was opened a moment ago, or still waits to be seen, does not prove it.
       WHERE EXISTS (SELECT 1 FROM code_reviews r
                      WHERE \(Fragment.isQueued) AND r.dispatched_at IS NULL
                        AND r.lease_owner IS NULL AND r.lease_expires_at IS NULL
                        AND r.published_at < now() - interval '2 seconds')
         AND NOT EXISTS (SELECT 1 FROM baton_roll_calls c
                          WHERE c.queue = $1 AND c.started_at <= now()
                            AND (c.started_at > now() - interval '2 seconds'
                                 OR c.seen_at IS NULL AND c.started_at > now() - interval '5 seconds'))
      RETURNING id
    )
    SELECT id FROM opened
     UNION ALL
    SELECT c.id FROM baton_roll_calls c WHERE c.queue = $1 AND c.seen_at IS NULL AND c.started_at <= now()
    """)

  /// Opens a roll call if a published ticket has not been leased for two seconds.
  /// - Returns: those that are open and not seen yet, whichever reaper opened them.
  package func openRollCall(_ queue: String, heartbeatTimeout: Duration) async throws -> [Int64] {
    try await pool.query(Self.openRollCall, [queue, heartbeatTimeout.inSeconds]).map {
      try $0.decode(0, as: Int64.self)
    }
  }

  static let seeRollCalls = PostgresStatement(
    "see_roll_calls",
    """
    /* baton:see_roll_calls */
    UPDATE baton_roll_calls c
       -- Also those that came since the opening: they may have been given a ticket from before it.
       SET seen_at = now(), waiting = ARRAY(SELECT unnest(c.waiting) UNION \(livingConsumers))
      FROM (SELECT id FROM baton_roll_calls WHERE id = ANY ($1) AND seen_at IS NULL AND started_at <= now()
             FOR UPDATE SKIP LOCKED) open
     WHERE c.id = open.id
       AND ($3 OR EXISTS (SELECT 1 FROM baton_holders h
                           WHERE h.role = 'consume' AND h.leased_up_to > c.started_at + interval '1 second'
                             AND h.leased_up_to <= now())
                  -- One that came since the opening, and is gone again, might have taken an older ticket and given it back.
                  AND NOT EXISTS (SELECT 1 FROM baton_holders h WHERE h.role = 'consume' AND h.started_at > c.started_at))
    """)

  /// Notes which roll calls are seen.
  /// - Parameters:
  ///   - ids: as ``openRollCall(_:heartbeatTimeout:)`` returned them before the broker was asked.
  ///   - isQueueEmpty: whether the broker said that no message is ready.
  ///   - heartbeatTimeout: BATON_LEASE.
  package func seeRollCalls(_ ids: [Int64], isQueueEmpty: Bool, heartbeatTimeout: Duration) async throws {
    guard !ids.isEmpty else { return }
    _ = try await pool.query(Self.seeRollCalls, [ids, heartbeatTimeout.inSeconds, isQueueEmpty])
  }

  /// Whether the roll call `c` waits for the answer of the consumer $1.
  static let waitsForAnswer = "c.seen_at IS NOT NULL AND $1 = ANY (c.waiting) AND c.started_at <= now()"

  static let unansweredRollCalls = PostgresStatement(
    "unanswered_roll_calls",
    """
    /* baton:unanswered_roll_calls */
    SELECT now() AS now,
           ARRAY(SELECT c.id FROM baton_roll_calls c
                  WHERE \(waitsForAnswer) AND c.started_at > COALESCE($2::timestamptz, '-infinity')
                  ORDER BY c.id) AS ids
    """)

  /// The roll calls, of whichever queue, that wait for a consumer's answer.
  /// - Parameters:
  ///   - holder: the consumer.
  ///   - instant: when it last gave a delivery back, or later: what was opened before it cannot answer.
  /// - Returns: their ids; and the database's clock.
  package func unansweredRollCalls(
    of holder: Holder.ID, after instant: Timestamp?
  ) async throws -> (now: Timestamp, ids: [Int64]) {
    let row = try await pool.query(Self.unansweredRollCalls, [holder.text, instant?.instant])[0]
    return (try row.timestamp("now"), try row.decode("ids", as: [Int64].self))
  }

  static let answerRollCalls = PostgresStatement(
    "answer_roll_calls",
    """
    /* baton:answer_roll_calls */
    UPDATE baton_roll_calls c
       SET waiting = array_remove(c.waiting, $2), undecided = c.undecided || $3
      -- One that is locked is answered at the next look: by another consumer's answer for a moment, or for long by a person.
      FROM (SELECT id FROM baton_roll_calls WHERE id = ANY ($1) FOR UPDATE SKIP LOCKED) asked
     WHERE c.id = asked.id
    """)

  /// Answers roll calls that were seen, but for those that another transaction has locked.
  /// - Parameters:
  ///   - ids: of the roll calls.
  ///   - holder: the consumer.
  ///   - undecided: the reviews whose tickets the consumer has, and may yet give back.
  package func answerRollCalls(_ ids: [Int64], by holder: Holder.ID, undecided: [UUID]) async throws {
    _ = try await pool.query(Self.answerRollCalls, [ids, holder.text, undecided])
  }

  static let pruneRollCalls = PostgresStatement(
    "prune_roll_calls",
    """
    /* baton:prune_roll_calls */
    DELETE FROM baton_roll_calls
     WHERE id IN (SELECT id FROM baton_roll_calls
                   WHERE started_at < now() - interval '10 minutes' OR started_at > now()
                     FOR UPDATE SKIP LOCKED)
    """)

  /// Removes roll calls that are no longer needed, and those of a server whose clock was ahead.
  package func pruneRollCalls() async throws { _ = try await pool.query(Self.pruneRollCalls, []) }
}
