public import Logging
internal import PollExecutor
internal import Resilience
internal import Synchronization

/// A consumer of one queue that reconnects indefinitely.
///
/// Run `run()` concurrently with one reader of `deliveries`, and settle each delivery once, from any task. What is unsettled when
/// a channel is lost goes back to the broker and is delivered again: settling the old delivery then answers `.stale`.
public final class AMQPConsumer: Sendable {
  /// What happens to the consumer.
  public enum State: Sendable, Hashable {
    /// Deliveries of this generation come.
    case consuming(generation: UInt64)
    /// Deliveries of this generation and older are void; a new generation follows.
    case lost(generation: UInt64, AMQPError)
    /// The broker has ended the consumer (its queue was deleted, or moved); it is being started again, in the same
    /// generation.
    case cancelledByBroker(generation: UInt64)
    /// Stopped at the owner's request; unsettled deliveries can still be settled.
    case stopped(generation: UInt64)
  }

  /// What deliveries come through. It changes when the channel is lost, and when the next one is there.
  public struct Channel: Sendable, Hashable {
    /// See `Delivery.generation`.
    public var generation: UInt64
    /// Whether it is there; otherwise the next one has another generation.
    public var isOpen: Bool

    /// For tests; otherwise the consumer makes them.
    public init(generation: UInt64, isOpen: Bool) {
      self.generation = generation
      self.isOpen = isOpen
    }
  }

  /// A place in the sequence of deliveries.
  public struct Position: Sendable, Hashable {
    /// See `Delivery.generation`.
    public var generation: UInt64
    /// See `Delivery.tag`; 0 before the first.
    public var tag: UInt64

    /// For tests; otherwise the consumer makes them.
    public init(generation: UInt64, tag: UInt64) {
      self.generation = generation
      self.tag = tag
    }
  }

  private struct Wish {
    var isConsuming = true
    /// The most deliveries unsettled at once, if fewer than the prefetch are wanted.
    var limit: Int?
    var connection: AMQPConnection?
    var connects = 0
    var hasConsumed = false
    var notice = FaultNotice()
  }

  /// The deliveries, for one reader at a time.
  public var deliveries: AMQPDeliveries { AMQPDeliveries(buffer: buffer) }
  /// The consumer's history, for one reader; the last 64 states are kept.
  public let state: AsyncStream<State>
  /// The queue consumed.
  public let queue: String
  /// The most deliveries unsettled at once, unread ones among them.
  public let prefetch: Int

  private let configuration: AMQPConfiguration
  private let topology: AMQPTopology
  private let consumerTag: String
  private let logger: Logger
  private let executor: ThreadExecutor
  private let buffer: DeliveryBuffer
  private let stateSink: AsyncStream<State>.Continuation
  private let wish = Mutex(Wish())

  /// Creates a consumer; nothing is connected until `run()`.
  /// - Parameters:
  ///   - configuration: where to connect; its name is what the broker shows.
  ///   - topology: declared at every connect and whenever the broker cancels the consumer; should include the queue.
  ///   - queue: the queue to consume.
  ///   - prefetch: the most deliveries unsettled at once, 1…65535.
  ///   - consumerTag: shown by the broker; made from the connection's name if nil.
  ///   - logger: logs interruptions.
  public init(
    configuration: AMQPConfiguration, topology: AMQPTopology, queue: String, prefetch: Int, consumerTag: String? = nil,
    logger: Logger
  ) {
    precondition((1...65_535).contains(prefetch), "the prefetch is 1…65535, not \(prefetch)")
    self.configuration = configuration
    self.topology = topology
    self.queue = queue
    self.prefetch = prefetch
    self.consumerTag = consumerTag ?? String("\(configuration.connectionName)-consumer".utf8.prefix(255)) ?? "consumer"
    self.logger = logger
    executor = ThreadExecutor(name: "amqp-consume") { logger.warning("\($0)") }
    buffer = DeliveryBuffer(prefetch: prefetch)
    (state, stateSink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(64))
  }

