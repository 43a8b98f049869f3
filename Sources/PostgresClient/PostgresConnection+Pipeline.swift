internal import DequeModule
internal import Logging
internal import PollExecutor

// Sending and receiving, all of it on the connection's thread. A turn: answers are read and given to their tasks; these leave
// new requests in the inbox; `pump` sends them together.
extension PostgresConnection {
  /// Sends what waits, as far as the socket takes it, and starts cancellations.
  func pump() {
    let new = inbox.take()
    guard handle != nil, connecting == nil else { return answerUnsent(new.requests) }
    waiting.append(contentsOf: new.requests)
    if new.hasCancellation { noteCancellation() }
    if !waiting.isEmpty { sendWaiting() }
    if isClosing && waiting.isEmpty && ledger.isEmpty && script == nil && handle != nil {
      end(PostgresError(.closed, "closed by this process"))
    }
  }

  private func answerUnsent(_ requests: [StatementRequest]) {
    for request in requests {
      request.reply.complete(.failure(inbox.refusal ?? PostgresError(.connectionFailed, "not connected")))
    }
  }

  private func sendWaiting() {
    // Each Sync writes to the socket (libpq 15); corked, they leave as one packet, and wake the server once.
    let isCorked = waiting.count > 1
    if isCorked { handle?.setCork(true) }
    while let request = waiting.first, !isBlocked, cancellation.allowsSending, script == nil {
      if case .script = request.work, !ledger.isEmpty { break }
      waiting.removeFirst()
      // Cancelled before it was sent.
      if request.reply.isAnswered { continue }
      if ledger.isEmpty { expectAnswers() }
      guard send(request) else { return lose() }
      flush()
    }
    if isCorked { handle?.setCork(false) }
  }

  private func send(_ request: StatementRequest) -> Bool {
    switch request.work {
    case .script(let text):
      script = ScriptProgress(request: request)
      return handle?.sendScript(text) == true
    case .statements(let steps):
      var sent: [PipelineLedger<StatementRequest, PostgresRows>.Step] = []
      sent.reserveCapacity(steps.count)
      // A second try does not rely on plans, so that it meets no outdated one and any error is the true one.
      let isSent = steps.allSatisfy { send($0, usesPlan: !request.isRetry, &sent) } && handle?.sendSync() == true
      ledger.append(request, sent)
      return isSent
    }
  }

  private func send(
    _ step: StatementRequest.Step, usesPlan: Bool, _ sent: inout [PipelineLedger<StatementRequest, PostgresRows>.Step]
  ) -> Bool {
    guard step.statement.isPrepared && usesPlan else {
      sent.append(.execute(nil, label: step.statement.label))
      return handle?.sendUnprepared(step.statement.sql, step.parameters) == true
    }
    let types = step.parameters.types
    let (entry, isNew) = prepared.use(.init(statement: step.statement, types: types))
    if isNew {
      sent.append(.prepare(entry))
      guard handle?.sendPrepare(entry.serverName, sql: step.statement.sql, types: types) == true else { return false }
    }
    sent.append(.execute(entry, label: step.statement.name))
    return handle?.sendPrepared(entry.serverName, step.parameters) == true
  }

  /// Writes what is buffered. While the socket takes no more, it is watched for both directions: the server may be
  /// waiting for us to read before it reads on.
  private func flush() {
    switch handle?.flush() ?? -1 {
    case 0:
      if isBlocked { executor.rewatch(watchedSocket, for: .read) }
      isBlocked = false
    case 1:
      if !isBlocked { executor.rewatch(watchedSocket, for: [.read, .write]) }
      isBlocked = true
    default: lose()
    }
  }

  // MARK: Receiving

  /// Called whenever the socket is ready.
  func becameReady(_ ready: ThreadExecutor.Readiness) {
    guard connecting == nil else { return continueConnecting() }
    guard handle != nil else { return }
    let isOpen = handle?.consumeInput() == true
    if answerWatch.timer != nil { answerWatch.heardAt = .now }
    // Even of a lost connection: what came before the loss is still an answer.
    readAnswers()
    readNotifications()
    logNotices()
    guard isOpen else { return lose() }
    if isBlocked { flush() }
    if handle != nil { pump() }
  }

