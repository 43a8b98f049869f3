package import Resilience
internal import Synchronization

/// Whether this process has the key of what integrations store.
///
/// A process with a wrong key could prepare no review that needs a token, while others can: it takes no deliveries until the key fits.
/// One row that does not open is another matter: only its reviews wait.
package final class KeyWatch: Sendable {
  private struct State {
    var fault: String?
    var lookedAt: ContinuousClock.Instant?
  }

  private let state = Mutex(State())
  private let flight = SingleFlight<Int, String?>()
  private let clock: any MonotonicClock
  private let examine: @Sendable () async throws -> String?

  /// For so long a look counts: each reads many rows. Rows may be sealed again, or stored with this key.
  private static let freshness: Duration = .seconds(5)

  /// - Parameters:
  ///   - clock: by which a look is fresh.
  ///   - examine: what is wrong with the key; nil if it opens something, or if nothing is stored.
  package init(
    clock: any MonotonicClock = ContinuousClock(), examine: @escaping @Sendable () async throws -> String?
  ) {
    self.clock = clock
    self.examine = examine
  }

  /// What is wrong with the key, as the last look has found it.
  package var fault: String? { state.withLock { $0.fault } }

  /// Looks whether the key fits, unless that was done a moment ago. If Postgres does not answer, what was found before counts.
  /// - Returns: what is wrong with it.
  package func look() async -> String? {
    let isFresh = state.withLock { $0.lookedAt.map { clock.now - $0 < Self.freshness } ?? false }
    guard !isFresh else { return self.fault }
    let fault: String?
    do {
      fault = try await flight.run(0, examine)
    } catch {
      return self.fault
    }
    state.withLock { state in
      state.fault = fault
      state.lookedAt = clock.now
    }
    return fault
  }

  /// Looks again if the key was wrong. Called from time to time.
  func lookAgainIfWrong() async {
    if fault != nil { _ = await look() }
  }
}