  // MARK: Settling

  /// The message is done with; the broker forgets it. Returns at once; the connection sends it within 10 ms, several in
  /// one frame if they are contiguous.
  @discardableResult
  public func acknowledge(_ delivery: AMQPDelivery) -> AMQPSettlement { buffer.settle(delivery, .acknowledge) }

  /// The message is not wanted: `requeue` gives it back to the queue at once, which counts as a delivery; otherwise the
  /// broker dead-letters or drops it.
  @discardableResult
  public func reject(_ delivery: AMQPDelivery, requeue: Bool) -> AMQPSettlement {
    buffer.settle(delivery, .reject(requeue: requeue))
  }

  /// The last generation that began: 0 before the first, one more after every lost channel.
  public var generation: UInt64 { buffer.generation }
  /// The present channel, or the last one.
  public var channel: Channel { buffer.channel }
  /// Deliveries of this generation that are not settled, unread ones among them.
  public var unsettledCount: Int { buffer.inHandCount }
  /// Whether there is a connection.
  public var isConnected: Bool { connection != nil }
  /// How often the connection was made again.
  public var reconnects: Int { wish.withLock { max(0, $0.connects - 1) } }

  var connection: AMQPConnection? { wish.withLock { $0.connection } }

  // MARK: Stopping and starting

  /// Takes no more deliveries, and keeps the channel so that unsettled deliveries can be settled.
  ///
  /// Returns when the broker has confirmed: no further delivery comes then. Stays in force across reconnects until
  /// `resumeConsuming(limit:)`.
  /// - Parameter endsDeliveries: whether `deliveries` ends, after what was received by then; otherwise its reader
  ///   waits.
  public func stopConsuming(endsDeliveries: Bool = true) async {
    let connection = wish.withLock { wish in
      wish.isConsuming = false
      return wish.connection
    }
    do {
      try await connection?.stopConsuming { [self] in wish.withLock { !$0.isConsuming } }
    } catch {
      // The channel or the connection is gone, and the deliveries with it; the next one will not consume.
      logger.debug("the consumer could not be cancelled", metadata: ["error": "\(error)"])
    }
    if endsDeliveries { buffer.end() }
    stateSink.yield(.stopped(generation: generation))
  }

  /// Takes deliveries again, or goes on with another limit. If `deliveries` has ended, iterate it anew.
  ///
  /// What was delivered before a stop or a change of the limit and is not settled counts in part: the broker begins with the limit less their
  /// number, and each that is settled makes room for one more, up to the limit.
  /// - Parameter limit: the most of them unsettled at once; nil for the prefetch.
  public func resumeConsuming(limit: Int? = nil) {
    buffer.reopen()
    let connection = wish.withLock { wish in
      wish.isConsuming = true
      wish.limit = limit.map { min(max(1, $0), prefetch) }
      return wish.connection
    }
    connection?.eventSink.yield(.resume)
  }

  /// Closes the channel and opens another: everything unsettled goes back to the broker, and a new generation begins.
  public func rebuildChannel() { connection?.eventSink.yield(.rebuildChannel) }

  /// Closes the connection and makes another: everything unsettled goes back to the broker, and a new generation
  /// begins.
  public func rebuildConnection() { connection?.eventSink.yield(.rebuildConnection) }

  /// Looks at a queue, on a second channel of the same connection.
  /// - Throws: code 404 if it does not exist; `isConnectionLost` if there is no connection now.
  public func queueStatus(_ queue: String) async throws(AMQPError) -> AMQPQueueStatus {
    guard let connection else { throw .notConnected("look at queue '\(queue)'") }
    return try await connection.queueStatus(queue)
  }

