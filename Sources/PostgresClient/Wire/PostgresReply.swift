internal import Synchronization

/// One answer that one task waits for, given from any thread.
///
/// The first answer counts; the task that gives it takes the continuation out before resuming it, so it resumes exactly once.
final class PostgresReply<Value: Sendable>: Sendable {
  typealias Outcome = Result<Value, PostgresError>

  fileprivate enum State {
    case open
    case awaited(CheckedContinuation<Outcome, Never>)
    case answered(Outcome)
  }

  private let state = Mutex(State.open)

  /// Answers; false if there was an answer already.
  @discardableResult
  func complete(_ outcome: Outcome) -> Bool {
    let (continuation, isFirst) = state.withLock { state -> (CheckedContinuation<Outcome, Never>?, Bool) in
      switch state {
      case .answered: return (nil, false)
      case .open:
        state = .answered(outcome)
        return (nil, true)
      case .awaited(let continuation):
        state = .answered(outcome)
        return (continuation, true)
      }
    }
    continuation?.resume(returning: outcome)
    return isFirst
  }

  /// Whether there is an answer: the wait is over, or will be at once.
  var isAnswered: Bool {
    state.withLock { if case .answered = $0 { true } else { false } }
  }

  /// Waits for the answer; to be called once. The wait does not end with a cancellation: `complete` does that.
  func outcome() async -> Outcome {
    await withCheckedContinuation { continuation in
      let answer = state.withLock { state -> Outcome? in
        if case .answered(let outcome) = state { return outcome }
        if case .awaited = state { preconditionFailure("two tasks wait for one reply") }
        state = .awaited(continuation)
        return nil
      }
      if let answer { continuation.resume(returning: answer) }
    }
  }

  /// Waits for the answer or for the task's cancellation, which is answered with an error and reported.
  func value(onCancel: @Sendable @escaping () -> Void) async throws(PostgresError) -> Value {
    try await withTaskCancellationHandler {
      await outcome()
    } onCancel: {
      if complete(.failure(.cancelled)) { onCancel() }
    }.get()
  }
}

extension PostgresError {
  static let cancelled = PostgresError(.cancelled, "the task was cancelled; the statement may have been run")
}

/// Statements that travel together, and the reply to them.
final class StatementRequest: Sendable {
  enum Work: Sendable {
    /// One implicit transaction; empty for a Sync alone.
    case statements([Step])
    /// Text for the simple protocol.
    case script(String)
  }

  struct Step: Sendable {
    let statement: PostgresStatement
    let parameters: EncodedParameters
  }

  let work: Work
  let reply: PostgresReply<[PostgresRows]>
  /// Whether this is the second try, without prepared statements.
  let isRetry: Bool

  init(_ work: Work) { (self.work, reply, isRetry) = (work, PostgresReply(), false) }

  /// The same work for the same reply, a second time.
  init(retrying request: StatementRequest) { (work, reply, isRetry) = (request.work, request.reply, true) }

  convenience init(_ steps: [Step]) { self.init(.statements(steps)) }
}

extension StatementRequest.Step {
  init(_ statement: PostgresStatement, _ parameters: [any PostgresEncodable]) throws(PostgresError) {
    self.statement = statement
    do throws(PostgresError) {
      self.parameters = try EncodedParameters(parameters)
    } catch {
      throw error.about(statement)
    }
  }
}
