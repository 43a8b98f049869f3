public import Logging
internal import PollExecutor
internal import Resilience
internal import Synchronization

/// A publisher that reconnects indefinitely and reports the outcome of every message.
///
/// Run `run()` for as long as messages are published. A publish before the first connection, or between two, waits for
/// the next one.
public final class AMQPPublisher: Sendable {
  /// What happens to the connection.
  public enum Event: Sendable, Hashable {
    /// Connected and ready to publish; `again` is true if it is not the first time.
    case connected(again: Bool)
    /// The connection or its channel was lost; it is being repaired.
    case lost(AMQPError)
    /// The broker takes no publishes (a memory or disk alarm); they wait.
    case blocked(reason: String)
    /// It takes them again.
    case unblocked
  }

  private struct State {
    var connection: AMQPConnection?
    var connects = 0
    var mayDeclare = true
    var notice = FaultNotice()
  }

  /// The connection's history, for one reader; the last 64 events are kept.
  public let events: AsyncStream<Event>

  private let configuration: AMQPConfiguration
  private let topology: AMQPTopology
  private let logger: Logger
  private let executor: ThreadExecutor
  private let queue: PublishQueue
  private let eventSink: AsyncStream<Event>.Continuation
  private let state = Mutex(State())

  /// Creates a publisher; nothing is connected until `run()`.
  /// - Parameters:
  ///   - configuration: where to connect; its name is what the broker shows.
  ///   - topology: declared at every connect, before the first publish.
  ///   - logger: logs interruptions.
  public init(configuration: AMQPConfiguration, topology: AMQPTopology, logger: Logger) {
    self.configuration = configuration
    self.topology = topology
    self.logger = logger
    executor = ThreadExecutor(name: "amqp-publish") { logger.warning("\($0)") }
    queue = PublishQueue(window: configuration.publishWindow, executor: executor)
    (events, eventSink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(64))
  }

  // MARK: Publishing

  /// Publishes a message and waits for its outcome. Never throws.
  ///
  /// Calls from many tasks share the connection: up to ``AMQPPublishWindow``'s messages and bytes are in flight at once. Cancellation
  /// does not end the wait, since it could not take a written message back.
  /// - Parameters:
  ///   - message: the message.
  ///   - exchange: the exchange; the empty name is the default exchange.
  ///   - routingKey: the routing key, for the default exchange a queue's name.
  ///   - mandatory: whether a message that no queue takes comes back as `.returned`.
  ///   - timeout: for connection and confirm together. Past it: `.notSent` if it was never written, else `.unknown`.
  public func publish(
    _ message: AMQPMessage, exchange: String, routingKey: String, mandatory: Bool = true,
    timeout: Duration = .seconds(10)
  ) async -> AMQPPublishOutcome {
    let publication = AMQPPublication(
      message, exchange: exchange, routingKey: routingKey, isMandatory: mandatory)
    return await queue.publish(publication, deadline: .now + timeout)
  }

  /// Publishes messages in their order and waits for all of them; cheaper than one by one.
  ///
  /// The timeout is for all together; see `publish(_:exchange:routingKey:mandatory:timeout:)`.
  /// - Returns: the outcomes, in the order of the messages.
  public func publish(
    _ publications: [AMQPPublication], timeout: Duration = .seconds(10)
  ) async -> [AMQPPublishOutcome] {
    await queue.publish(publications, deadline: .now + timeout)
  }

  /// Why a message cannot be sent by this publisher, whatever the state of the connection; nil if it can: too long, or larger than the
  /// broker takes, as far as that is known. Publishing it is `.notSent`.
  public func fault(of publication: AMQPPublication) -> String? { queue.fault(of: publication) }

  /// Whether the account may declare the topology, as the last declaration showed; if not, it was only looked for.
  public var mayDeclare: Bool { state.withLock { $0.mayDeclare } }

  /// Whether the broker takes no publishes at present (`connection.blocked`). RabbitMQ reports it only to connections that publish.
  public var isBlocked: Bool { queue.isBlocked }
  /// Whether there is a connection. It stays true while only the channel is opened again, which is reported as `.lost`.
  public var isConnected: Bool { state.withLock { $0.connection != nil } }
  /// How often the connection was made again.
  public var reconnects: Int { state.withLock { max(0, $0.connects - 1) } }

  // MARK: Queues

  /// Looks at a queue, on a channel of its own: a queue that is missing does not disturb publishing.
  /// - Throws: code 404 if it does not exist; `isConnectionLost` if there is no connection now.
  public func queueStatus(_ queue: String) async throws(AMQPError) -> AMQPQueueStatus {
    try await connection("look at queue '\(queue)'").queueStatus(queue)
  }

  /// Declares the topology again, as every connect does: for use after a part of it was deleted.
  public func declareTopology() async throws(AMQPError) {
    try await declareTopology(on: connection("declare"))
  }

  private func declareTopology(on connection: AMQPConnection) async throws(AMQPError) {
    let isDeclared = try await connection.declareOrFind(topology)
    let isNews = state.withLock { state in
      defer { state.mayDeclare = isDeclared }
      return state.mayDeclare && !isDeclared
    }
    if isNews {
      logger.notice("this account may not declare at the broker; it works with the exchanges and queues that are there")
    }
  }