  /// Waits until everything that the broker had sent when this was called is in `deliveries`, and until the broker has processed all that
  /// was settled before.
  /// - Returns: the last delivery by then; nil without a channel.
  /// - Throws: if the channel is lost by then.
  public func catchUp() async throws(AMQPError) -> Position? {
    guard let connection else { return nil }
    return try await connection.catchUp(queue)
  }

  // MARK: Running

  /// Connects, declares the topology, consumes, and does all that again whenever the connection is lost.
  ///
  /// Returns when the task is cancelled: decisions taken by then are sent, the connection is closed, what is unsettled
  /// goes back to the broker, and `deliveries` ends. To drain first, call `stopConsuming()` and settle every delivery.
  /// - Throws: only what no reconnect can cure: a configuration that cannot be used, a topology that is there
  ///   with other arguments.
  public func run() async throws {
    defer { buffer.end() }
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
      level: wish.withLock { $0.notice.failed("\(error)") } ? .warning : .debug, "consuming is interrupted",
      metadata: ["queue": "\(queue)", "error": "\(error)", "next attempt in": "\(delay)"])
    stateSink.yield(.lost(generation: generation, error))
    return (try? await Task.sleep(for: delay)) != nil
  }

  /// Returns on cancellation and if the owner wants another connection, throws when the connection is lost.
  private func serveOneConnection(_ retries: inout RetryCount) async throws(AMQPError) {
    let connection = try await AMQPConnection.connect(configuration, executor: executor, logger: logger)
    wish.withLock { wish in
      wish.connection = connection
      wish.connects += 1
    }
    do throws(AMQPError) {
      try await prepare(connection, &retries)
      try await follow(connection, &retries)
    } catch {
      wish.withLock { $0.connection = nil }
      await connection.close()
      throw error
    }
    wish.withLock { $0.connection = nil }
    await connection.close()
  }

  /// Declares and consumes; repeats that while the channel is refused for a reason that may pass.
  private func prepare(_ connection: AMQPConnection, _ retries: inout RetryCount) async throws(AMQPError) {
    while !Task.isCancelled {
      do throws(AMQPError) {
        try await connection.declare(topology)
        let wished: @Sendable () -> Int? = { [self] in
          wish.withLock { $0.isConsuming ? $0.limit ?? prefetch : nil }
        }
        let generation = try await connection.startConsuming(
          queue, consumerTag: consumerTag, buffer: buffer, wish: wished)
        retries.succeeded(at: .now)
        let isNews = wish.withLock { wish in
          defer { wish.hasConsumed = true }
          return wish.notice.worked() || !wish.hasConsumed
        }
        let endpoint = await connection.name
        if isNews {
          logger.info(
            "connected to the broker, consuming", metadata: ["endpoint": "\(endpoint)", "queue": "\(queue)"])
        }
        if let generation { stateSink.yield(.consuming(generation: generation)) }
        return
      } catch {
        if error.isPermanent || error.isConnectionLost { throw error }
        guard await pause(&retries, after: error) else { return }
      }
    }
  }

  private func follow(_ connection: AMQPConnection, _ retries: inout RetryCount) async throws(AMQPError) {
    for await event in connection.events {
      switch event {
      case .lost(let error): throw error
      case .channelClosed(let epoch, let error) where await epoch == connection.epoch:
        guard await pause(&retries, after: error) else { return }
        try await prepare(connection, &retries)
      case .consumerCancelled(let epoch) where await epoch == connection.epoch:
        logger.warning("the broker cancelled the consumer", metadata: ["queue": "\(queue)"])
        stateSink.yield(.cancelledByBroker(generation: generation))
        guard (try? await Task.sleep(for: retries.failed(at: .now))) != nil else { return }
        try await prepare(connection, &retries)
      case .resume: try await prepare(connection, &retries)
      case .rebuildChannel:
        try await connection.closeMainChannel()
        try await prepare(connection, &retries)
      case .rebuildConnection: return
      case .channelClosed, .consumerCancelled, .blocked, .unblocked: break
      }
    }
  }
}
