internal import DequeModule

/// Which answers are still to come, and to whom each belongs. Pure: answers in, finished requests out.
///
/// libpq, 34.5: each statement sent is answered by one result and an end, each Sync by a sync. After an error the
/// statements up to the next Sync are skipped. A request is finished by its sync and not before: its transaction commits there,
/// and a deferred constraint or a serialization failure is reported after the last result.
struct PipelineLedger<StatementRequest, Rows> {
  /// A statement that was sent.
  enum Step: Equatable {
    case prepare(PreparedStatements.Entry)
    case execute(PreparedStatements.Entry?, label: String)
  }

  /// What has come for one request.
  struct Finished {
    let request: StatementRequest
    let outcome: Result<[Rows], PostgresError>
    /// Statements that the server does not have, against what was assumed when they were sent.
    let unprepared: [PreparedStatements.Entry]
    /// Whether a prepared statement was gone or outdated: nothing was run, and another try without it helps.
    let isStale: Bool
  }

  private struct Open {
    let request: StatementRequest
    let steps: [Step]
    var index = 0
    var isAnswered = false
    var rows: [Rows] = []
    var error: PostgresError?
    var unprepared: [PreparedStatements.Entry] = []
    var isStale = false
  }

  private var open: Deque<Open> = []

  var isEmpty: Bool { open.isEmpty }
  var count: Int { open.count }
  var requests: some Sequence<StatementRequest> { open.lazy.map(\.request) }

  /// The statement whose answer comes next.
  var current: Step? {
    guard let first = open.first, first.index < first.steps.count else { return nil }
    return first.steps[first.index]
  }

  /// Notes a request whose statements and Sync have been sent.
  mutating func append(_ request: StatementRequest, _ steps: [Step]) {
    var new = Open(request: request, steps: steps)
    new.rows.reserveCapacity(steps.count)
    open.append(new)
  }

  /// Takes in a result; false if none was expected, which is a fault of the protocol.
  mutating func answer(_ rows: Rows) -> Bool {
    guard let step = current, !open[0].isAnswered else { return false }
    open[0].isAnswered = true
    if case .execute = step { open[0].rows.append(rows) }
    return true
  }

  /// Takes in an error, of a statement or of the commit at the Sync; the request's first one counts.
  mutating func fail(_ error: PostgresError) -> Bool {
    guard !open.isEmpty else { return false }
    open[0].isAnswered = true
    let isFirst = open[0].error == nil
    switch current {
    case .prepare(let entry)?:
      open[0].unprepared.append(entry)
      if isFirst { open[0].error = error.about(entry.key.statement) }
    case .execute(let entry, let label)?:
      var error = error
      error.statement = label
      if isFirst { open[0].error = error }
      if let entry, error.isStalePlan {
        open[0].unprepared.append(entry)
        open[0].isStale = isFirst
      }
    case nil:
      if isFirst { open[0].error = error }
    }
    return true
  }

  /// Takes in that a statement was skipped, as one before it has failed.
  mutating func skip() -> Bool {
    guard let step = current else { return false }
    open[0].isAnswered = true
    if case .prepare(let entry) = step { open[0].unprepared.append(entry) }
    return true
  }

  /// Takes in the end of a statement's results; false if there was nothing to end: then no more can be read now.
  mutating func end() -> Bool {
    guard !open.isEmpty, open[0].isAnswered else { return false }
    open[0].isAnswered = false
    if open[0].index < open[0].steps.count { open[0].index += 1 }
    return true
  }

  /// Takes in the end of a transaction, which finishes the first request; nil if none was expected.
  mutating func sync() -> Finished? {
    guard let first = open.popFirst() else { return nil }
    return Finished(
      request: first.request, outcome: first.error.map { .failure($0) } ?? .success(first.rows),
      unprepared: first.unprepared, isStale: first.isStale)
  }

  /// Takes out all requests, of which no answer will come any more.
  mutating func removeAll() -> [StatementRequest] {
    defer { open.removeAll() }
    return open.map(\.request)
  }
}

extension PostgresError {
  /// The prepared statement is gone (`DISCARD ALL`, a pooler between) or its result type has changed (a migration).
  ///
  /// Both are found before the statement runs. 0A000 has other meanings too, all of them "cannot be done": a second
  /// try is harmless there.
  var isStalePlan: Bool {
    sqlState == PostgresSQLState.invalidStatementName || sqlState == PostgresSQLState.featureNotSupported
  }
}
