internal import DequeModule
internal import Logging
internal import PollExecutor

/// One session with Postgres: an actor on a thread that waits for its socket. It never reconnects: once lost, it is over.
///
/// Any number of tasks may use it at once. Their statements are pipelined: sent without waiting for earlier answers, and run
/// by Postgres one after another, in the order of the calls. Each call has a Sync of its own and so is a transaction of
/// its own; the failure of one does not touch its neighbours. All that arrives within one turn of the thread leaves in one
/// packet.
///
/// A transaction (`withTransaction`) belongs to the session: while it is open, no other caller may use the connection. The
/// pool's `withTransaction` ensures that.
public actor PostgresConnection {
  nonisolated let executor: ThreadExecutor
  /// The thread of the connection, where libpq is called.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  nonisolated let logger: Logger
  nonisolated let inbox = Inbox()
  nonisolated let closed = Latch()
  let notify: @Sendable (PostgresNotification) -> Void
  private let finishNotifications: @Sendable () -> Void
  private let onClose: @Sendable (PostgresConnection, PostgresError) -> Void
  let onReadOnly: @Sendable (PostgresConnection) -> Void
  let configuration: PostgresConfiguration

  var handle: PostgresConnectionHandle?
  var watchedSocket: Int32 = -1
  var connecting: (reply: PostgresReply<Void>, deadline: ThreadExecutor.Token)?

  var waiting: Deque<StatementRequest> = []
  var ledger = PipelineLedger<StatementRequest, PostgresRows>()
  var prepared = PreparedStatements()
  var script: ScriptProgress?
  /// Whether a caller has a transaction block open, according to the answers read so far.
  var isInTransactionBlock = false
  /// Whether the socket takes no more at the moment: nothing is sent until it does.
  var isBlocked = false
  var cancellation = CancellationProgress.none
  var answerWatch = AnswerWatch()
  var isClosing = false
  let blocking: BlockingCalls

  /// Notifications for the owner of a connection, on the connection's thread.
  struct Callbacks: Sendable {
    /// If it is missing, `notifications` gets them.
    var onNotification: (@Sendable (PostgresNotification) -> Void)?
    var onClose: @Sendable (PostgresConnection, PostgresError) -> Void = { _, _ in }
    /// A statement was refused as the session can only read (25006).
    var onReadOnly: @Sendable (PostgresConnection) -> Void = { _ in }
    /// One of several addresses has failed, and the next is tried; on any thread.
    var onFault: @Sendable (PostgresError) -> Void = { _ in }
  }

  /// The answers to a script so far.
  struct ScriptProgress {
    let request: StatementRequest
    var error: PostgresError?
  }

  /// At most this many notifications wait for the reader of `notifications`; then the oldest are dropped.
  public static let notificationCountMax = 4_096

  /// What this session was notified of, after a `LISTEN`; ends with the connection. For one reader.
  ///
  /// If more than `notificationCountMax` wait, the oldest are dropped: prefer `PostgresListener`, which reports that.
  public nonisolated let notifications: AsyncStream<PostgresNotification>

  init(
    configuration: PostgresConfiguration, executor: ThreadExecutor, blocking: BlockingCalls, logger: Logger,
    callbacks: Callbacks
  ) {
    let (stream, continuation) = AsyncStream.makeStream(
      of: PostgresNotification.self, bufferingPolicy: .bufferingNewest(Self.notificationCountMax))
    self.configuration = configuration
    self.executor = executor
    self.blocking = blocking
    self.logger = logger
    notifications = stream
    notify = callbacks.onNotification ?? { continuation.yield($0) }
    finishNotifications = { continuation.finish() }
    onClose = callbacks.onClose
    onReadOnly = callbacks.onReadOnly
  }

  isolated deinit {
    if watchedSocket >= 0 { executor.unwatch(watchedSocket) }
  }

  /// When the session's last sign of life was, while answers are owed.
  struct AnswerWatch {
    var heardAt = ContinuousClock.now
    var timer: ThreadExecutor.Token?
  }

  // MARK: Queries

  /// Runs one statement as a transaction of its own, unless `withTransaction` has one open.
  ///
  /// If the prepared statement is gone from the server or outdated, the statement is run once more, without it;
  /// the next use prepares it again.
  /// - Throws: `PostgresError`; if `isConnectionLost` or `cancelled`, it may have been run.
  @discardableResult
  public nonisolated func query(
    _ statement: PostgresStatement, _ parameters: [any PostgresEncodable] = []
  ) async throws(PostgresError) -> PostgresRows {
    try await run([try StatementRequest.Step(statement, parameters)])[0]
  }

  /// Runs statements in one round trip and as one transaction: an error rolls all back and is thrown.
  ///
  /// They must not contain `BEGIN`, `COMMIT` or commands that refuse to run in a transaction block.
  /// - Returns: the rows of each, in order.
  @discardableResult
  public nonisolated func pipeline(
    _ steps: [(PostgresStatement, [any PostgresEncodable])]
  ) async throws(PostgresError) -> [PostgresRows] {
    var encoded: [StatementRequest.Step] = []
    encoded.reserveCapacity(steps.count)
    for (statement, parameters) in steps { encoded.append(try StatementRequest.Step(statement, parameters)) }
    return try await run(encoded)
  }

  /// Runs a text of any number of commands in the simple protocol, without parameters: for migrations.
  ///
  /// One implicit transaction, unless the text has transaction commands of its own. Statements of other tasks wait.
  public nonisolated func execute(script: String) async throws(PostgresError) {
    _ = try await run(StatementRequest(.script(script)))
  }

  nonisolated func run(_ steps: [StatementRequest.Step]) async throws(PostgresError) -> [PostgresRows] {
    try await run(StatementRequest(steps))
  }

  nonisolated func run(_ request: StatementRequest) async throws(PostgresError) -> [PostgresRows] {
    guard !Task.isCancelled else { throw .cancelled }
    submit(request)
    return try await request.reply.value {
      if self.inbox.addCancellation() { self.announce() }
    }
  }

  /// Runs what must be run although the task may have been cancelled, such as a ROLLBACK.
  nonisolated func runShielded(_ request: StatementRequest) async throws(PostgresError) -> [PostgresRows] {
    submit(request)
    return try await request.reply.outcome().get()
  }

  nonisolated func submit(_ request: StatementRequest) {
    if inbox.add(request) { announce() }
  }

  /// Makes the thread look into the inbox within its next turn. What arrives until then goes along.
  nonisolated func announce() {
    _ = executor.schedule(after: .zero) { self.assumeIsolated { $0.pump() } }
  }

  // MARK: The end

  /// How long `close()` waits for answers.
  public static let closeTimeout = Duration.seconds(5)

  /// Refuses new statements, waits for those that were accepted, at most `closeTimeout`, and ends the session.
  public func close() async { await close(refusingWith: PostgresError(.closed, "closed by this process")) }

  /// - Parameter error: what statements get that come from now on.
  func close(refusingWith error: PostgresError) async {
    inbox.close(error)
    isClosing = true
    let timer = executor.schedule(after: Self.closeTimeout) {
      self.assumeIsolated {
        $0.end(PostgresError(.closed, "closed by this process, \(Self.closeTimeout) after the call"))
      }
    }
    pump()
    await closed.waitShielded()
    executor.cancel(timer)
  }

  /// Waits until the connection was lost or closed, or until the task is cancelled.
  public nonisolated func waitUntilClosed() async { await closed.wait() }

  /// Whether the connection was lost or closed.
  public nonisolated var isClosed: Bool { closed.isOpen }

  /// The server's process for this session, as in `pg_stat_activity`; 0 if the connection is closed.
  public var backendPID: Int32 { handle?.backendPID ?? 0 }
  /// The server's version, such as 150018 for 15.18; 0 if the connection is closed.
  public var serverVersion: Int32 { handle?.serverVersion ?? 0 }

  /// Ends the session now and answers all waiting callers.
  /// - Parameter error: of the kind `closed` or `connectionLost`; later callers get it as the reason.
  func end(_ error: PostgresError) {
    guard !closed.isOpen else { return }
    unwatch()
    answerWatch.timer.map { executor.cancel($0) }
    handle = nil
    answerAll(error)
    connecting.map { connecting in
      executor.cancel(connecting.deadline)
      connecting.reply.complete(.failure(error))
    }
    connecting = nil
    closed.open()
    finishNotifications()
    onClose(self, error)
  }

  /// What was sent has an unknown outcome; what was not sent was not run.
  private func answerAll(_ error: PostgresError) {
    var lost = error
    lost.kind = .connectionLost
    var unsent = error
    if error.kind != .closed { unsent.kind = .connectionFailed }
    inbox.close(unsent)
    for request in ledger.removeAll() + (script.map { [$0.request] } ?? []) { request.reply.complete(.failure(lost)) }
    script = nil
    for request in waiting + inbox.take().requests { request.reply.complete(.failure(unsent)) }
    waiting = []
  }
}
