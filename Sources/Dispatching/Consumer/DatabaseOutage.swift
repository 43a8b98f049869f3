internal import Logging
internal import PostgresClient
internal import Resilience
internal import ReviewStore
internal import Synchronization

/// How long Postgres has not answered, as this process's statements saw it. The log names each reason once, and says when it is over.
final class DatabaseOutage: Sendable {
  private struct State {
    var since: ContinuousClock.Instant?
    var notice = FaultNotice()
  }

  private let state = Mutex(State())
  private let logger: Logger

  init(logger: Logger) { self.logger = logger }

  /// Since when no statement has succeeded; nil while statements succeed.
  var duration: Duration? { state.withLock { $0.since.map { .now - $0 } } }

  /// For how long a locked row is waited for before the log names it.
  static let lockTimeMax: Duration = .seconds(5)

  /// Repeats a statement until it succeeds. A locked row is waited for alone, and is no outage.
  /// - Parameter goesOn: asked after each failure, with its error; false ends it.
  /// - Returns: nil if it was given up.
  func untilItWorks<Result: Sendable>(
    _ what: String, while goesOn: (any Error) -> Bool, _ statement: () async throws -> Result
  ) async -> Result? {
    let backoff = Backoff(base: .milliseconds(100), max: .seconds(3))
    var attempt = 0
    var lock = LockWatch()
    while true {
      do {
        let result = try await statement()
        recovered()
        return result
      } catch {
        let goes = goesOn(error)
        if let locked = error as? RowLocked {
          if lock.isToBeNamed() {
            logger.warning("\(locked); it waits, and nothing else does", metadata: ["while": "\(what)"])
          }
        } else if goes || !Self.isRefusal(error) {
          failed(what, error)
        }
        guard goes else { return nil }
        try? await Task.sleep(for: backoff.delay(attempt: attempt))
        attempt += 1
        guard goesOn(error) else { return nil }
      }
    }
  }

  /// Whether Postgres answers, and refuses this one statement: repeating it is useless, and no other statement has to wait for it.
  static func isRefusal(_ error: any Error) -> Bool {
    if error is RowLocked { return false }
    guard let error = error as? PostgresError else { return true }
    return switch error.kind {
    case .server(let state): !error.isTransient && state != PostgresSQLState.queryCanceled
    case .encoding, .decoding: true
    case .connectionFailed, .connectionLost, .cancelled, .closed: false
    }
  }

  /// Whether the error is about the values of a row, and not about the statement or the database: data exceptions, checks, a damaged
  /// page. Others of its batch go on without it.
  static func isAboutRow(_ error: any Error) -> Bool {
    guard let state = (error as? PostgresError)?.sqlState else { return error is UnknownValue }
    return state.hasPrefix("22") || state.hasPrefix("23") || ["XX001", "XX002", "54000"].contains(state)
  }

  private func failed(_ what: String, _ error: any Error) {
    let isNew = state.withLock { state in
      state.since = state.since ?? .now
      return state.notice.failed("\(error)")
    }
    if isNew {
      logger.error(
        "Postgres does not answer; deliveries are held until it does",
        metadata: ["error": "\(error)", "while": "\(what)"])
    }
  }

  private func recovered() {
    let ended = state.withLock { state -> ContinuousClock.Instant? in
      defer { state.since = nil }
      return state.notice.worked() ? state.since : nil
    }
    if let ended { logger.notice("Postgres answers again", metadata: ["after": "\(.now - ended)"]) }
  }
}

/// Says once that a row has been locked for too long.
struct LockWatch {
  private let since = ContinuousClock.now
  private var isNamed = false

  var duration: Duration { .now - since }

  mutating func isToBeNamed() -> Bool {
    guard !isNamed, duration > DatabaseOutage.lockTimeMax else { return false }
    isNamed = true
    return true
  }
}
