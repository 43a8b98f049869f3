internal import FoundationEssentials
internal import GRDB
internal import Primitives
internal import Reviews
internal import WorkerAPI

extension RunStore {
  // MARK: Beginning

  /// Begins the run that has waited longest, if there is room. One whose older attempt is still being ended is passed over.
  /// - Parameter limit: how many runs may be running.
  /// - Returns: nil if no run may begin now.
  func beginNext(limit: Int, at now: Timestamp) async throws -> RunOrder? {
    try await database.commits.write { [self] database in
      let row = try Row.fetchOne(
        database,
        sql: """
          UPDATE runs SET state = 'running', launch = launch + 1, started_at = :now, output_offset = 0
           WHERE number = (SELECT number FROM runs waiting
                            WHERE state = 'queued'
                              AND (SELECT count(*) FROM runs WHERE state = 'running') < :limit
                              AND NOT EXISTS (SELECT 1 FROM runs older
                                               WHERE older.review_id = waiting.review_id AND older.state = 'running')
                            ORDER BY number LIMIT 1)
          RETURNING *
          """, arguments: ["now": now.microseconds, "limit": limit])
      guard let order = try row.map({ try RunOrder(row: $0) }) else { return nil }
      try report(order.key, in: database)
      return order
    }
  }

  /// The runs that a worker which is gone had begun and not ended, in the order of their starts.
  func interrupted() async throws -> [RunOrder] {
    try await database.queue.read { database in
      try Row.fetchAll(database, sql: "SELECT * FROM runs WHERE state = 'running' ORDER BY number")
        .map { try RunOrder(row: $0) }
    }
  }

  // MARK: While an agent runs

  /// Takes over what the agent has said.
  /// - Parameter offset: up to where its output has been read with this.
  func record(_ lines: [AgentLine], of key: RunKey, upTo offset: Int64, at now: Timestamp) async throws -> Consequences
  {
    try await database.commits.write { [self] database in
      let row = try Row.fetchOne(
        database,
        sql: """
          SELECT number, event_number, event_byte_count, session_id, cli_session_id FROM runs
           WHERE review_id = ? AND attempt = ? AND state = 'running'
          """, arguments: [key.reviewID.lowercase, key.attempt])
      guard let row else { return Consequences() }
      let details = RunDetails(lines)
      let isNews = details.isNews(sessionID: row["session_id"], cliSessionID: row["cli_session_id"])
      let (number, byteCount) = try append(lines, to: row, at: now, in: database)
      try database.execute(
        sql: """
          UPDATE runs SET session_id = coalesce(:session, session_id), cli_session_id = coalesce(:cli, cli_session_id),
                          gate_result = coalesce(:gate, gate_result), usage = coalesce(:usage, usage),
                          output_offset = :offset, event_number = :number, event_byte_count = :bytes
           WHERE number = :run
          """,
        arguments: [
          "session": details.sessionID, "cli": details.cliSessionID, "gate": details.gateResult?.rawValue,
          "usage": try details.encodedUsage(), "offset": offset, "number": number, "bytes": byteCount,
          "run": row["number"] as Int64,
        ])
      if isNews { try report(key, in: database) }
      return Consequences(reports: isNews)
    }
  }

  /// Adds events, and drops the oldest beyond the limits.
  /// - Returns: the newest event's number, and the bytes that are kept.
  private func append(
    _ lines: [AgentLine], to run: Row, at now: Timestamp, in database: Database
  ) throws -> (number: Int64, byteCount: Int) {
    let id: Int64 = run["number"]
    var number: Int64 = run["event_number"]
    var byteCount: Int = run["event_byte_count"]
    let encoder = JSONEncoder()
    let insert = try database.cachedStatement(
      sql: "INSERT INTO events (run, number, event, byte_count) VALUES (?, ?, ?, ?)")
    for line in lines {
      guard let event = line.event else { continue }
      number += 1
      byteCount += line.byteCount
      let json = try encoder.encode(
        RunEvent(timestamp: now, eventType: event.type, message: event.message, content: event.content))
      try insert.execute(arguments: [id, number, json, line.byteCount])
    }
    let oldest = number - Int64(limits.eventCountMax)
    byteCount -=
      try Int.fetchOne(
        database, sql: "SELECT sum(byte_count) FROM events WHERE run = ? AND number <= ?", arguments: [id, oldest]) ?? 0
    try database.execute(sql: "DELETE FROM events WHERE run = ? AND number <= ?", arguments: [id, oldest])
    while byteCount > limits.eventByteCountMax {
      let dropped = try Int.fetchOne(
        database,
        sql: """
          DELETE FROM events
           WHERE run = :run AND number < :newest AND number = (SELECT min(number) FROM events WHERE run = :run)
          RETURNING byte_count
          """, arguments: ["run": id, "newest": number])
      guard let dropped else { break }
      byteCount -= dropped
    }
    return (number, byteCount)
  }

  // MARK: Ending

  /// Records that a run's agent has to be ended; does nothing if it is being ended already.
  /// - Returns: whether the agent has to be stopped now.
  func stop(_ key: RunKey, for reason: StopReason, message: String) async throws -> Bool {
    try await database.commits.write { [self] in try stop(key, for: reason, message: message, in: $0) }
  }

