internal import Logging
internal import Resilience
internal import ReviewStore
internal import Synchronization

/// Records confirmed publications, all of a moment in one statement.
///
/// A moment later than they are confirmed: a lease that is taken meanwhile records the publication itself, and would otherwise have to
/// wait for the row. Mostly nothing is left to record then. What is not recorded when a process dies is published once more, which
/// does no harm.
final class PublicationLog: Sendable {
  private struct State {
    var claims: [Claim] = []
    /// Those that a statement records now.
    var inFlight: [Claim] = []
    var recording: Task<Void, Never>?
    var notice = FaultNotice()
  }

  private static let delay: Duration = .milliseconds(50)

  private let store: ReviewStore
  private let logger: Logger
  private let state = Mutex(State())

  init(store: ReviewStore, logger: Logger) {
    self.store = store
    self.logger = logger
  }

  /// Takes note of publications; returns at once.
  func add(_ claims: [Claim]) {
    guard !claims.isEmpty else { return }
    state.withLock { state in
      state.claims += claims
      // A task of its own: it ends its work whatever happens to the caller.
      if state.recording == nil { state.recording = Task { await record() } }
    }
  }

  /// The publications that are not recorded yet.
  var noted: Set<Claim> { state.withLock { Set($0.claims + $0.inFlight) } }

  /// Returns when everything noted so far is recorded, or could not be.
  func finish() async {
    while let recording = state.withLock({ $0.recording }) { await recording.value }
  }

  private func record() async {
    while true {
      try? await Task.sleep(for: Self.delay)
      let claims = state.withLock { state in
        (state.inFlight, state.claims) = (state.claims, [])
        if state.inFlight.isEmpty { state.recording = nil }
        return state.inFlight
      }
      if claims.isEmpty { return }
      do {
        try await store.recordPublished(claims)
        _ = state.withLock { $0.notice.worked() }
      } catch  where state.withLock({ $0.notice.failed("\(error)") }) {
        // Their tickets are in the queue: a lease records the publication too, and the reaper's duplicate does no harm.
        logger.warning("publications not recorded", metadata: ["count": "\(claims.count)", "error": "\(error)"])
      } catch {}
    }
  }
}
