internal import Logging
internal import Resilience
internal import ReviewStore
internal import Synchronization

/// How long Postgres has not answered, as this process's statements saw it. The log names each reason once, and says when it is over.
final class DatabaseOutage: Sendable {
  private struct State {
    var since: ContinuousClock.Instant?
    var notice = FaultNotice()
    /// Statements that are being repeated.
    var repeated = 0
  }

  private let state = Mutex(State())
  private let environment: DispatchEnvironment
  private let logger: Logger

  init(environment: DispatchEnvironment, logger: Logger) {
    self.environment = environment
    self.logger = logger
  }

  /// Since when no statement has succeeded; nil while statements succeed.
  var duration: Duration? { state.withLock { $0.since.map { environment.now - $0 } } }

  /// Whether there is an outage, and no statement is being repeated that would show its end.
  var isUnwatched: Bool { state.withLock { $0.since != nil && $0.repeated == 0 } }

  /// For how long a locked row is waited for before the log names it.
  static let lockTimeMax: Duration = .seconds(5)

  /// Repeats a statement until it succeeds. A locked row is waited for alone, and is no outage.
  /// - Parameter goesOn: asked after each failure, with its error; false ends it.
  /// - Returns: nil if it was given up, or the task is cancelled: nothing that it asks for is answered then.
  func untilItWorks<Result: Sendable>(
    _ what: String, while goesOn: (any Error) -> Bool, _ statement: () async throws -> Result
  ) async -> Result? {
    var attempt = 0
    var lock: LockWatch?
    defer { if attempt > 0 { state.withLock { $0.repeated -= 1 } } }
    while true {
      do {
        let result = try await statement()
        recovered()
        return result
      } catch {
        guard !Task.isCancelled else { return nil }
        let goes = goesOn(error)
        let kind = LedgerFaultKind(of: error)
        // An answer too: Postgres has said what is wrong with this row.
        if kind == .rowLocked || kind == .aboutRow { recovered() }
        if kind == .rowLocked {
          lock = lock ?? LockWatch(since: environment.now)
          if lock?.isToBeNamed(at: environment.now) == true {
            logger.warning("\(error); it waits, and nothing else does", metadata: ["while": "\(what)"])
          }
        } else if kind != .aboutRow, goes || !kind.isRefusal {
          failed(what, error)
        }
        guard goes else { return nil }
        if attempt == 0 { state.withLock { $0.repeated += 1 } }
        attempt += 1
        let pause = DispatchPolicy.statementRetry.delay(attempt: attempt - 1, from: environment.random)
        guard (try? await environment.sleep(for: pause)) != nil else { return nil }
        guard goesOn(error) else { return nil }
      }
    }
  }

  private func failed(_ what: String, _ error: any Error) {
    let isNew = state.withLock { state in
      state.since = state.since ?? environment.now
      return state.notice.failed("\(error)", at: environment.now)
    }
    if isNew {
      logger.error(
        "Postgres does not answer; deliveries are held for a minute, then requeued",
        metadata: ["error": "\(error)", "while": "\(what)"])
    }
  }

  private func recovered() {
    let ended = state.withLock { state -> ContinuousClock.Instant? in
      defer { state.since = nil }
      return state.notice.worked(at: environment.now) ? state.since : nil
    }
    if let ended { logger.notice("Postgres answers again", metadata: ["after": "\(environment.now - ended)"]) }
  }
}

/// Says once that a row has been locked for too long.
struct LockWatch: Sendable {
  let since: ContinuousClock.Instant
  private var isNamed = false

  init(since: ContinuousClock.Instant) { self.since = since }

  mutating func isToBeNamed(at now: ContinuousClock.Instant) -> Bool {
    guard !isNamed, now - since > DatabaseOutage.lockTimeMax else { return false }
    isNamed = true
    return true
  }
}
