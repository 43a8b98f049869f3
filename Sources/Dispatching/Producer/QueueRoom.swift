internal import Synchronization

/// How many more messages the work queue should take (I8), as far as this producer knows, and the batches that are on their way there.
///
/// The broker can be asked at any time, also while batches are on their way: it may count their tickets or not, so they take up their place in
/// addition to what it counts. Too little room is then known, and never too much. Who needs the whole of it waits for the batches first.
final class QueueRoom: Sendable {
  private struct State {
    /// Claims made to be published.
    var claimed = 0
    /// Those of them whose publishing has ended, whatever the outcome.
    var ended = 0
    /// Those of them that were confirmed.
    var confirmed = 0
    /// Batches on their way.
    var batches = 0
    /// What the broker has said last: how many messages were ready.
    var look: (ready: Int, start: LookStart)?
    var isLooking = false
    /// Goes on when fewer batches than this are on their way.
    var waiter: (count: Int, continuation: CheckedContinuation<Void, Never>)?
  }

  /// When the broker is asked.
  struct LookStart {
    fileprivate var ended: Int
    fileprivate var at: ContinuousClock.Instant
  }

  private let depthMax: Int
  private let state = Mutex(State())

  /// - Parameter depthMax: how many messages the queue should hold at most.
  init(depthMax: Int) { self.depthMax = depthMax }

  /// How many more messages the queue should take; none before the broker was asked.
  var free: Int {
    state.withLock { state in
      state.look.map { depthMax - $0.ready - (state.claimed - $0.start.ended) } ?? 0
    }
  }

  /// How many claims were made.
  var claimedCount: Int { state.withLock { $0.claimed } }

  /// How many tickets were confirmed.
  var confirmedCount: Int { state.withLock { $0.confirmed } }

  /// Whether the broker was asked at this time or later.
  func isKnown(since instant: ContinuousClock.Instant) -> Bool {
    state.withLock { state in state.look.map { $0.start.at >= instant } ?? false }
  }

  // MARK: Looks

  /// To be called before the broker is asked.
  func beginLook(at now: ContinuousClock.Instant) -> LookStart {
    state.withLock { LookStart(ended: $0.ended, at: now) }
  }

  /// The broker's answer.
  func endLook(_ start: LookStart, ready: Int) {
    state.withLock { state in
      // Another look may have begun later and be answered already.
      guard state.look.map({ $0.start.ended <= start.ended && $0.start.at <= start.at }) ?? true else { return }
      state.look = (ready, start)
    }
  }

  /// Whether a look next to the claims may begin: one at a time.
  func mayLookAside() -> Bool {
    state.withLock { state in
      defer { state.isLooking = true }
      return !state.isLooking
    }
  }

  /// A look next to the claims has ended.
  func hasLookedAside() { state.withLock { $0.isLooking = false } }

  // MARK: Batches

  /// Claims were made, and are to be published.
  func begin(_ count: Int) {
    state.withLock { state in
      state.claimed += count
      state.batches += 1
    }
  }

  /// The publishing of a batch has ended.
  func end(_ count: Int, confirmed: Int) {
    let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
      state.ended += count
      state.confirmed += confirmed
      state.batches -= 1
      guard let waiter = state.waiter, state.batches < waiter.count else { return nil }
      state.waiter = nil
      return waiter.continuation
    }
    waiter?.resume()
  }

  /// Returns when fewer batches than a number are on their way. For one caller at a time.
  func waitForBatches(fewerThan count: Int) async {
    await withCheckedContinuation { continuation in
      let mayGoOn = state.withLock { state in
        guard state.batches >= count else { return true }
        state.waiter = (count, continuation)
        return false
      }
      if mayGoOn { continuation.resume() }
    }
  }
}
