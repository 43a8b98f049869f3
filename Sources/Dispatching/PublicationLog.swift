internal import Logging
internal import Resilience
internal import ReviewStore
internal import Synchronization

/// Records confirmed publications, all of a moment in one statement.
///
/// The record is written a moment after the confirm: a lease that is taken in between records the publication itself, and would otherwise
/// have to wait for the row. Mostly nothing is left to record then. What is not recorded when a process dies is published once more,
/// which does no harm.
final class PublicationLog: Sendable {
  private struct State {
    var claims: [Claim] = []
    /// Those that a statement records now.
    var inFlight: [Claim] = []
    var recording: Task<Void, Never>?
    /// How many wait for the end of all recording.
    var finishing = 0
    var notice = FaultNotice()
  }

  private static let delay: Duration = .milliseconds(50)
  /// The pauses while Postgres does not take the record.
  private static let retry = Backoff(base: .milliseconds(100), max: .seconds(3))
  /// With more publications unrecorded, further ones are left to the leases and the reaper.
  private static let keptMax = 50_000

  private let ledger: any ReviewLedger
  private let logger: Logger
  private let environment: DispatchEnvironment
  private let state = Mutex(State())

  init(ledger: any ReviewLedger, environment: DispatchEnvironment, logger: Logger) {
    self.ledger = ledger
    self.environment = environment
    self.logger = logger
  }

  /// Takes note of publications; returns at once.
  func add(_ claims: [Claim]) {
    guard !claims.isEmpty else { return }
    state.withLock { state in
      state.claims += claims
      // It finishes its work whatever happens to the caller.
      if state.recording == nil { state.recording = Task.onSameExecutor { await self.record() } }
    }
  }

  /// The publications that are not recorded yet.
  var noted: Set<Claim> { state.withLock { Set($0.claims + $0.inFlight) } }

  /// Returns when everything noted so far is recorded, or could not be.
  func finish() async {
    state.withLock { $0.finishing += 1 }
    while let recording = state.withLock({ $0.recording }) { await recording.value }
    state.withLock { $0.finishing -= 1 }
  }

  private func record() async {
    var failures = 0
    while true {
      let pause = failures == 0 ? .zero : Self.retry.delay(attempt: failures - 1, from: environment.random)
      try? await environment.sleep(for: Self.delay + pause)
      let claims = state.withLock { state in
        (state.inFlight, state.claims) = (state.claims, [])
        if state.inFlight.isEmpty { state.recording = nil }
        return state.inFlight
      }
      if claims.isEmpty { return }
      do {
        try await ledger.recordPublished(claims)
        failures = 0
        _ = state.withLock { $0.notice.worked(at: environment.now) }
      } catch {
        failures += 1
        keep(claims, error)
      }
    }
  }

  /// Keeps what could not be recorded for the next try, unless the end of all recording is awaited. Dropping the rest is harmless: its
  /// tickets are in the queue, a lease records the publication too, and at worst the reaper publishes a second ticket.
  private func keep(_ claims: [Claim], _ error: any Error) {
    let isNews = state.withLock { state in
      state.inFlight = []
      if state.finishing == 0, state.claims.count < Self.keptMax { state.claims = claims + state.claims }
      return state.notice.failed("\(error)", at: environment.now)
    }
    if isNews {
      logger.warning(
        "publications not recorded; trying again", metadata: ["count": "\(claims.count)", "error": "\(error)"])
    }
  }
}
