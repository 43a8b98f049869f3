internal import FoundationEssentials
internal import GRDB
internal import Primitives
internal import Reviews
internal import WorkerAPI

/// Every run that the worker knows, in SQLite only, so that no copy can be older than another.
///
/// - A review's attempt starts once. A newer attempt ends the older run's agent and begins when that has ended; an older one
///   is refused. An attempt that was cancelled before it came does not run.
/// - At most so many runs are `running`; the rest wait in the order of their starts.
/// - queued → running → completed, failed or cancelled; queued → cancelled. A run that has ended changes no more. Only a run whose
///   agent was lost may go back to queued, if the operator has chosen so.
/// - Every method is one transaction, and returns when it is on the disk.
struct RunStore: Sendable {
  let database: WorkerDatabase
  let limits: Limits

  /// What is kept of a run, and for how long.
  struct Limits: Sendable {
    /// Events of one run; the oldest go first.
    var eventCountMax = 10_000
    /// Bytes of the lines that one run's events came from.
    var eventByteCountMax = 4 << 20
    /// The same of all runs that have ended; those of the longest ended go first.
    var endedEventByteCountMax: Int64 = 1 << 30
    /// How often a run's agent is begun if those before it were lost: it may be what kills them, or the machine.
    var launchMax = 8
    /// How long a run is known after its end.
    var retention: Duration = .seconds(7 * 86_400)
    /// Whether callbacks are sent at all, and whether with each run's own token.
    var callbacks = Callbacks.withToken
  }

  /// How runs are reported to Baton.
  enum Callbacks: Sendable {
    case none, withSecret, withToken
  }

  /// The longest reason of a cancel that is kept, in characters.
  private static let reasonMax = 1_000

  // MARK: Starts and cancels

  /// Accepts a start, or returns the state of the one before.
  func start(
    _ request: StartRequest, body: [UInt8], trace: TraceContext?, at now: Timestamp
  ) async throws -> (StartVerdict, Consequences) {
    try await database.commits.write { [self] database in
      let key = RunKey(reviewID: request.reviewId, attempt: request.attempt)
      var consequences = Consequences()
      if let known = try newest(key.reviewID, in: database) {
        if let verdict = known.verdict(on: key) { return (verdict, consequences) }
        try replace(key, at: now, in: database, &consequences)
      }
      let state = try insert(key, request, body, trace, at: now, in: database)
      consequences.makesRoom = state == .queued
      return (.accepted(state, agentVersion: request.agentVersion), consequences)
    }
  }

  /// What a start is answered that changes nothing; nil if it would begin something.
  func verdict(on key: RunKey) async throws -> StartVerdict? {
    try await database.queue.read { [self] in try newest(key.reviewID, in: $0)?.verdict(on: key) }
  }

  private func insert(
    _ key: RunKey, _ request: StartRequest, _ body: [UInt8], _ trace: TraceContext?, at now: Timestamp,
    in database: Database
  ) throws -> RunState {
    let id = key.reviewID.lowercase
    let isCancelled =
      try Bool.fetchOne(
        database, sql: "SELECT attempt >= ? FROM cancels WHERE review_id = ?", arguments: [key.attempt, id]) ?? false
    if isCancelled {
      // The answer to the start says so: no callback is needed.
      try database.execute(
        sql: """
          INSERT INTO runs (review_id, attempt, state, agent_version, traceparent, completed_at, error_message)
          VALUES (?, ?, 'cancelled', ?, ?, ?, 'cancelled before it was started')
          """, arguments: [id, key.attempt, request.agentVersion, trace?.traceparent, now.microseconds])
      return .cancelled
    }
    try database.execute(
      sql: """
        INSERT INTO runs (review_id, attempt, state, agent_version, traceparent, payload) VALUES (?, ?, 'queued', ?, ?, ?)
        """, arguments: [id, key.attempt, request.agentVersion, trace?.traceparent, Data(body)])
    return .queued
  }

  /// Ends what an older attempt does, and drops what it had to say.
  private func replace(
    _ key: RunKey, at now: Timestamp, in database: Database, _ consequences: inout Consequences
  ) throws {
    let id = key.reviewID.lowercase
    try database.execute(
      sql: """
        UPDATE runs SET state = 'cancelled', payload = NULL, completed_at = ?, error_message = 'replaced by a newer attempt'
         WHERE review_id = ? AND state = 'queued'
        """, arguments: [now.microseconds, id])
    consequences.wipes = database.changesCount > 0
    let attempts = try Int.fetchAll(
      database,
      sql: """
        UPDATE runs SET stop_reason = 'replaced', error_message = 'replaced by a newer attempt'
         WHERE review_id = ? AND state = 'running' RETURNING attempt
        """, arguments: [id])
    consequences.stops = attempts.map { RunKey(reviewID: key.reviewID, attempt: $0) }
    try database.execute(sql: "DELETE FROM callbacks WHERE review_id = ?", arguments: [id])
  }

