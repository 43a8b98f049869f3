internal import Logging
internal import PostgresClient
internal import Resilience
internal import Synchronization

/// A holder's session with Postgres: it listens, enters the holder's row and takes its lock as one step, which is repeated with each
/// reconnect.
final class PostgresLedgerSession: LedgerSession {
  /// The channels that Postgres notifies.
  private enum Channel {
    static let pending = "baton_pending"
    static let outbox = "baton_outbox"
  }

  private let holder: Holder
  private let store: ReviewStore
  private let listener: PostgresListener
  /// The connection on which the holder signed on last.
  private let connection: Connection

  private final class Connection: Sendable {
    private let state = Mutex<PostgresConnection?>(nil)
    var open: PostgresConnection? { state.withLock { $0.flatMap { $0.isClosed ? nil : $0 } } }
    func set(_ connection: PostgresConnection) { state.withLock { $0 = connection } }
  }

  init(
    of holder: Holder, hearing events: Set<LedgerEvent>, store: ReviewStore,
    onSignOn: @escaping @Sendable (_ start: ContinuousClock.Instant) -> Void
  ) {
    let connection = Connection()
    var configuration = store.pool.configuration
    configuration.sessionSettings.merge(ReviewStore.holderSessionSettings) { $1 }
    configuration.reconnect = Backoff(base: .milliseconds(100), max: .milliseconds(500))
    listener = PostgresListener(
      configuration,
      channels: (events.contains(.reviewsDue) ? [Channel.pending] : [])
        + (events.contains(.cancelsDue) ? [Channel.outbox] : []),
      onConnect: { session in
        let start = ContinuousClock.now
        try await store.signOn(holder, on: session)
        connection.set(session)
        onSignOn(start)
      }, logger: store.logger)
    self.connection = connection
    self.holder = holder
    self.store = store
  }

  var events: any AsyncSequence<LedgerEvent, Never> {
    listener.events.compactMap { event in
      switch event {
      case .connected: .signedOn
      case .notified(Channel.pending, _): .reviewsDue
      case .notified(Channel.outbox, _): .cancelsDue
      case .notified, .lost: nil
      }
    }
  }

  var isOpen: Bool { connection.open != nil }

  func run() async { await listener.run() }

  func replace() { listener.reconnect() }

  func heartbeat(_ report: Holder.Report) async throws -> Holder.Standing {
    try await store.heartbeat(holder.id, report, on: session())
  }

  func signOn() async throws {
    try await store.signOn(holder, on: session())
  }

  private func session() throws -> PostgresConnection {
    guard let open = connection.open else {
      throw PostgresError(.connectionFailed, "this process has no session of its own with Postgres now")
    }
    return open
  }
}

extension ReviewStore {
  package func session(
    of holder: Holder, hearing events: Set<LedgerEvent>,
    onSignOn: @escaping @Sendable (_ start: ContinuousClock.Instant) -> Void
  ) -> any LedgerSession {
    PostgresLedgerSession(of: holder, hearing: events, store: self, onSignOn: onSignOn)
  }
}
