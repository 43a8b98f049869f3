package import FoundationEssentials
internal import PostgresClient
internal import Primitives
internal import Reviews

/// An event that this process sends now.
package struct DueEvent: Sendable, Equatable {
  /// The same at every try.
  package var id: UUID
  package var endpoint: UUID
  package var review: UUID
  /// The body: JSON.
  package var payload: String
  /// With this one.
  package var tries: Int
  /// Since the review's end.
  package var age: Duration
  package var url: String
  package var secretCiphertext: [UInt8]
  /// When it was taken, in seconds since 1970, by the database's clock.
  package var takenAt: Int64
}

/// What came of sending the given-up events of an endpoint again.
package enum EventRetry: Sendable, Equatable {
  /// So many are due.
  case sent(Int)
  /// Nothing was changed: the endpoint is disabled.
  case disabled
  /// There is no such endpoint.
  case unknown
}

extension ReviewStore {
  static let eventStatements: [PostgresStatement] = [
    takeEvents, eventDelivered, endpointAccepted, eventFailed, endpointFailed, endpointNoted, endpointGone,
    retryEvents, pruneEvents,
  ]

  /// So many failures in turn open an endpoint's circuit.
  package static let circuitFailures = 5
  /// An endpoint gets so many requests at once, from all servers together, and a single one while its circuit is open, or it answers slowly.
  package static let eventsAtOnce = 4
  /// If the sender dies, the event comes due again after this, in seconds. Longer than a request takes.
  private static let takenSeconds = 30

  static let takeEvents = PostgresStatement(
    "take_events",
    """
    /* baton:take_events */
    WITH endpoint AS MATERIALIZED (
      SELECT p.id, p.url, p.secret_ciphertext, p.failures
        FROM baton_endpoints p
       WHERE p.is_enabled AND (p.id = ANY ($2::uuid[])) = $3 AND (p.blocked_until IS NULL OR p.blocked_until <= now())
         AND EXISTS (SELECT 1 FROM baton_events e WHERE e.endpoint_id = p.id AND e.due_at <= now())
       ORDER BY p.id
         FOR NO KEY UPDATE OF p SKIP LOCKED
    ),
    taken AS MATERIALIZED (
      SELECT e.id
        FROM endpoint p
       CROSS JOIN LATERAL (
         SELECT count(*) AS in_flight FROM baton_events f WHERE f.endpoint_id = p.id AND f.taken_until > now()) f
       CROSS JOIN LATERAL (
         SELECT e.id, e.due_at
           FROM baton_events e
          WHERE e.endpoint_id = p.id AND e.due_at <= now() AND (e.taken_until IS NULL OR e.taken_until <= now())
          ORDER BY e.due_at, e.id
          LIMIT GREATEST(0, CASE WHEN p.failures < \(circuitFailures) AND NOT $3 THEN \(eventsAtOnce) ELSE 1 END - f.in_flight)
            FOR UPDATE OF e SKIP LOCKED) e
       ORDER BY e.due_at, e.id
       LIMIT $1
    ),
    mine AS (
      UPDATE baton_events e
         SET tries = e.tries + 1, taken_until = now() + interval '\(takenSeconds) seconds'
       WHERE e.id = ANY (ARRAY(SELECT id FROM taken))
      RETURNING e.id, e.endpoint_id, e.review_id, e.payload, e.tries, e.created_at
    )
    SELECT m.id, m.endpoint_id, m.review_id, m.payload::text AS payload, m.tries,
           \(Fragment.seconds(from: "m.created_at")) AS age, p.url, p.secret_ciphertext,
           extract(epoch FROM now())::bigint AS taken_at
      FROM mine m
      JOIN endpoint p ON p.id = m.endpoint_id
     ORDER BY m.created_at, m.id
    """)

  /// Takes events that are due, of each endpoint a few; one that is not settled soon comes due again.
  /// - Parameters:
  ///   - limit: how many at most.
  ///   - endpoints: whose events are left.
  package func takeEvents(limit: Int, without endpoints: [UUID] = []) async throws -> [DueEvent] {
    try await takeEvents(limit, endpoints, areSlow: false)
  }

  /// Takes events that are due, of each of these endpoints one at a time, from all servers together.
  package func takeEvents(limit: Int, ofSlow endpoints: [UUID]) async throws -> [DueEvent] {
    try await takeEvents(limit, endpoints, areSlow: true)
  }

  private func takeEvents(_ limit: Int, _ endpoints: [UUID], areSlow: Bool) async throws -> [DueEvent] {
    decodeEach(try await pool.query(Self.takeEvents, [Int32(limit), endpoints, areSlow]), "event") {
      try DueEvent($0)
    }
  }

  static let eventDelivered = PostgresStatement(
    "event_delivered", "/* baton:event_delivered */ DELETE FROM baton_events WHERE id = $1")

  static let endpointAccepted = PostgresStatement(
    "endpoint_accepted",
    """
    /* baton:endpoint_accepted */
    UPDATE baton_endpoints
       SET failures = 0, failing_since = NULL, blocked_until = NULL, accepted_at = now(),
           last_error = CASE WHEN NOT is_enabled THEN last_error END
     WHERE id = $1 AND (failures > 0 OR last_error IS NOT NULL OR accepted_at IS NULL
                        OR accepted_at < now() - interval '10 seconds')
    """)

  /// Records that an endpoint has accepted an event.
  package func eventDelivered(_ event: DueEvent) async throws {
    _ = try await pool.pipeline([(Self.eventDelivered, [event.id]), (Self.endpointAccepted, [event.endpoint])])
  }

