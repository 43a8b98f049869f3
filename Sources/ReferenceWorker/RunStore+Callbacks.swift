internal import FoundationEssentials
internal import GRDB
internal import Primitives
internal import Reviews
internal import WorkerAPI

/// One callback that waits to be accepted.
struct PendingCallback: Sendable {
  var number: Int64
  var key: RunKey
  var status: String
  /// The JSON of a `StatusCallback`.
  var body: [UInt8]
  /// The run's own bearer token; nil if the shared secret is sent.
  var authToken: Secret?
  /// The run's span.
  var trace: TraceContext?
}

/// The outbox: at most three callbacks wait for a review, in order.
extension RunStore {
  /// Puts into the outbox where the run stands now. A newer `running` takes the place of one that waits, and an attempt that is
  /// not the newest has nothing to say.
  func report(_ key: RunKey, authToken: String? = nil, in database: Database) throws {
    guard limits.callbacks != .none else { return }
    let row = try Row.fetchOne(
      database, sql: "SELECT * FROM runs WHERE review_id = ? ORDER BY attempt DESC LIMIT 1",
      arguments: [key.reviewID.lowercase])
    guard let status = row.map({ RunStatus(row: $0, reviewID: key.reviewID) }), status.attempt == key.attempt,
      let callback = StatusCallback(status)
    else { return }
    let token = limits.callbacks == .withToken ? try authToken ?? self.authToken(key, in: database) : nil
    if callback.status == .running {
      try database.execute(
        sql: "DELETE FROM callbacks WHERE review_id = ? AND status = 'running'", arguments: [key.reviewID.lowercase])
    }
    try database.execute(
      sql: "INSERT INTO callbacks (review_id, attempt, status, body, auth_token) VALUES (?, ?, ?, ?, ?)",
      arguments: [
        key.reviewID.lowercase, key.attempt, callback.status.rawValue, try JSONEncoder().encode(callback), token,
      ])
  }

  /// The token of a run that has not ended.
  func authToken(_ key: RunKey, in database: Database) throws -> String? {
    let payload = try Data.fetchOne(
      database, sql: "SELECT payload FROM runs WHERE review_id = ? AND attempt = ? AND payload IS NOT NULL",
      arguments: [key.reviewID.lowercase, key.attempt])
    return try payload.map { try JSONCoding.decode(StartRequest.self, from: $0).authToken }
  }

  /// The reviews with callbacks that are not sent yet.
  func reviewsWithCallbacks() async throws -> [UUID] {
    try await database.queue.read { database in
      try String.fetchAll(database, sql: "SELECT review_id FROM callbacks GROUP BY review_id ORDER BY min(number)")
        .compactMap { UUID(uuidString: $0) }
    }
  }

  /// A review's callback to send now; nil if there is none.
  func nextCallback(_ reviewID: UUID) async throws -> PendingCallback? {
    try await database.queue.read { database in
      try Row.fetchOne(
        database,
        sql: """
          SELECT c.*, r.traceparent FROM callbacks c LEFT JOIN runs r ON r.review_id = c.review_id AND r.attempt = c.attempt
           WHERE c.review_id = ? ORDER BY c.number LIMIT 1
          """, arguments: [reviewID.lowercase]
      ).map { row in
        PendingCallback(
          number: row["number"], key: RunKey(reviewID: reviewID, attempt: row["attempt"]), status: row["status"],
          body: Array(row["body"] as Data), authToken: (row["auth_token"] as String?).map { Secret($0) },
          trace: TraceContext(row: row))
      }
    }
  }

  /// Takes out a callback that was accepted.
  func settle(_ callback: PendingCallback) async throws {
    try await database.commits.write { database in
      try database.execute(sql: "DELETE FROM callbacks WHERE number = ?", arguments: [callback.number])
    }
  }

  /// Notes that Baton does not want a callback. A `running` is dropped, since the last word will say as much; the last word itself goes
  /// when its run does, see ``prune(at:)``.
  func refuse(_ callback: PendingCallback, at now: Timestamp) async throws {
    try await database.commits.write { database in
      try database.execute(
        sql: "DELETE FROM callbacks WHERE number = ? AND status = 'running'", arguments: [callback.number])
      try database.execute(
        sql: "UPDATE callbacks SET refused_at = coalesce(refused_at, ?) WHERE number = ?",
        arguments: [now.microseconds, callback.number])
    }
  }

  // MARK: Retention

  /// Forgets what has ended long ago, and the events of the longest ended beyond their limit. A run whose last word Baton has not
  /// taken is kept, unless Baton does not want it.
  func prune(at now: Timestamp) async throws {
    let before = now.microseconds - limits.retention.microseconds
    try await database.commits.write { [limits] database in
      try database.execute(sql: "DELETE FROM callbacks WHERE refused_at < ?", arguments: [before])
      try database.execute(sql: "DELETE FROM cancels WHERE at < ?", arguments: [before])
      try database.execute(
        sql: """
          DELETE FROM runs
           WHERE completed_at < ?
             AND NOT EXISTS (SELECT 1 FROM callbacks WHERE callbacks.review_id = runs.review_id)
          """, arguments: [before])
      try database.execute(
        sql: """
          DELETE FROM events
           WHERE run IN (SELECT number
                           FROM (SELECT number, sum(event_byte_count) OVER (ORDER BY completed_at DESC, number DESC) AS kept
                                   FROM runs WHERE completed_at IS NOT NULL AND event_byte_count > 0)
                          WHERE kept > ?)
          """, arguments: [limits.endedEventByteCountMax])
      try database.execute(
        sql: """
          UPDATE runs SET event_byte_count = 0
           WHERE completed_at IS NOT NULL AND event_byte_count > 0
             AND NOT EXISTS (SELECT 1 FROM events WHERE events.run = runs.number)
          """)
    }
  }
}

extension StatusCallback {
  /// What is reported to Baton about a run; nil while it waits.
  init?(_ run: RunStatus) {
    let status: Status? =
      switch run.status {
      case .running, .buffering: .running
      case .completed: .completed
      case .failed: .failed
      case .cancelled: .cancelled
      case .queued, .other: nil
      }
    guard let status else { return nil }
    self.init(
      status: status, attempt: run.attempt, sessionId: run.sessionId, cliSessionId: run.cliSessionId,
      errorMessage: run.errorMessage, gateResult: run.gateResult, usage: run.usage)
  }
}

extension Duration {
  fileprivate var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}
