internal import Logging
internal import PollExecutor
internal import Resilience
internal import Synchronization

// Getting a connection, by waiting for one or by making one.
extension PostgresPool {
  /// How long sessions that can only read are not reported again: the one in place of such a session may be no better.
  private static let readOnlySilence = Duration.seconds(60)

  private enum Found {
    case connection(PostgresConnection)
    case nothing(PostgresReply<PostgresConnection>)
    case refused
  }

  /// A connection for one use, which `release` ends.
  func acquire(_ demand: Machine.Demand) async throws(PostgresError) -> PostgresConnection {
    guard !Task.isCancelled else { throw .cancelled }
    let found = state.withLock { state -> Found in
      if state.isClosed { return .refused }
      let found: Found
      if let connection = state.machine.acquire(demand) {
        found = .connection(connection)
      } else {
        let reply = PostgresReply<PostgresConnection>()
        state.machine.wait(demand, reply)
        found = .nothing(reply)
      }
      startConnecting(&state)
      return found
    }
    switch found {
    case .connection(let connection): return connection
    case .refused: throw .poolClosed
    case .nothing(let reply): return try await wait(reply)
    }
  }

  private func wait(_ reply: PostgresReply<PostgresConnection>) async throws(PostgresError) -> PostgresConnection {
    let timer = executor.schedule(after: configuration.acquireTimeout) {
      // First, so that code that runs after the answer no longer sees the waiter.
      self.removeWaiter(reply)
      reply.complete(.failure(self.acquireTimeoutError()))
    }
    defer { executor.cancel(timer) }
    return try await reply.value { self.removeWaiter(reply) }
  }

  private func removeWaiter(_ reply: PostgresReply<PostgresConnection>) {
    state.withLock { state in
      state.machine.removeWaiters { $0 === reply }
      // Callers behind a borrower may not have to wait any more.
      serve(&state)
    }
  }

  private func acquireTimeoutError() -> PostgresError {
    let (failure, open, borrowed) = state.withLock {
      ($0.lastFailure, $0.machine.openCount, $0.machine.borrowedCount)
    }
    let waited = "no connection within \(configuration.acquireTimeout) (acquireTimeout)"
    if let failure {
      return PostgresError(.connectionFailed, "\(waited): \(failure.message)", sqlState: failure.sqlState)
    }
    if open == 0 {
      return PostgresError(
        .connectionFailed, "\(waited): connecting to \(configuration) goes on, and nothing has failed so far")
    }
    return PostgresError(
      .connectionFailed,
      "\(waited): of \(open) connections (poolSize \(configuration.poolSize)) \(borrowed) are borrowed, the others are in use"
    )
  }

  func release(_ connection: PostgresConnection, _ demand: Machine.Demand) {
    state.withLock { state in
      state.machine.release(connection, demand)
      serve(&state)
      startConnecting(&state)
    }
  }

  private func serve(_ state: inout sending State) {
    state.machine.serve { waiter, connection in waiter.complete(.success(connection)) }
  }

  // MARK: Connecting

  private func startConnecting(_ state: inout sending State) {
    while !state.isClosed, state.machine.beginConnecting() {
      let number = state.nextConnector
      state.nextConnector += 1
      // Unstructured: it serves every waiter, and goes on when the caller that started it has left. `close()` ends it.
      state.connectors[number] = Task {
        await self.keepConnecting()
        self.state.withLock { $0.connectors[number] = nil }
      }
    }
  }

  /// Connects, with backoff, until it succeeds or no caller needs it any more.
  private func keepConnecting() async {
    while true {
      do throws(PostgresError) {
        let connection = try await connect()
        return await add(connection)
      } catch {
        guard let (attempt, isNew) = noteFailure(error) else { return }
        logger.log(
          level: isNew ? .warning : .debug, "cannot connect to Postgres; trying again until it works",
          metadata: ["error": "\(error)", "attempt": "\(attempt + 1)"])
        do {
          try await Task.sleep(for: configuration.reconnect.delay(attempt: attempt))
        } catch {
          return state.withLock { $0.machine.abandoned() }
        }
      }
    }
  }

  private func connect() async throws(PostgresError) -> PostgresConnection {
    try await PostgresConnection.connect(
      configuration, on: executor, logger: logger,
      callbacks: .init(
        onNotification: { _ in }, onClose: { [weak self] connection, error in self?.remove(connection, error) },
        onReadOnly: { [weak self] connection in self?.retire(connection) },
        onFault: { [weak self] error in self?.state.withLock { $0.lastFailure = error } }))
  }

  private func add(_ connection: PostgresConnection) async {
    let (isClosed, hadFailed) = state.withLock { state in
      if state.isClosed {
        state.machine.abandoned()
        return (true, false)
      }
      let hadFailed = state.notice.worked()
      state.lastFailure = nil
      if state.machine.connected(connection) { state.reconnectCount += 1 }
      serve(&state)
      startConnecting(&state)
      return (false, hadFailed)
    }
    if isClosed { return await connection.close() }
    if hadFailed { logger.notice("connected to Postgres again") }
    // Lost before it was in the pool: then it was not removed yet.
    if connection.isClosed { remove(connection, nil) }
  }

  /// - Returns: the number of the failed attempt from 0, if another is to follow, and whether its reason is to be logged.
  private func noteFailure(_ error: PostgresError) -> (attempt: Int, isNew: Bool)? {
    let (attempt, isNew, refused) = state.withLock { state -> (Int?, Bool, [PostgresReply<PostgresConnection>]) in
      state.lastFailure = error
      // Waiting cannot help against a wrong password.
      let isFault = error.sqlState.map(PostgresSQLState.isConfigurationFault) ?? false
      let refused = isFault || !configuration.isPatient ? state.machine.removeAllWaiters() : []
      if state.isClosed {
        state.machine.abandoned()
        return (nil, false, refused)
      }
      let attempt = state.machine.failed()
      // An attempt that is not repeated is an error of the callers, who log it.
      return (attempt, attempt != nil && state.notice.failed(error.description), refused)
    }
    for waiter in refused { waiter.complete(.failure(error)) }
    return attempt.map { ($0, isNew) }
  }

  /// Replaces a connection whose session can only read: its server has become a standby, or was made read-only, and the writable one
  /// may be another. What runs on it may end.
  private func retire(_ connection: PostgresConnection) {
    let now = ContinuousClock.now
    let isNew = state.withLock { state -> Bool? in
      guard state.machine.lost(connection), !state.isClosed else { return nil }
      startConnecting(&state)
      let isNew = state.loggedReadOnly.map { now - $0 > Self.readOnlySilence } ?? true
      if isNew { state.loggedReadOnly = now }
      return isNew
    }
    guard let isNew else { return }
    logger.log(
      level: isNew ? .warning : .debug, "a session of Postgres can only read; replacing it by one that can write")
    // Unstructured: no task waits for it. It ends within `closeTimeout`.
    Task {
      await connection.close(
        refusingWith: PostgresError(
          .connectionFailed, "the session could only read, and is replaced",
          sqlState: PostgresSQLState.readOnlyTransaction))
    }
  }

  /// Takes a lost connection out and replaces it.
  private func remove(_ connection: PostgresConnection, _ error: PostgresError?) {
    let wasIn = state.withLock { state in
      guard state.machine.lost(connection), !state.isClosed else { return false }
      startConnecting(&state)
      return true
    }
    if wasIn {
      logger.warning("connection to Postgres lost; replacing it", metadata: ["error": "\(error?.description ?? "")"])
    }
  }
}