  static let eventFailed = PostgresStatement(
    "event_failed",
    """
    /* baton:event_failed */
    UPDATE baton_events
       SET last_error = $2, taken_until = NULL, due_at = now() + make_interval(secs => $3),
           given_up_at = CASE WHEN $3::float8 IS NULL THEN now() END
     WHERE id = $1
    """)

  static let endpointFailed = PostgresStatement(
    "endpoint_failed",
    """
    /* baton:endpoint_failed */
    UPDATE baton_endpoints
       SET failures = failures + 1, failing_since = COALESCE(failing_since, now()), last_error = $2,
           blocked_until = CASE
             WHEN $3::float8 IS NOT NULL THEN now() + make_interval(secs => $3)
             WHEN failures + 1 >= \(circuitFailures) THEN
               now() + make_interval(secs => LEAST(60, 5 * power(2, LEAST(failures + 1 - \(circuitFailures), 10))))
           END
     WHERE id = $1 AND is_enabled
    """)

  /// Notes why an event was not accepted.
  /// - Parameters:
  ///   - event: what was tried.
  ///   - error: what the endpoint answered, or why it could not be asked.
  ///   - delay: until it is tried again; nil gives it up. The record stays.
  ///   - pause: for how long the endpoint wants no request at all; nil if it does not say.
  package func eventFailed(
    _ event: DueEvent, error: String, retryAfter delay: Duration?, endpointPause pause: Duration? = nil
  ) async throws {
    let text = String(error.prefix(Self.errorLengthMax))
    _ = try await pool.pipeline([
      (Self.eventFailed, [event.id, text, delay.map { max($0, .zero).inSeconds }]),
      (Self.endpointFailed, [event.endpoint, text, pause.map { max($0, .zero).inSeconds }]),
    ])
  }

  private static let errorLengthMax = 500

  static let endpointNoted = PostgresStatement(
    "endpoint_noted",
    """
    /* baton:endpoint_noted */
    UPDATE baton_endpoints
       SET failing_since = COALESCE(failing_since, now()), last_error = $2
     WHERE id = $1 AND is_enabled
    """)

  /// Puts an event off that this process cannot send. Another one may be able to, so the endpoint's circuit stays as it is; people see since
  /// when none was, as the event is never given up.
  package func deferEvent(_ event: DueEvent, error: String, for delay: Duration) async throws {
    _ = try await pool.pipeline([
      (Self.eventFailed, [event.id, error, delay.inSeconds]), (Self.endpointNoted, [event.endpoint, error]),
    ])
  }

  static let endpointGone = PostgresStatement(
    "endpoint_gone",
    """
    /* baton:endpoint_gone */
    UPDATE baton_endpoints SET is_enabled = false, failing_since = NULL, last_error = $2 WHERE id = $1
    """)

  /// Notes that an endpoint wants no more events: it is disabled, and the event is given up.
  package func endpointGone(_ event: DueEvent, error: String) async throws {
    _ = try await pool.pipeline([
      (Self.eventFailed, [event.id, error, Double?.none]), (Self.endpointGone, [event.endpoint, error]),
    ])
  }

  static let retryEvents = PostgresStatement(
    "retry_events",
    """
    /* baton:retry_events */
    WITH endpoint AS MATERIALIZED (SELECT p.id, p.is_enabled FROM baton_endpoints p WHERE p.id = $1),
    retried AS (
      UPDATE baton_events e
         SET due_at = now(), given_up_at = NULL, created_at = now(), tries = 0, taken_until = NULL
        FROM endpoint p
       WHERE p.is_enabled AND e.endpoint_id = p.id AND e.given_up_at IS NOT NULL
      RETURNING e.id
    )
    SELECT p.is_enabled, (SELECT count(*) FROM retried) AS events FROM endpoint p
    """)

  /// Makes the events of an endpoint due that were given up. Nothing is sent to a disabled one, so it keeps them as they are.
  package func retryEvents(of endpoint: UUID) async throws -> EventRetry {
    guard let row = try await pool.query(Self.retryEvents, [endpoint]).first else { return .unknown }
    guard try row.decode("is_enabled", as: Bool.self) else { return .disabled }
    return .sent(Int(try row.decode("events", as: Int64.self)))
  }

  static let pruneEvents = PostgresStatement(
    "prune_events",
    """
    /* baton:prune_events */
    DELETE FROM baton_events e
     WHERE e.given_up_at < now() - interval '30 days'
        OR e.created_at < now() - interval '1 hour' AND NOT EXISTS (SELECT 1 FROM baton_endpoints p WHERE p.id = e.endpoint_id)
    """)

  /// Deletes events that were given up long ago, and those of endpoints that were removed while a review ended.
  package func pruneEvents() async throws { _ = try await pool.query(Self.pruneEvents, []) }
}

extension DueEvent {
  fileprivate init(_ row: PostgresRow) throws {
    id = try row.decode("id", as: UUID.self)
    endpoint = try row.decode("endpoint_id", as: UUID.self)
    review = try row.decode("review_id", as: UUID.self)
    payload = try row.decode("payload", as: String.self)
    tries = Int(try row.decode("tries", as: Int32.self))
    age = .seconds(saturating: try row.decode("age", as: Double.self))
    url = try row.decode("url", as: String.self)
    secretCiphertext = try row.decode("secret_ciphertext", as: [UInt8].self)
    takenAt = try row.decode("taken_at", as: Int64.self)
  }
}
