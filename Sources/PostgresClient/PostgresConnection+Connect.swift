public import Executors
public import Logging

extension PostgresConnection {
  /// Opens a session: name look-up, TCP, TLS, log-in, settings; within `connectTimeout`.
  /// - Parameters:
  ///   - configuration: where to; `poolSize`, `acquireTimeout` and `reconnect` are not used here.
  ///   - executor: its thread calls libpq; may serve several connections. A look-up of host names blocks it: give
  ///     addresses, or a thread per connection, where the resolver is slow.
  ///   - logger: gets warnings of the server, at debug level.
  /// - Throws: `PostgresError` of the kind `connectionFailed`, without the password, or `cancelled`.
  public static func connect(
    _ configuration: PostgresConfiguration, on executor: ThreadExecutor = ThreadExecutor(name: "postgres"),
    logger: Logger
  ) async throws(PostgresError) -> PostgresConnection {
    try await connect(configuration, on: executor, logger: logger, callbacks: Callbacks())
  }

  static func connect(
    _ configuration: PostgresConfiguration, on executor: ThreadExecutor, logger: Logger, callbacks: Callbacks
  ) async throws(PostgresError) -> PostgresConnection {
    let parameters = try configuration.parameters()
    let connection = PostgresConnection(
      configuration: configuration, executor: executor, logger: logger, callbacks: callbacks)
    let reply = Reply<Void>()
    await connection.start(parameters, reply)
    try await reply.value {
      executor.enqueueOnce { connection.assumeIsolated { $0.end(.cancelled) } }
    }
    return connection
  }

  private func start(_ parameters: [(keyword: String, value: String)], _ reply: Reply<Void>) {
    let deadline = executor.schedule(after: configuration.connectTimeout) { [weak self] in
      self?.assumeIsolated { $0.giveUpConnecting() }
    }
    connecting = (reply, deadline)
    handle = ConnectionHandle(parameters: parameters)
    guard let hasFailed = handle?.hasFailed, !hasFailed else {
      return failConnecting(handle?.errorMessage ?? "no memory")
    }
    // libpq, 34.1: after the start, as if the last poll had asked to write.
    watch(for: .write)
  }

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
    // Nobody waits any more: the task was cancelled in the meantime.
    if !reply.complete(.success(())) { end(.cancelled) }
  }

  private func giveUpConnecting() {
    failConnecting(
      "no answer within \(configuration.connectTimeout) (connectTimeout); is the host right and reachable?")
  }

  private func failConnecting(_ message: String) {
    let (text, state) = Self.takeState(outOf: configuration.redacted(message))
    end(PostgresError(.connectionFailed, "\(configuration): \(text)", sqlState: state))
  }

  /// The SQLSTATE that libpq writes into verbose messages: `FATAL:  28P01: password authentication failed …`; the two
  /// blanks tell it from the severity.
  static func takeState(outOf message: String) -> (message: String, state: String?) {
    guard let match = message.firstMatch(of: #/:  ([0-9A-Z]{5}): /#) else { return (message, nil) }
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