  private func readAnswers() {
    while handle?.isBusy == false, script != nil || !ledger.isEmpty {
      guard let answer = handle?.nextAnswer() else { return }
      if script != nil {
        takeScriptAnswer(answer)
      } else if !take(answer) {
        return
      }
    }
  }

  /// Gives an answer to its request; false if no more is to be read now.
  private func take(_ answer: PipelineAnswer) -> Bool {
    switch answer {
    case .end: return ledger.end()
    case .skipped: return expect(ledger.skip())
    case .failed(let error, let isFatal):
      // A fatal error ends the session: what was in flight is answered as lost, with the server's reason.
      if isFatal { lose(error) }
      return !isFatal && expect(ledger.fail(error))
    case .rows(let result):
      noteTransactionBlock(result)
      return expect(ledger.answer(PostgresRows(result: result, columns: columns(of: result))))
    case .sync:
      guard let finished = ledger.sync() else { return expect(false) }
      finish(finished)
      return true
    }
  }

  /// Ends the connection if an answer came that no request asked for.
  private func expect(_ isExpected: Bool) -> Bool {
    if !isExpected { lose(PostgresError(.connectionLost, "the server answered out of order")) }
    return isExpected
  }

  private func columns(of result: ResultBox) -> Columns {
    switch ledger.current {
    case .execute(let entry?, _)?: prepared.columns(of: result, entry)
    case .execute(nil, let label)?: Columns(of: result, statement: label)
    case .prepare?, nil: .none
    }
  }

  /// libpq reports the state of the session only while nothing is in flight; until then the commands' tags show it.
  private func noteTransactionBlock(_ result: ResultBox) {
    guard result.columnCount == 0 else { return }
    switch result.commandTag {
    case "BEGIN", "START TRANSACTION": isInTransactionBlock = true
    case "COMMIT", "ROLLBACK", "PREPARE TRANSACTION": isInTransactionBlock = false
    default: break
    }
  }

  private func finish(_ finished: PipelineLedger<StatementRequest, PostgresRows>.Finished) {
    for entry in finished.unprepared { prepared.remove(entry) }
    let request = finished.request
    if case .failure(let error) = finished.outcome, error.isReadOnly { onReadOnly(self) }
    if ledger.isEmpty { isInTransactionBlock = handle?.transactionStatus != .idle }
    // Outside of a transaction block everything up to the Sync was rolled back, so that it can be run again.
    if finished.isStale && !request.isRetry && !isInTransactionBlock {
      waiting.prepend(StatementRequest(retrying: request))
    } else {
      request.reply.complete(finished.outcome)
    }
    if ledger.isEmpty { cancellation.endOfFlight() } else { cancelAbandoned() }
  }

  private func takeScriptAnswer(_ answer: PipelineAnswer) {
    switch answer {
    case .rows, .skipped, .sync: break
    case .failed(let error, let isFatal):
      if script?.error == nil { script?.error = error }
      if isFatal { lose(error) }
    case .end:
      guard let ended = script else { return }
      script = nil
      guard handle?.endScript() == true else { return lose() }
      isInTransactionBlock = handle?.transactionStatus != .idle
      ended.request.reply.complete(ended.error.map { .failure($0) } ?? .success([]))
      cancellation.endOfFlight()
    }
  }

  private func readNotifications() {
    while let notification = handle?.nextNotification() { notify(notification) }
  }

  private func logNotices() {
    for notice in handle?.takeNotices() ?? [] {
      logger.debug(
        "notice of Postgres", metadata: ["notice": "\(notice.message)", "sqlstate": "\(notice.sqlState ?? "")"])
      // The reason why an idle session is ended comes as a notice.
      if notice.isEndOfSession { lose(notice) }
    }
  }

  /// Ends the connection as lost.
  func lose(_ reason: PostgresError? = nil) {
    guard handle != nil else { return }
    let message = reason?.message ?? configuration.redacted(handle?.errorMessage ?? "")
    var error = PostgresError(.connectionLost, "\(configuration): \(message)")
    error.sqlState = reason?.sqlState
    logger.debug("connection to Postgres lost", metadata: ["reason": "\(message)"])
    end(error)
  }
}

extension PostgresError {
  /// The server ends this session for a reason of its own.
  fileprivate var isEndOfSession: Bool {
    sqlState.map { ["57P01", "57P02", "57P04", "57P05", "25P03"].contains($0) } ?? false
  }
}

extension Columns {
  static let none = Columns()
}