  /// Removes the messages that are ready in a queue; see `AMQPConnection.purge(_:)`.
  public func purge(_ queue: String) async throws(AMQPError) -> Int {
    try await connection("purge queue '\(queue)'").purge(queue)
  }

  /// Looks at the first messages of a queue and puts them back; see `AMQPConnection.peek(_:limit:byteMax:)`.
  public func peek(_ queue: String, limit: Int, byteMax: Int = .max) async throws(AMQPError) -> [AMQPDelivery] {
    try await connection("look into queue '\(queue)'").peek(queue, limit: limit, byteMax: byteMax)
  }

  /// Looks at the first messages of a queue, removes some of them, and puts the others back to its head.
  /// - Parameters:
  ///   - queue: whose messages.
  ///   - limit: the most messages to look at.
  ///   - isUnwanted: which of them are removed.
  /// - Returns: those that were removed.
  /// - Throws: also if there is no connection.
  public func remove(
    from queue: String, limit: Int, where isUnwanted: @Sendable (AMQPDelivery) -> Bool
  ) async throws(AMQPError) -> [AMQPDelivery] {
    try await connection("remove from queue '\(queue)'").remove(from: queue, limit: limit, where: isUnwanted)
  }

  private func connection(_ operation: String) throws(AMQPError) -> AMQPConnection {
    guard let connection = state.withLock({ $0.connection }) else { throw .notConnected(operation) }
    return connection
  }

  // MARK: Running

  /// Connects, declares the topology, publishes, and does all that again whenever the connection is lost.
  ///
  /// Returns when the task is cancelled, after the confirms in flight have come (at most the RPC timeout); what still
  /// waits is `.notSent`.
  /// - Throws: only what no reconnect can cure: a configuration that cannot be used, a topology that is there
  ///   with other arguments.
  public func run() async throws {
    queue.open()
    defer { queue.close(reason: "the publisher has stopped") }
    var retries = RetryCount(configuration.reconnect)
    while !Task.isCancelled {
      do throws(AMQPError) {
        try await serveOneConnection(&retries)
      } catch {
        if error.endsReconnecting { throw error }
        if Task.isCancelled { return }
        guard await pause(&retries, after: error) else { return }
      }
    }
  }

  /// Waits before the next attempt.
  /// - Returns: false if the task was cancelled.
  private func pause(_ retries: inout RetryCount, after error: AMQPError) async -> Bool {
    let delay = retries.failed(at: .now)
    logger.log(
      level: state.withLock { $0.notice.failed("\(error)") } ? .warning : .debug, "publishing is interrupted",
      metadata: ["error": "\(error)", "next attempt in": "\(delay)"])
    queue.setDelayReason("\(error)")
    eventSink.yield(.lost(error))
    return (try? await Task.sleep(for: delay)) != nil
  }

  /// Returns on cancellation, throws when the connection is lost.
  private func serveOneConnection(_ retries: inout RetryCount) async throws(AMQPError) {
    let connection = try await AMQPConnection.connect(configuration, executor: executor, logger: logger)
    do throws(AMQPError) {
      try await prepare(connection)
      retries.succeeded(at: .now)
      try await follow(connection, &retries)
    } catch {
      state.withLock { $0.connection = nil }
      await connection.close()
      throw error
    }
    state.withLock { $0.connection = nil }
    await connection.close()
  }

  private func prepare(_ connection: AMQPConnection) async throws(AMQPError) {
    try await declareTopology(on: connection)
    try await connection.startPublishing(queue)
    let (isFirst, isOver) = state.withLock { state in
      defer { state.connection = connection }
      let isFirst = state.connects == 0
      // Not nil if only the channel was lost: that is no new connection.
      if state.connection == nil { state.connects += 1 }
      return (isFirst, state.notice.worked())
    }
    let endpoint = await connection.name
    if isFirst || isOver {
      logger.info("connected to the broker, publishing", metadata: ["endpoint": "\(endpoint)"])
    }
    eventSink.yield(.connected(again: !isFirst))
  }

  private func follow(_ connection: AMQPConnection, _ retries: inout RetryCount) async throws(AMQPError) {
    for await event in connection.events {
      switch event {
      case .lost(let error): throw error
      case .blocked(let reason):
        logger.warning("the broker blocks publishers", metadata: ["reason": "\(reason)"])
        eventSink.yield(.blocked(reason: reason))
      case .unblocked:
        logger.notice("the broker takes publishes again")
        eventSink.yield(.unblocked)
      case .channelClosed(let epoch, let error) where await epoch == connection.epoch:
        guard await pause(&retries, after: error) else { return }
        try await prepare(connection)
        retries.succeeded(at: .now)
      case .rebuildChannel:
        logger.debug("the broker refuses everything on this channel: publishing on a new one")
        try await connection.closeMainChannel()
        try await prepare(connection)
      case .channelClosed, .consumerCancelled, .resume, .rebuildConnection: break
      }
    }
  }
}
