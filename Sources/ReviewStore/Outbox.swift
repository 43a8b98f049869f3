package import FoundationEssentials
internal import PostgresClient
package import Reviews

/// Something that has to be told to the worker until it is accepted.
package struct OutboxEntry: Sendable, Equatable {
  package var id: Int64
  package var reviewID: UUID
  package var attempt: Int
  package var tries: Int
  /// The review's.
  package var trace: TraceContext
}

extension ReviewStore {
  static let takeOutbox = Statement(
    "take_outbox",
    """
    /* baton:take_outbox */
    WITH taken AS MATERIALIZED (
      SELECT o.id FROM baton_outbox o WHERE o.due_at <= now() ORDER BY o.due_at LIMIT $1 FOR UPDATE OF o SKIP LOCKED
    )
    UPDATE baton_outbox o
       -- Nobody else's meanwhile. If the sender dies, the entry comes due again by itself.
       SET tries = o.tries + 1, due_at = now() + make_interval(secs => $2)
      FROM taken t
     WHERE o.id = t.id
    RETURNING o.id, o.review_id, o.attempt, o.tries,
              (SELECT r.traceparent FROM code_reviews r WHERE r.id = o.review_id) AS traceparent
    """)

  /// Takes entries that are due, for so long that their calls must have ended; one that is not settled by then comes due again.
  package func takeOutbox(limit: Int, for lease: Duration) async throws -> [OutboxEntry] {
    decodeEach(try await pool.query(Self.takeOutbox, [Int32(limit), lease.inSeconds]), "cancel") { row in
      let review = try row.decode("review_id", as: UUID.self)
      return OutboxEntry(
        id: try row.decode("id", as: Int64.self), reviewID: review,
        attempt: Int(try row.decode("attempt", as: Int32.self)), tries: Int(try row.decode("tries", as: Int32.self)),
        trace: try row.trace(of: review))
    }
  }

  static let deleteOutbox = Statement(
    "delete_outbox", "/* baton:delete_outbox */ DELETE FROM baton_outbox WHERE id = $1")

  /// Removes an entry that was accepted.
  package func deleteOutbox(_ id: Int64) async throws {
    _ = try await pool.query(Self.deleteOutbox, [id])
  }

  static let failOutbox = Statement(
    "fail_outbox",
    """
    /* baton:fail_outbox */
    UPDATE baton_outbox
       SET last_error = $2, due_at = now() + make_interval(secs => LEAST(300, 5 * 2 ^ LEAST(tries - 1, 10)))
     WHERE id = $1
    """)

  /// Notes why an entry was not accepted; it stays, and comes due again, with backoff up to five minutes.
  package func failOutbox(_ id: Int64, error: String) async throws {
    _ = try await pool.query(Self.failOutbox, [id, error.storable])
  }

  static let tellWorkerCancelled = Statement(
    "tell_worker_cancelled",
    """
    /* baton:tell_worker_cancelled */
    INSERT INTO baton_outbox (kind, review_id, attempt) VALUES ('worker_cancel', $1, $2) ON CONFLICT DO NOTHING
    """)

  /// Has the worker told that an attempt was cancelled.
  package func tellWorkerCancelled(_ id: UUID, attempt: Int) async throws {
    _ = try await pool.query(Self.tellWorkerCancelled, [id, Int32(attempt)])
  }
}
