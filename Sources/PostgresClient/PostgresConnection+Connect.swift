public import Logging
package import PollExecutor

extension PostgresConnection {
  /// Opens a session: name look-up, TCP, TLS, log-in, settings.
  ///
  /// Hosts and addresses are tried one after another, each with a time of its own, see `PostgresConfiguration.connectTimeout`; the
  /// one that accepted last comes first. Unless the connection string names other `target_session_attrs`, only a server that
  /// can write is accepted.
  /// - Parameters:
  ///   - configuration: where to; `poolSize`, `acquireTimeout` and `reconnect` are not used here.
  ///   - logger: gets warnings of the server, at debug level.
  /// - Throws: `PostgresError` of the kind `connectionFailed`, which names each address with its fault, without the password; or
  ///   `cancelled`.
  public static func connect(
    _ configuration: PostgresConfiguration, logger: Logger
  ) async throws(PostgresError) -> PostgresConnection {
    try await connect(configuration, on: ThreadExecutor(name: "postgres"), logger: logger)
  }

  /// The same, on a given executor.
  /// - Parameters:
  ///   - configuration: server, TLS and times.
  ///   - executor: its thread calls libpq; may serve several connections. Names are looked up on another one.
  ///   - logger: for what it reports.
  package static func connect(
    _ configuration: PostgresConfiguration, on executor: ThreadExecutor, logger: Logger
  ) async throws(PostgresError) -> PostgresConnection {
    try await connect(configuration, on: executor, logger: logger, callbacks: Callbacks())
  }

  static func connect(
    _ configuration: PostgresConfiguration, on executor: ThreadExecutor, logger: Logger, callbacks: Callbacks
  ) async throws(PostgresError) -> PostgresConnection {
    let attempt = ConnectAttempt(configuration, executor: executor, logger: logger, callbacks: callbacks)
    return try await attempt.run()
  }

  func start(
    _ parameters: [(keyword: String, value: String)], tcpTimeout: Duration, loginTimeout: Duration,
    _ reply: PostgresReply<Void>
  ) {
    let deadline = executor.schedule(after: tcpTimeout) { [weak self] in
      self?.assumeIsolated { $0.noAnswerYet(after: tcpTimeout, loginTimeout: loginTimeout) }
    }
    connecting = (reply, deadline)
    handle = PostgresConnectionHandle(parameters: parameters)
    guard let hasFailed = handle?.hasFailed, !hasFailed else {
      return failConnecting(handle?.errorMessage ?? "no memory")
    }
    // libpq, 34.1: after the start, as if the last poll had asked to write.
    watch(for: .write)
  }

  /// Whether the session is encrypted.
  var isEncrypted: Bool { handle?.isEncrypted ?? false }

  /// Goes on with the handshake; the socket may have become another one.
  func continueConnecting() {
    unwatch()
    switch handle?.connect() ?? .failed {
    case .wantsRead: watch(for: .read)
    case .wantsWrite: watch(for: .write)
    case .failed: failConnecting(handle?.errorMessage ?? "")
    case .done:
      guard handle?.beginPipelining() == true else { return failConnecting(handle?.errorMessage ?? "") }
      watch(for: .read)
      finishConnecting()
    }
  }

  private func finishConnecting() {
    guard let (reply, deadline) = connecting else { return }
    connecting = nil
    executor.cancel(deadline)
    // No task waits any more: it was cancelled in the meantime.
    if !reply.complete(.success(())) { end(.cancelled) }
  }

  /// An address without an answer to TCP is given up; a server that has accepted gets its time for TLS and log-in.
  private func noAnswerYet(after time: Duration, loginTimeout: Duration) {
    guard let (reply, _) = connecting else { return }
    if handle?.awaitsTCP != false { return failConnecting("no answer within \(time); is it reachable?") }
    let deadline = executor.schedule(after: loginTimeout) { [weak self] in
      self?.assumeIsolated {
        $0.failConnecting("it accepts connections, but no log-in was finished within \(time + loginTimeout)")
      }
    }
    connecting = (reply, deadline)
  }

  private func failConnecting(_ message: String) {
    guard connecting != nil else { return }
    let (text, state) = Self.takeState(outOf: configuration.redacted(message))
    end(PostgresError(.connectionFailed, text, sqlState: state))
  }

  /// The SQLSTATE that libpq writes into verbose messages: `FATAL:  28P01: password authentication failed …`; the two
  /// blanks tell it from the severity.
  static func takeState(outOf message: String) -> (message: String, state: String?) {
    guard let match = message.firstMatch(of: #/:  ([0-9A-Z]{5}): /#) else {
      // libpq's own verdict of `target_session_attrs`, which has no code.
      let isReadOnly = message.contains("session is read-only") || message.contains("in hot standby mode")
      return (message, isReadOnly ? PostgresSQLState.readOnlyTransaction : nil)
    }
    var message = message
    message.replaceSubrange(match.range, with: ": ")
    return (message, String(match.output.1))
  }

  // MARK: The socket

  /// Watches the socket that the connection has now.
  func watch(for events: ThreadExecutor.Readiness) {
    watchedSocket = handle?.socket ?? -1
    guard watchedSocket >= 0 else { return }
    executor.watch(watchedSocket, for: events) { [weak self] ready in
      self?.assumeIsolated { $0.becameReady(ready) }
    }
  }

  func unwatch() {
    if watchedSocket >= 0 { executor.unwatch(watchedSocket) }
    watchedSocket = -1
  }
}

extension ThreadExecutor {
  /// Runs a body on the thread within its next turn.
  func enqueueOnce(_ body: @escaping @Sendable () -> Void) {
    _ = schedule(after: .zero, handler: body)
  }
}
