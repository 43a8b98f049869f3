internal import Logging

/// How much of concurrent transactions a transaction sees (PostgreSQL, 13.2).
public enum PostgresIsolation: String, Sendable, Hashable {
  /// Each statement sees what was committed before it.
  case readCommitted = "READ COMMITTED"
  /// Each statement sees what was committed before the first; may fail with 40001, then run it again.
  case repeatableRead = "REPEATABLE READ"
  /// As if transactions ran one after another; may fail with 40001, then run it again.
  case serializable = "SERIALIZABLE"
}

extension PostgresConnection {
  /// Runs the body in a transaction: commits if it returns, rolls back if it throws or the task is cancelled.
  ///
  /// No other caller may use the connection during that time, as its statements would become part of the transaction. The
  /// COMMIT is not interrupted by a cancellation: its answer is waited for.
  /// - Throws: what the body throws; `PostgresError` of BEGIN or COMMIT. If `isConnectionLost` comes from the
  ///   COMMIT, the transaction may have been committed. A body that swallows an error of a statement gets 25P02 here.
  @discardableResult
  public func withTransaction<Result>(
    _ level: PostgresIsolation = .readCommitted, isolation: isolated (any Actor)? = #isolation,
    _ body: (PostgresConnection) async throws -> Result
  ) async throws -> Result {
    _ = try await run([.command("BEGIN ISOLATION LEVEL \(level.rawValue)")])
    let result: Result
    do {
      result = try await body(self)
      if Task.isCancelled { throw PostgresError.cancelled }
    } catch {
      await rollBack()
      throw error
    }
    let commit = try await runShielded(StatementRequest([.command("COMMIT")]))
    guard commit.first?.commandTag == "COMMIT" else {
      throw PostgresError(
        .server(PostgresSQLState.inFailedTransaction), "a statement had failed: the COMMIT rolled the transaction back",
        statement: "COMMIT")
    }
    return result
  }

  /// Rolls back, whatever the state of the task; a connection that cannot is unusable.
  private nonisolated func rollBack() async {
    do throws(PostgresError) {
      _ = try await runShielded(StatementRequest([.command("ROLLBACK")]))
    } catch {
      await end(error)
    }
  }

  /// Makes the session usable by any caller again after a borrower has returned it: waits for what is in flight
  /// and rolls back what was left open.
  /// - Returns: false if the connection is over.
  nonisolated func settle() async -> Bool {
    guard let status = await statusWhenIdle() else { return false }
    if status == .idle { return true }
    logger.error("a transaction was left open on a borrowed connection; it is rolled back")
    await rollBack()
    return !isClosed
  }

  private nonisolated func statusWhenIdle() async -> PostgresConnectionHandle.TransactionStatus? {
    if let status = await statusIfIdle() { return status }
    // An empty request ends with its Sync, behind everything that was sent before.
    _ = try? await runShielded(StatementRequest([]))
    return isClosed ? nil : await transactionStatus
  }

  private func statusIfIdle() -> PostgresConnectionHandle.TransactionStatus? {
    ledger.isEmpty && waiting.isEmpty && script == nil ? handle?.transactionStatus : nil
  }

  private var transactionStatus: PostgresConnectionHandle.TransactionStatus? { handle?.transactionStatus }
}

extension StatementRequest.Step {
  /// A command without parameters that is not worth preparing.
  static func command(_ sql: String) -> StatementRequest.Step {
    StatementRequest.Step(statement: PostgresStatement(unprepared: sql), parameters: EncodedParameters())
  }
}
