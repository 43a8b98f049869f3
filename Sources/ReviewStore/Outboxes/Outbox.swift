package import FoundationEssentials
internal import PostgresClient
package import Primitives
internal import Reviews

/// Something that the worker has to be notified of until it accepts it, or it is given up.
package struct OutboxEntry: Sendable, Equatable {
  package var id: Int64
  package var reviewID: UUID
  package var attempt: Int
  package var tries: Int
  /// The review's.
  package var trace: TraceContext

  package init(id: Int64, reviewID: UUID, attempt: Int, tries: Int, trace: TraceContext) {
    self.id = id
    self.reviewID = reviewID
    self.attempt = attempt
    self.tries = tries
    self.trace = trace
  }
}

/// A cancel that the worker did not accept.
package struct UndeliveredCancel: Sendable, Equatable {
  package var attempt: Int
  package var since: Timestamp
  package var tries: Int
  package var lastError: String
  /// nil if it was given up.
  package var nextTry: Timestamp?
  package var givenUpAt: Timestamp?

  package init(
    attempt: Int, since: Timestamp, tries: Int, lastError: String, nextTry: Timestamp?, givenUpAt: Timestamp?
  ) {
    self.attempt = attempt
    self.since = since
    self.tries = tries
    self.lastError = lastError
    self.nextTry = nextTry
    self.givenUpAt = givenUpAt
  }
}

extension ReviewStore {
  static let outboxStatements: [PostgresStatement] = [
    takeOutbox, deleteOutbox, failOutbox, outboxCount, undeliveredCancels, addCancel,
  ]

  static let takeOutbox = PostgresStatement(
    "take_outbox",
    """
    /* baton:take_outbox */
    WITH taken AS MATERIALIZED (
      SELECT o.id FROM baton_outbox o WHERE o.due_at <= now() ORDER BY o.due_at LIMIT $1 FOR UPDATE OF o SKIP LOCKED
    )
    UPDATE baton_outbox o
       -- Taken by no other sender until then. If the sender dies, the entry comes due again by itself.
       SET tries = o.tries + 1, due_at = now() + make_interval(secs => $2)
      FROM taken t
     WHERE o.id = t.id
    RETURNING o.id, o.review_id, o.attempt, o.tries,
              (SELECT r.traceparent FROM code_reviews r WHERE r.id = o.review_id) AS traceparent
    """)

  /// Takes entries that are due, for long enough that their calls must have ended; one that is not settled by then comes due again.
  package func takeOutbox(limit: Int, for lease: Duration) async throws -> [OutboxEntry] {
    decodeEach(try await pool.query(Self.takeOutbox, [Int32(limit), lease.inSeconds]), "cancel") { row in
      let review = try row.decode("review_id", as: UUID.self)
      return OutboxEntry(
        id: try row.decode("id", as: Int64.self), reviewID: review,
        attempt: Int(try row.decode("attempt", as: Int32.self)), tries: Int(try row.decode("tries", as: Int32.self)),
        trace: try row.trace(of: review))
    }
  }

  static let deleteOutbox = PostgresStatement(
    "delete_outbox", "/* baton:delete_outbox */ DELETE FROM baton_outbox WHERE id = $1")

  /// Removes an entry that was accepted.
  package func deleteOutbox(_ id: Int64) async throws {
    _ = try await pool.query(Self.deleteOutbox, [id])
  }

  /// How long an entry is tried at least before it is given up. No run lasts so long, and the token of a run is valid for as long.
  package static let outboxPatience: Duration = .seconds(24 * 3_600)
  /// How often an entry is tried at least before it is given up.
  private static let outboxTriesMin = 10

  static let failOutbox = PostgresStatement(
    "fail_outbox",
    """
    /* baton:fail_outbox */
    WITH failed AS (
      UPDATE baton_outbox o
         SET last_error = $2,
             given_up_at = CASE WHEN g.is_given_up THEN now() END,
             due_at = CASE WHEN g.is_given_up THEN 'infinity'
                           ELSE now() + make_interval(secs => $4) END
        FROM (SELECT e.id, e.tries >= \(outboxTriesMin) AND e.created_at < now() - make_interval(secs => $3) AS is_given_up
                FROM baton_outbox e
               WHERE e.id = $1
                 FOR UPDATE) g
       WHERE o.id = g.id
      RETURNING g.is_given_up
    ),
    counted AS (
      INSERT INTO baton_counts AS c (what, label, count)
      SELECT 'outbox', 'given_up', 1 FROM failed WHERE is_given_up
      ON CONFLICT (what, label, shard) DO UPDATE SET count = c.count + EXCLUDED.count
    )
    SELECT is_given_up FROM failed
    """)

  /// Notes why an entry was not accepted. It comes due again after the delay; after ``outboxPatience`` it is given up: its record stays with the
  /// review.
  /// - Returns: whether it is given up.
  package func failOutbox(_ id: Int64, error: String, retryAfter delay: Duration) async throws -> Bool {
    let rows = try await pool.query(
      Self.failOutbox, [id, error.storable, Self.outboxPatience.inSeconds, max(delay, .zero).inSeconds])
    return try rows.first?.decode(0, as: Bool.self) ?? false
  }

  static let outboxCount = PostgresStatement(
    "outbox_count", "/* baton:outbox_count */ SELECT count(*) FROM baton_outbox WHERE due_at <= now()")

  /// How many entries are due.
  package func outboxCount() async throws -> Int {
    Int(try await pool.query(Self.outboxCount, [])[0].decode(0, as: Int64.self))
  }

  static let undeliveredCancels = PostgresStatement(
    "undelivered_cancels",
    """
    /* baton:undelivered_cancels */
    SELECT o.attempt, o.created_at, o.tries, o.last_error, o.given_up_at,
           CASE WHEN o.given_up_at IS NULL THEN o.due_at END AS due_at
      FROM baton_outbox o
     WHERE o.kind = 'worker_cancel' AND o.review_id = $1 AND o.last_error IS NOT NULL
     ORDER BY o.attempt
    """)

  /// The cancels of a review that the worker has not accepted so far.
  package func undeliveredCancels(of id: UUID) async throws -> [UndeliveredCancel] {
    try await pool.query(Self.undeliveredCancels, [id]).map { row in
      UndeliveredCancel(
        attempt: Int(try row.decode("attempt", as: Int32.self)), since: try row.timestamp("created_at"),
        tries: Int(try row.decode("tries", as: Int32.self)), lastError: try row.decode("last_error", as: String.self),
        nextTry: try row.optionalTimestamp("due_at"), givenUpAt: try row.optionalTimestamp("given_up_at"))
    }
  }

  static let addCancel = PostgresStatement(
    "add_cancel",
    """
    /* baton:add_cancel */
    INSERT INTO baton_outbox (kind, review_id, attempt) VALUES ('worker_cancel', $1, $2) ON CONFLICT DO NOTHING
    """)

  /// Makes a cancel of an attempt due for the worker.
  package func addCancel(of id: UUID, attempt: Int) async throws {
    _ = try await pool.query(Self.addCancel, [id, Int32(attempt)])
  }
}
