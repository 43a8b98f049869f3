package import FoundationEssentials
internal import PostgresClient
package import Primitives
internal import Reviews

/// Cancels, events and feedback that their receivers have not accepted, and webhooks that are not processed, with the reasons. They hold no
/// other review back; the dashboard, `baton queue` and `/api/stats` show them.
package struct Undelivered: Sendable, Equatable {
  /// Of each kind at most one, in the order of the kinds.
  package var overdue: [Overdue] = []
  package var endpoints: [UndeliveredEvents] = []
  package var feedback: WaitingFeedback?

  package init() {}
}

/// Webhooks or cancels that have waited for long, or were given up within a day.
package struct Overdue: Sendable, Equatable {
  /// What waits, or was given up.
  package enum Kind: String, Sendable, CaseIterable {
    /// Stored and not processed.
    case waitingWebhooks
    case givenUpWebhooks
    /// Not accepted by the worker, and tried again.
    case waitingCancels
    case givenUpCancels

    package var isOfWebhooks: Bool { self == .waitingWebhooks || self == .givenUpWebhooks }
  }

  package var kind: Kind
  /// At most ``ReviewStore/undeliveredCountMax``.
  package var count: Int
  /// Whether there are more.
  package var isCut: Bool
  /// When the oldest came, or was given up.
  package var since: Timestamp
  /// The oldest one's, at most 300 characters.
  package var lastError: String?
  /// The oldest reviews, of cancels.
  package var examples: [UUID]

  package init(
    _ kind: Kind, count: Int, isCut: Bool = false, since: Timestamp, lastError: String?, examples: [UUID] = []
  ) {
    self.kind = kind
    self.count = count
    self.isCut = isCut
    self.since = since
    self.lastError = lastError
    self.examples = examples
  }
}

/// The events of an endpoint that does not get them.
package struct UndeliveredEvents: Sendable, Equatable {
  /// Why it does not get them.
  package enum Cause: String, Sendable, CaseIterable {
    /// It was tried, and accepted none.
    case notAccepted
    /// No server may or can send there, by its settings.
    case notPossible
    /// They are due, and no server takes them.
    case notTaken
    /// It has answered 410, and is disabled since.
    case gone
  }

  package var endpoint: UUID
  package var url: String
  package var cause: Cause
  /// At most ``ReviewStore/undeliveredCountMax`` and one.
  package var count: Int
  package var since: Timestamp?
  package var lastError: String?

  package init(endpoint: UUID, url: String, cause: Cause, count: Int, since: Timestamp?, lastError: String?) {
    self.endpoint = endpoint
    self.url = url
    self.cause = cause
    self.count = count
    self.since = since
    self.lastError = lastError
  }
}

/// The reviews whose feedback could not be delivered for long, and is tried on.
package struct WaitingFeedback: Sendable, Equatable {
  package var reviewCount: Int
  /// Whether there are more: no more than ``ReviewStore/undeliveredCountMax`` entries are looked at.
  package var isCut: Bool
  package var since: Timestamp
  /// Of the one that waits longest among them, at most 300 characters.
  package var lastError: String?
  /// Those that wait longest among them.
  package var examples: [UUID]

  package init(reviewCount: Int, isCut: Bool = false, since: Timestamp, lastError: String?, examples: [UUID]) {
    self.reviewCount = reviewCount
    self.isCut = isCut
    self.since = since
    self.lastError = lastError
    self.examples = examples
  }
}

extension ReviewStore {
  /// An endpoint that accepts nothing counts after this: what one server cannot send, another one sends within a minute.
  package static let failingGrace: Duration = .seconds(120)
  /// What is due for so long, and was not delivered, is worth a look.
  package static let undeliveredGrace: Duration = .seconds(600)
  /// More are not counted.
  package static let undeliveredCountMax = 10_000
  /// What the error of feedback begins with that the platform has refused: it is tried on only because a refusal may be an error, and no
  /// operator can do anything about it.
  package static let refusedMark = "refused: "

  /// Whether feedback waits for what an operator or time can repair.
  static func waitsForRepair(_ feedback: String) -> String {
    "\(feedback).due_at IS NOT NULL AND \(feedback).last_error IS NOT NULL AND \(feedback).last_error NOT LIKE '\(refusedMark)%'"
  }

  /// Whether an enabled endpoint does not get its events.
  static func isFailing(_ endpoint: String) -> String {
    """
    \(endpoint).is_enabled AND (\(endpoint).failures >= \(circuitFailures)
      OR \(endpoint).failing_since < now() - interval '\(Int(failingGrace / .seconds(1))) seconds')
    """
  }

  static let undeliveredStatements: [PostgresStatement] = [overdue, undeliveredEvents, waitingFeedback]

