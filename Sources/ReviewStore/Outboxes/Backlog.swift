internal import PostgresClient

/// What is to be delivered to others, or to be processed, and is not yet.
package struct Backlog: Sendable, Equatable {
  package var cancels: Int
  package var webhooks: Int
  /// For how long the oldest of them has not been processed; nil if there is none.
  package var oldestWebhook: Duration?
  /// That is due, or has failed and is tried again.
  package var feedback: Int
  /// For how long the oldest of it could not be delivered, but what the platform has refused; nil if there is none.
  package var oldestFeedback: Duration?
  package var feedbackGivenUp: Int
}

extension ReviewStore {
  static let backlogStatements: [PostgresStatement] = [backlog]

  /// Each by a partial index; the outbox has what is undelivered alone. The oldest webhook is looked for together with their number: alone, the
  /// planner may look for it in the index of all webhooks by their time, and read that to the end.
  static let backlog = PostgresStatement(
    "backlog",
    """
    /* baton:backlog */
    SELECT (SELECT count(*) FROM baton_outbox o WHERE o.given_up_at IS NULL) AS cancels,
           d.webhooks, d.oldest_webhook, w.feedback, w.oldest_feedback,
           (SELECT count(*) FROM baton_feedback f WHERE f.given_up_at IS NOT NULL) AS feedback_given_up
      -- A try moves its next time on; what has failed waits also until then.
      FROM (SELECT count(*) AS feedback, \(Fragment.seconds(from: "min(f.due_since) FILTER (WHERE f.due_at <= now() AND f.last_error IS NULL OR \(waitsForRepair("f")))")) AS oldest_feedback
              FROM baton_feedback f
             WHERE f.due_at IS NOT NULL AND (f.due_at <= now() OR f.last_error IS NOT NULL)) w
     CROSS JOIN (SELECT count(*) AS webhooks, \(Fragment.seconds(from: "min(n.received_at)")) AS oldest_webhook
                   FROM webhook_deliveries n
                  WHERE n.processed_at IS NULL) d
    """)

  /// The counts of now. Roles that may not read a table of them do not measure it.
  package func backlog() async throws -> Backlog {
    let row = try await pool.query(Self.backlog, [])[0]
    return Backlog(
      cancels: Int(try row.decode("cancels", as: Int64.self)),
      webhooks: Int(try row.decode("webhooks", as: Int64.self)),
      oldestWebhook: try row.optional("oldest_webhook", as: Double.self).map { max(.zero, .seconds(saturating: $0)) },
      feedback: Int(try row.decode("feedback", as: Int64.self)),
      oldestFeedback: try row.optional("oldest_feedback", as: Double.self).map { max(.zero, .seconds(saturating: $0)) },
      feedbackGivenUp: Int(try row.decode("feedback_given_up", as: Int64.self)))
  }
}
