public import Logging
internal import PollExecutor

/// One connection to a broker: an actor on a thread of its own, which waits in poll(2).
///
/// It never reconnects: when lost, it is over, every pending call throws and every publish in flight is unknown. Use it
/// for one-off work, such as declaring a topology; `AMQPPublisher` and `AMQPConsumer` keep one alive.
///
/// All writing and reading happens in `turn()`: settle, publish, read. Nothing waits for the broker except by a
/// continuation that the reading resumes, so calls, confirms and deliveries share the connection without losing frames.
///
/// Known weakness: connecting blocks the thread, for a name look-up even beyond its timeout; and a body larger than
/// what the socket takes at once blocks it until the broker has read enough, at most for two heartbeats.
public actor AMQPConnection {
  /// The channel for publishing or consuming; others are opened for one call and closed, but for one that is kept for looks at queues.
  static let mainChannel: UInt16 = 1
  /// The most frames read in one turn, so that a flood of deliveries does not starve settlements.
  static let frameMaxPerTurn = 256

  nonisolated let executor: ThreadExecutor
  nonisolated let configuration: AMQPConfiguration
  nonisolated let logger: Logger
  nonisolated let events: AsyncStream<ConnectionEvent>
  nonisolated let eventSink: AsyncStream<ConnectionEvent>.Continuation

  var handle: AMQPConnectionHandle?
  /// Why the connection is over.
  var loss: AMQPError?
  var channels: [UInt16: ChannelState] = [:]
  /// Counts how often the main channel was opened.
  var epoch = 0
  /// Kept for looks at queues; not open any more after one that the broker has refused.
  var lookChannel: OpenChannel?
  /// Whether a look uses its channel: a refusal would be the answer of every call on it.
  var isLooking = false
  var publishing: Publishing?
  var consumption: ChannelConsumption?
  /// The deliveries of this turn, handed over at its end.
  var received: [AMQPDelivery] = []
  var isBlocked = false
  var isClosing = false
  var confirmWaiters: [CheckedContinuation<Void, Never>] = []

  /// The broker's address, for logs.
  private(set) var name = "none"
  /// The largest frame, as agreed with the broker.
  private(set) var frameByteMax = AMQPLimits.frameByteMax
  private var descriptor: Int32 = -1
  private var isAwaitingWritable = false
  private var turnHandler: ThreadExecutor.Token?
  private var tick: ThreadExecutor.Token?

  /// The thread's executor.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  init(_ configuration: AMQPConfiguration, executor: ThreadExecutor, logger: Logger) {
    self.executor = executor
    self.configuration = configuration
    self.logger = logger
    (events, eventSink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(64))
  }

  isolated deinit {
    lose(.lost("keep the connection", "it was released without being closed"))
  }

  // MARK: Open and close

  /// Connects to the first endpoint that accepts.
  ///
  /// Cancellation is noticed between endpoints. Close the connection when done with it.
  /// - Throws: the failure of the endpoints; permanent only if every one of them refuses for good.
  public static func connect(_ configuration: AMQPConfiguration, logger: Logger) async throws(AMQPError)
    -> AMQPConnection
  {
    try await connect(configuration, executor: ThreadExecutor(name: "amqp"), logger: logger)
  }

  static func connect(
    _ configuration: AMQPConfiguration, executor: ThreadExecutor, logger: Logger
  ) async throws(AMQPError) -> AMQPConnection {
    guard !configuration.endpoints.isEmpty else {
      throw AMQPError(
        operation: "connect", text: "the configuration has no endpoint", scope: .configuration, isPermanent: true)
    }
    var failures: [AMQPError] = []
    for endpoint in configuration.preferred.ordered(configuration.endpoints) where !Task.isCancelled {
      let connection = AMQPConnection(
        configuration.applying(endpoint.parameters), executor: executor, logger: logger)
      do {
        try await connection.open(endpoint)
        configuration.preferred.note(endpoint)
        logger.debug("connected to the broker", metadata: ["endpoint": "\(endpoint)"])
        return connection
      } catch {
        failures.append(error)
      }
    }
    // One that may recover keeps the hope for all.
    let first = failures.first { !$0.isPermanent } ?? failures.first ?? .lost("connect", "the task was cancelled")
    guard failures.count > 1 else { throw first }
    throw AMQPError(
      operation: "connect to one of \(failures.count) brokers", code: first.code,
      text: failures.map(\.summary).joined(separator: "; "), scope: first.scope, isPermanent: first.isPermanent)
  }

  private func open(_ endpoint: AMQPEndpoint) throws(AMQPError) {
    var handle = try AMQPConnectionHandle()
    try handle.open(endpoint, configuration)
    descriptor = handle.descriptor
    frameByteMax = handle.frameByteMax
    name = "\(endpoint)"
    self.handle = consume handle
    channels[0] = ChannelState()
    // The turn that follows the wake-up reads.
    executor.watch(descriptor, for: .read) { _ in }
    turnHandler = executor.onEveryTurn { [weak self] in self?.assumeIsolated { $0.turn() } ?? false }
    scheduleTick()
  }

  /// Sends what is settled, waits for the confirms in flight (at most the RPC timeout), and closes. Never throws: if
  /// the broker does not answer, or reads nothing because of an alarm, the socket is closed anyway. Unsettled
  /// deliveries go back to the broker.
  public func close() async {
    guard handle != nil, !isClosing else { return }
    isClosing = true
    flushSettlements(early: true)
    if !isBlocked { await awaitConfirms() }
    do {
      _ = try await call(.closeConnection, on: 0)
    } catch {
      logger.debug("the broker did not confirm the close", metadata: ["error": "\(error)"])
    }
    lose(.lost("keep the connection", "it was closed by this client"))
  }

  /// The connection is over: everything that waits for it gets the error.
  func lose(_ error: AMQPError) {
    guard handle != nil else { return }
    loss = error
    executor.unwatch(descriptor)
    for token in [turnHandler, tick] { if let token { executor.cancel(token) } }
    handle = nil
    let channels = self.channels.values
    self.channels = [:]
    for channel in channels { fail(channel, error) }
    dropMainChannel(reason: "\(error)")
    resumeConfirmWaiters()
    eventSink.yield(.lost(error))
    eventSink.finish()
  }

  // MARK: Turns

  /// Writes what waits, and reads what is there.
  /// - Returns: whether there is more to read at once.
  func turn() -> Bool {
    guard handle != nil else { return false }
    if isAwaitingWritable { noticeWritable() }
    flushSettlements()
    pump()
    let hasMore = readFrames()
    pump()
    resumeConfirmWaitersWhenIdle()
    // A write may have read into memory, where poll(2) sees nothing.
    return handle != nil && (hasMore || handle?.hasBufferedInput == true)
  }

  /// Asks for a turn from any thread, for those who have left something to write.
  nonisolated func wakeUp(after delay: Duration = .zero) {
    _ = executor.schedule(after: delay) { [weak self] in self?.assumeIsolated { $0.turnIfAwaited() } }
  }

  /// The turn that the wake-up itself caused has mostly done the work already.
  private func turnIfAwaited() {
    guard publishing?.queue.isAwaited == true || consumption?.buffer.isDue == true else { return }
    if turn() { wakeUpToRead() }
  }

  private func wakeUpToRead() {
    _ = executor.schedule(after: .zero) { [weak self] in
      self?.assumeIsolated { if $0.turn() { $0.wakeUpToRead() } }
    }
  }

  /// librabbitmq sends heartbeats and notices silence only when it is called.
  private func scheduleTick() {
    tick = executor.schedule(after: max(configuration.heartbeat, .seconds(1)) / 2) { [weak self] in
      self?.assumeIsolated { connection in
        guard connection.handle != nil else { return }
        connection.scheduleTick()
        if connection.turn() { connection.wakeUpToRead() }
      }
    }
  }

  /// Whether bytes may be written without blocking; where not, the next turn comes when they may.
  func canWrite() -> Bool {
    guard handle?.isWritable == true else {
      isAwaitingWritable = true
      executor.rewatch(descriptor, for: [.read, .write])
      return false
    }
    return true
  }

  private func noticeWritable() {
    guard handle?.isWritable == true else { return }
    isAwaitingWritable = false
    executor.rewatch(descriptor, for: .read)
  }
}