  static let overdue = PostgresStatement(
    "overdue",
    """
    /* baton:overdue */
    SELECT w.kind, LEAST(count(*), \(undeliveredCountMax)) AS count, count(*) > \(undeliveredCountMax) AS is_cut, min(w.since) AS since,
           (array_agg(left(w.error, 300) ORDER BY w.since))[1] AS last_error,
           COALESCE((array_agg(w.review_id ORDER BY w.since) FILTER (WHERE w.review_id IS NOT NULL))[1:3], '{}') AS examples
      FROM ((SELECT 'waitingWebhooks' AS kind, d.received_at AS since, d.outcome AS error, NULL::uuid AS review_id
               FROM webhook_deliveries d
              WHERE d.processed_at IS NULL
                AND (d.received_at < now() - interval '\(Int(undeliveredGrace / .seconds(1))) seconds') IS TRUE -- not by the index of all
              LIMIT \(undeliveredCountMax + 1))
            UNION ALL
            (SELECT 'givenUpWebhooks', d.processed_at, d.outcome, NULL
               FROM webhook_deliveries d
              WHERE d.outcome LIKE 'given up: %' AND d.processed_at > now() - interval '1 day'
              LIMIT \(undeliveredCountMax + 1))
            UNION ALL
            (SELECT CASE WHEN o.given_up_at IS NULL THEN 'waitingCancels' ELSE 'givenUpCancels' END,
                    COALESCE(o.given_up_at, o.created_at), o.last_error, o.review_id
               FROM baton_outbox o
              WHERE o.given_up_at > now() - interval '1 day'
                 OR o.given_up_at IS NULL AND o.created_at < now() - interval '\(Int(undeliveredGrace / .seconds(1))) seconds'
              LIMIT \(undeliveredCountMax + 1))) w
     GROUP BY w.kind
    """)

  /// The error of a disabled endpoint is that of its 410: to enable or to disable one clears it.
  static let undeliveredEvents = PostgresStatement(
    "undelivered_events",
    """
    /* baton:undelivered_events */
    SELECT p.id, p.url, p.last_error, c.cause, COALESCE(p.failing_since, o.due_at) AS since,
           (SELECT count(*)
              FROM (SELECT
                      FROM baton_events e
                     WHERE e.endpoint_id = p.id AND e.due_at IS NOT NULL
                     LIMIT \(undeliveredCountMax + 1)) n) AS events
      FROM baton_endpoints p
      LEFT JOIN LATERAL (
        SELECT min(e.due_at) AS due_at
          FROM baton_events e
         WHERE p.is_enabled AND e.endpoint_id = p.id
           AND e.due_at < now() - interval '\(Int(undeliveredGrace / .seconds(1))) seconds') o ON true
     CROSS JOIN LATERAL (
       SELECT CASE WHEN \(isFailing("p")) THEN CASE WHEN p.failures > 0 THEN 'notAccepted' ELSE 'notPossible' END
                   WHEN p.is_enabled AND p.failing_since IS NULL AND o.due_at IS NOT NULL THEN 'notTaken'
                   WHEN NOT p.is_enabled AND p.last_error IS NOT NULL THEN 'gone' END AS cause) c
     WHERE c.cause IS NOT NULL
     ORDER BY p.created_at, p.id
    """)

  static let waitingFeedback = PostgresStatement(
    "waiting_feedback",
    """
    /* baton:waiting_feedback */
    SELECT count(*) AS reviews, sum(w.entries) > \(undeliveredCountMax) AS is_cut, min(w.since) AS since, (array_agg(w.error ORDER BY w.since, w.review_id))[1] AS last_error,
           (array_agg(w.review_id ORDER BY w.since, w.review_id))[1:3] AS examples
      FROM (SELECT f.review_id, count(*) AS entries, min(f.due_since) AS since,
                   (array_agg(left(f.last_error, 300) ORDER BY f.due_since))[1] AS error
              FROM (SELECT *
                      FROM baton_feedback b
                     WHERE \(waitsForRepair("b"))
                       AND b.due_since < now() - interval '\(Int(undeliveredGrace / .seconds(1))) seconds'
                     LIMIT \(undeliveredCountMax + 1)) f
             GROUP BY f.review_id) w
    HAVING count(*) > 0
    """)

  /// What is undelivered now.
  package func undelivered() async throws -> Undelivered {
    async let overdue = pool.query(Self.overdue, [])
    async let events = pool.query(Self.undeliveredEvents, [])
    async let feedback = pool.query(Self.waitingFeedback, [])
    var undelivered = Undelivered()
    undelivered.overdue = try await overdueKinds(overdue)
    undelivered.endpoints = decodeEach(try await events, "endpoint") { row in
      UndeliveredEvents(
        endpoint: try row.decode("id", as: UUID.self), url: try row.decode("url", as: String.self),
        cause: try row.choice("cause", as: UndeliveredEvents.Cause.self),
        count: Int(try row.decode("events", as: Int64.self)), since: try row.optionalTimestamp("since"),
        lastError: try row.optional("last_error", as: String.self))
    }
    undelivered.feedback = try await feedback.first.map { row in
      WaitingFeedback(
        reviewCount: Int(try row.decode("reviews", as: Int64.self)), isCut: try row.decode("is_cut", as: Bool.self),
        since: try row.timestamp("since"),
        lastError: try row.optional("last_error", as: String.self),
        examples: try row.decode("examples", as: [UUID].self))
    }
    return undelivered
  }

  private func overdueKinds(_ rows: PostgresRows) -> [Overdue] {
    let found = decodeEach(rows, "kind") { row in
      Overdue(
        try row.choice("kind", as: Overdue.Kind.self), count: Int(try row.decode("count", as: Int64.self)),
        isCut: try row.decode("is_cut", as: Bool.self), since: try row.timestamp("since"),
        lastError: try row.optional("last_error", as: String.self),
        examples: try row.decode("examples", as: [UUID].self))
    }
    return Overdue.Kind.allCases.compactMap { kind in found.first { $0.kind == kind } }
  }
}
