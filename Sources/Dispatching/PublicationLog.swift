internal import DequeModule
internal import Logging
internal import Resilience
internal import ReviewStore
internal import Synchronization

/// Records confirmed publications, many in one statement.
///
/// The record is written some seconds after the confirm: a lease that is taken in between records the publication itself, and would otherwise
/// have to wait for the row. While consumers keep up, nothing is left to record then. What is not recorded when a process dies is published
/// once more, which does no harm: at most as many second tickets as BATON_MAX_QUEUE_DEPTH allows in the queue.
final class PublicationLog: Sendable {
  private struct Publication {
    var claim: Claim
    /// When it is to be recorded.
    var due: ContinuousClock.Instant
  }

  private struct State {
    /// In the order of their times.
    var waiting: Deque<Publication> = []
    /// Those that a statement records now.
    var inFlight: [Publication] = []
    var recording: Task<Void, Never>?
    /// How many wait for the end of all recording.
    var finishing = 0
    var notice = FaultNotice()

    /// What is due, at most `max`; all counts as due while the end of all recording is awaited.
    mutating func takeDue(at now: ContinuousClock.Instant, max: Int) -> [Publication] {
      inFlight = Array(waiting.prefix(max).prefix { finishing > 0 || $0.due <= now })
      waiting.removeFirst(inFlight.count)
      return inFlight
    }
  }

  private static let delay: Duration = .seconds(3)
  /// The rows of one statement: a lease of one of them waits for its end.
  private static let batchMax = 500
  /// With more publications unrecorded, further ones are left to the leases and the reaper.
  private static let keptMax = 50_000

  /// How long the end of all recording waits for a statement.
  private static let finishTimeMax: Duration = .seconds(5)

  private let ledger: any ReviewLedger
  private let logger: Logger
  private let environment: DispatchEnvironment
  /// Ends a pause.
  private let wakeup: Wakeup
  private let state = Mutex(State())

  init(ledger: any ReviewLedger, environment: DispatchEnvironment, logger: Logger) {
    self.ledger = ledger
    self.environment = environment
    wakeup = Wakeup(clock: environment.clock)
    self.logger = logger
  }

  /// Takes note of publications; returns at once.
  func add(_ claims: [Claim]) {
    guard !claims.isEmpty else { return }
    let due = environment.now + Self.delay
    state.withLock { state in
      state.waiting += claims.map { Publication(claim: $0, due: due) }
      // It finishes its work whatever happens to the caller.
      if state.recording == nil { state.recording = Task.onSameExecutor { await self.record() } }
    }
  }

  /// The publications that are not recorded yet.
  var noted: Set<Claim> { state.withLock { Set($0.waiting.map(\.claim)).union($0.inFlight.map(\.claim)) } }

  /// Records everything noted so far without its delay; returns when it is recorded, or could not be.
  func finish() async {
    state.withLock { $0.finishing += 1 }
    wakeup.wake()
    let timer = Task.onSameExecutor { [self] in
      guard (try? await environment.sleep(for: Self.finishTimeMax)) != nil else { return }
      state.withLock { $0.recording }?.cancel()
    }
    defer { timer.cancel() }
    while let recording = state.withLock({ $0.recording }) { await recording.value }
    state.withLock { $0.finishing -= 1 }
  }

  private func record() async {
    var failures = 0
    while let due = nextDue() {
      let pause =
        failures == 0 ? .zero : DispatchPolicy.statementRetry.delay(attempt: failures - 1, from: environment.random)
      _ = try? await wakeup.wait(until: max(due, environment.now + pause))
      let publications = state.withLock { $0.takeDue(at: environment.now, max: Self.batchMax) }
      do {
        try await ledger.recordPublished(publications.map(\.claim))
        failures = 0
        _ = state.withLock { $0.notice.worked(at: environment.now) }
      } catch {
        failures += 1
        keep(publications, error)
      }
    }
  }

  /// When the next record is to be written; nil ends the recording, as nothing is left.
  private func nextDue() -> ContinuousClock.Instant? {
    state.withLock { state in
      state.inFlight = []
      guard let first = state.waiting.first else {
        state.recording = nil
        return nil
      }
      return state.finishing > 0 ? environment.now : first.due
    }
  }

  /// Keeps what could not be recorded for the next try, unless the end of all recording is awaited. Dropping the rest is harmless: its
  /// tickets are in the queue, a lease records the publication too, and at worst the reaper publishes a second ticket.
  private func keep(_ publications: [Publication], _ error: any Error) {
    let isNews = state.withLock { state in
      state.inFlight = []
      if state.finishing > 0 {
        state.waiting = []
      } else if state.waiting.count < Self.keptMax {
        state.waiting.prepend(contentsOf: publications)
      }
      return state.notice.failed("\(error)", at: environment.now)
    }
    if isNews {
      logger.warning(
        "publications not recorded; trying again", metadata: ["count": "\(publications.count)", "error": "\(error)"])
    }
  }
}
