internal import Logging
internal import PostgresClient
internal import Resilience
internal import Synchronization

/// How long Postgres has not answered, as this process's statements saw it. Told once when it goes and once when it is back.
final class DatabaseOutage: Sendable {
  private let since = Mutex<ContinuousClock.Instant?>(nil)
  private let logger: Logger

  init(logger: Logger) { self.logger = logger }

  /// Since when no statement has succeeded; nil while all is well.
  var duration: Duration? { since.withLock { $0.map { .now - $0 } } }

  /// Repeats a statement until it succeeds.
  /// - Parameter goesOn: asked after each failure, with its error; false ends it.
  /// - Returns: nil where it was given up.
  func untilItWorks<Result: Sendable>(
    _ what: String, while goesOn: (any Error) -> Bool, _ statement: () async throws -> Result
  ) async -> Result? {
    let backoff = Backoff(base: .milliseconds(100), max: .seconds(3))
    var attempt = 0
    while true {
      do {
        let result = try await statement()
        recovered()
        return result
      } catch {
        guard goesOn(error) else { return nil }
        failed(what, error)
        try? await Task.sleep(for: backoff.delay(attempt: attempt))
        attempt += 1
        guard goesOn(error) else { return nil }
      }
    }
  }

  /// Whether Postgres answers, and refuses this one statement: repeating it is no use, and no other has to wait for it.
  static func isRefusal(_ error: any Error) -> Bool {
    guard let error = error as? PostgresError else { return true }
    return switch error.kind {
    case .server(let state): !error.isTransient && state != SQLState.queryCanceled
    case .encoding, .decoding: true
    case .connectionFailed, .connectionLost, .cancelled, .closed: false
    }
  }

  private func failed(_ what: String, _ error: any Error) {
    let isNew = since.withLock { since in
      defer { since = since ?? .now }
      return since == nil
    }
    if isNew {
      logger.error(
        "Postgres does not answer; deliveries are held until it does",
        metadata: ["error": "\(error)", "while": "\(what)"])
    }
  }

  private func recovered() {
    let ended = since.withLock { since -> ContinuousClock.Instant? in
      defer { since = nil }
      return since
    }
    if let ended { logger.notice("Postgres answers again", metadata: ["after": "\(.now - ended)"]) }
  }
}