  /// Cancels attempts up to one; without one, the attempt that is known. An attempt that is not known yet is remembered.
  /// - Returns: whether the attempt will not go on.
  func cancel(
    _ reviewID: UUID, upTo attempt: Int?, reason: String?, at now: Timestamp
  ) async throws -> (Bool, Consequences) {
    try await database.commits.write { [self] database in
      if let attempt { try remember(cancel: reviewID, upTo: attempt, at: now, in: database) }
      guard let known = try newest(reviewID, in: database) else { return (attempt != nil, Consequences()) }
      guard attempt ?? .max >= known.attempt else { return (false, Consequences()) }
      switch known.state {
      case .completed, .failed: return (attempt.map { $0 > known.attempt } ?? false, Consequences())
      case .cancelled: return (true, Consequences())
      case .queued, .running, .buffering, .other:
        let key = RunKey(reviewID: reviewID, attempt: known.attempt)
        let reason = reason.map { String($0.prefix(Self.reasonMax)) } ?? "cancelled"
        return (true, try cancel(key, known.state, reason: reason, at: now, in: database))
      }
    }
  }

  private func cancel(
    _ key: RunKey, _ state: RunState, reason: String, at now: Timestamp, in database: Database
  ) throws -> Consequences {
    guard state == .running else {
      return try end(key, as: .cancelled, message: reason, at: now, in: database)
    }
    let isNew = try stop(key, for: .cancelled, message: reason, in: database)
    return Consequences(stops: isNew ? [key] : [])
  }

  private func remember(cancel reviewID: UUID, upTo attempt: Int, at now: Timestamp, in database: Database) throws {
    try database.execute(
      sql: """
        INSERT INTO cancels (review_id, attempt, at) VALUES (?, ?, ?)
        ON CONFLICT (review_id) DO UPDATE SET attempt = max(attempt, excluded.attempt), at = excluded.at
        """, arguments: [reviewID.lowercase, attempt, now.microseconds])
  }

  // MARK: Questions

  /// The state of a review's newest attempt; nil if none is known.
  func status(_ reviewID: UUID) async throws -> RunStatus? {
    try await database.queue.read { database in
      try Row.fetchOne(
        database, sql: "SELECT * FROM runs WHERE review_id = ? ORDER BY attempt DESC LIMIT 1",
        arguments: [reviewID.lowercase]
      ).map { RunStatus(row: $0, reviewID: reviewID) }
    }
  }

  /// The events of a review's newest attempt, oldest first; nil if none is known.
  func events(_ reviewID: UUID) async throws -> [RunEvent]? {
    let events: [Data]? = try await database.queue.read { [self] database in
      guard let run = try newest(reviewID, in: database) else { return nil }
      return try Data.fetchAll(
        database, sql: "SELECT event FROM events WHERE run = ? ORDER BY number", arguments: [run.number])
    }
    return try events?.map { try JSONCoding.decode(RunEvent.self, from: $0) }
  }

  /// The newest attempt of a review.
  private struct Known {
    var number: Int64
    var attempt: Int
    var state: RunState
    var agentVersion: String?

    /// nil if the start is a newer attempt.
    func verdict(on key: RunKey) -> StartVerdict? {
      if attempt < key.attempt { return nil }
      return attempt == key.attempt ? .accepted(state, agentVersion: agentVersion) : .older(known: attempt)
    }
  }

  private func newest(_ reviewID: UUID, in database: Database) throws -> Known? {
    try Row.fetchOne(
      database,
      sql: "SELECT number, attempt, state, agent_version FROM runs WHERE review_id = ? ORDER BY attempt DESC LIMIT 1",
      arguments: [reviewID.lowercase]
    ).map { row in
      Known(
        number: row["number"], attempt: row["attempt"], state: RunState(rawValue: row["state"]),
        agentVersion: row["agent_version"])
    }
  }
}

extension RunStatus {
  /// Reads a row of `runs`.
  init(row: Row, reviewID: UUID) {
    func time(_ name: String) -> Timestamp? { (row[name] as Int64?).map { Timestamp(microseconds: $0) } }
    self.init(
      reviewId: reviewID, attempt: row["attempt"], status: RunState(rawValue: row["state"]),
      sessionId: row["session_id"], cliSessionId: row["cli_session_id"], startedAt: time("started_at"),
      completedAt: time("completed_at"), errorMessage: row["error_message"],
      gateResult: (row["gate_result"] as String?).flatMap { GateResult(rawValue: $0) },
      usage: (row["usage"] as Data?).flatMap { try? JSONCoding.decode(Usage.self, from: $0) })
  }
}
