public import Logging
internal import PollExecutor
internal import Resilience
internal import Synchronization

/// `LISTEN` on a connection of its own, which is replaced whenever it is lost.
///
/// Postgres keeps no notifications for a session that is not connected. So `.connected` means: from now on, notifications arrive;
/// look at the tables once for what came before. The order is that of the commits. A notification is a hint, never the data.
public final class PostgresListener: Sendable {
  /// What a listener has to say.
  public enum Event: Sendable, Hashable {
    /// All channels are being listened to; earlier notifications may have been missed: look at the tables.
    ///
    /// Also sent if the reader was so slow that events had to be dropped.
    case connected
    /// A session sent a `NOTIFY`, and committed.
    case notified(channel: String, payload: String)
    /// The connection is gone; `.connected` follows when there is another.
    case lost
  }

  /// At most this many events wait for the reader; then the oldest are dropped, and `.connected` is sent.
  public static let eventCountMax = 4_096

  /// The events, for one reader; ends when `run()` does.
  public let events: AsyncStream<Event>

  private let continuation: AsyncStream<Event>.Continuation
  private let configuration: PostgresConfiguration
  private let channels: [String]
  private let onConnect: @Sendable (PostgresConnection) async throws -> Void
  private let logger: Logger
  private let executor = ThreadExecutor(name: "postgres-listen")
  private let current = Mutex<PostgresConnection?>(nil)

  /// Creates a listener; `run()` connects.
  /// - Parameters:
  ///   - configuration: where to; its `reconnect` spaces the attempts.
  ///   - channels: names as in `NOTIFY "name"`: upper and lower case differ.
  ///   - onConnect: runs after `LISTEN` and before `.connected`, on each connection; if it throws, or if both together take longer
  ///     than `connectTimeout`, the connection is replaced.
  ///   - logger: gets a warning for a failed attempt, once for each reason.
  public init(
    _ configuration: PostgresConfiguration, channels: [String],
    onConnect: @escaping @Sendable (PostgresConnection) async throws -> Void = { _ in }, logger: Logger
  ) {
    self.configuration = configuration
    self.channels = channels
    self.onConnect = onConnect
    self.logger = logger
    (events, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Self.eventCountMax))
  }

  /// Listens, and connects again whenever the connection is lost, until the task is cancelled.
  public func run() async {
    var attempt = 0
    var notice = FaultNotice()
    while !Task.isCancelled {
      do {
        let connection = try await connect()
        attempt = 0
        _ = notice.worked()
        emit(.connected)
        await connection.waitUntilClosed()
        await connection.close()
        emit(.lost)
      } catch {
        guard !Task.isCancelled else { break }
        let failure = "\(error)"
        logger.log(
          level: notice.failed(failure) ? .warning : .debug,
          "cannot listen to Postgres; trying again until it works", metadata: ["error": "\(failure)"])
      }
      // Ends early with the task.
      try? await Task.sleep(for: configuration.reconnect.delay(attempt: attempt))
      attempt += 1
    }
    continuation.finish()
  }

  /// Ends the connection at once, without waiting for what is in flight; another follows. For one that does not answer.
  public func reconnect() {
    guard let connection = current.withLock({ $0 }) else { return }
    end(connection, "replaced: it did not answer")
  }

  private func end(_ connection: PostgresConnection, _ reason: String) {
    executor.enqueueOnce { connection.assumeIsolated { $0.end(PostgresError(.connectionLost, reason)) } }
  }

  private func connect() async throws -> PostgresConnection {
    let connection = try await PostgresConnection.connect(
      configuration, on: executor, logger: logger,
      callbacks: .init(onNotification: { [weak self] notification in
        self?.emit(.notified(channel: notification.channel, payload: notification.payload))
      }))
    current.withLock { $0 = connection }
    // A server that takes connections and answers nothing would be waited for indefinitely.
    let deadline = executor.schedule(after: configuration.connectTimeout) { [self] in
      end(connection, "LISTEN was not answered within \(configuration.connectTimeout)")
    }
    defer { executor.cancel(deadline) }
    do {
      if !channels.isEmpty { _ = try await connection.run(channels.map { .command("LISTEN \(Self.quoted($0))") }) }
      try await onConnect(connection)
      return connection
    } catch {
      await connection.close()
      throw error
    }
  }

  private func emit(_ event: Event) {
    guard case .dropped(let dropped) = continuation.yield(event), dropped != .connected else { return }
    continuation.yield(.connected)
  }

  /// A name as an identifier of SQL.
  static func quoted(_ name: String) -> String {
    "\"\(name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\""))\""
  }
}