  func stop(_ key: RunKey, for reason: StopReason, message: String, in database: Database) throws -> Bool {
    try database.execute(
      sql: """
        UPDATE runs SET stop_reason = ?, error_message = ?
         WHERE review_id = ? AND attempt = ? AND state = 'running' AND stop_reason IS NULL
        """, arguments: [reason.rawValue, message, key.reviewID.lowercase, key.attempt])
    return database.changesCount > 0
  }

  /// Why a run's agent is to be ended; nil if it may go on.
  func stopReason(_ key: RunKey) async throws -> StopReason? {
    try await database.queue.read { database in
      try String.fetchOne(
        database, sql: "SELECT stop_reason FROM runs WHERE review_id = ? AND attempt = ? AND state = 'running'",
        arguments: [key.reviewID.lowercase, key.attempt]
      ).flatMap { StopReason(rawValue: $0) }
    }
  }

  /// The agent has ended, could not be started, or was lost.
  /// - Returns: also how the run has ended; nil if it waits again.
  func agentEnded(
    _ key: RunKey, _ exit: AgentExit, lost: LostRuns, at now: Timestamp
  ) async throws -> (RunState?, Consequences) {
    try await database.commits.write { [self] database in
      let row = try Row.fetchOne(
        database, sql: "SELECT stop_reason, launch FROM runs WHERE review_id = ? AND attempt = ? AND state = 'running'",
        arguments: [key.reviewID.lowercase, key.attempt])
      guard let row else { return (nil, Consequences()) }
      let reason = (row["stop_reason"] as String?).flatMap { StopReason(rawValue: $0) }
      let mayBeginAgain = lost == .restart && row["launch"] < limits.launchMax
      let state: RunState
      switch reason {
      case .cancelled?, .replaced?: state = .cancelled
      case .timeout?, .overflow?: state = .failed
      case nil where exit == .neverBegan || (exit.isLoss && mayBeginAgain):
        return (nil, try requeue(key, in: database))
      case nil: state = exit.errorMessage == nil ? .completed : .failed
      }
      // With a reason, the message stands in the row already.
      let message = reason == nil ? exit.errorMessage : nil
      return (state, try end(key, as: state, message: message, at: now, in: database))
    }
  }

  /// Back to those that wait, at its old place.
  private func requeue(_ key: RunKey, in database: Database) throws -> Consequences {
    try database.execute(
      sql: """
        UPDATE runs SET state = 'queued', stop_reason = NULL, error_message = NULL, started_at = NULL
         WHERE review_id = ? AND attempt = ? AND state = 'running'
        """, arguments: [key.reviewID.lowercase, key.attempt])
    return Consequences(makesRoom: true)
  }

  /// Ends a run that has not ended: prompt and tokens are deleted with it.
  func end(
    _ key: RunKey, as state: RunState, message: String?, at now: Timestamp, in database: Database
  ) throws -> Consequences {
    // First, as the token goes with the payload.
    let token = limits.callbacks == .withToken ? try authToken(key, in: database) : nil
    try database.execute(
      sql: """
        UPDATE runs SET state = ?, completed_at = ?, error_message = coalesce(?, error_message), stop_reason = NULL,
                        payload = NULL
         WHERE review_id = ? AND attempt = ? AND completed_at IS NULL
        """, arguments: [state.rawValue, now.microseconds, message, key.reviewID.lowercase, key.attempt])
    guard database.changesCount > 0 else { return Consequences() }
    try report(key, authToken: token, in: database)
    return Consequences(reports: true, makesRoom: true, wipes: true)
  }
}

/// What lines say of the run as a whole: the last word counts.
private struct RunDetails {
  var sessionID: String?
  var cliSessionID: String?
  var gateResult: GateResult?
  var usage: Usage?

  init(_ lines: [AgentLine]) {
    for line in lines {
      sessionID = line.sessionID ?? sessionID
      cliSessionID = line.cliSessionID ?? cliSessionID
      gateResult = line.gateResult ?? gateResult
      usage = line.usage ?? usage
    }
  }

  func isNews(sessionID known: String?, cliSessionID knownCLI: String?) -> Bool {
    (sessionID != nil && sessionID != known) || (cliSessionID != nil && cliSessionID != knownCLI)
  }

  func encodedUsage() throws -> String? {
    try usage.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) }
  }
}

extension TraceContext {
  /// Reads the trace of a row of `runs`.
  init?(row: Row) {
    guard let text: String = row["traceparent"] else { return nil }
    self.init(traceparent: text)
  }
}

extension RunOrder {
  /// Reads a row of `runs` that has a payload.
  init(row: Row) throws {
    body = Array(row["payload"] as Data)
    request = try JSONCoding.decode(StartRequest.self, from: body)
    key = RunKey(reviewID: request.reviewId, attempt: request.attempt)
    launch = row["launch"]
    startedAt = Timestamp(microseconds: row["started_at"])
    outputOffset = row["output_offset"]
    trace = TraceContext(row: row)
  }
}
