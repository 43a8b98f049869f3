internal import Resilience
package import ReviewStore
internal import Synchronization

/// A holder's session with the ledger in memory.
final class InMemorySession: LedgerSession {
  private let stream: AsyncStream<LedgerEvent>
  private let continuation: AsyncStream<LedgerEvent>.Continuation
  private let holder: Holder
  private let heard: Set<LedgerEvent>
  private let ledger: InMemoryLedger
  private let onSignOn: @Sendable (ContinuousClock.Instant) -> Void
  private let state = Mutex(State())

  private struct State {
    var isOpen = false
    /// Resumed when the open session ends.
    var waiter: CheckedContinuation<Void, Never>?
  }

  /// Between a loss and the next session.
  private static let reconnectDelay: Duration = .milliseconds(100)

  init(
    of holder: Holder, hearing events: Set<LedgerEvent>, ledger: InMemoryLedger,
    onSignOn: @escaping @Sendable (_ start: ContinuousClock.Instant) -> Void
  ) {
    self.holder = holder
    heard = events
    self.ledger = ledger
    self.onSignOn = onSignOn
    (stream, continuation) = AsyncStream.makeStream()
  }

  var events: any AsyncSequence<LedgerEvent, Never> { stream }

  var isOpen: Bool { state.withLock { $0.isOpen } }

  func notify(_ event: LedgerEvent) {
    if isOpen, heard.contains(event) { continuation.yield(event) }
  }

  func run() async {
    while !Task.isCancelled {
      let start = ledger.monotonicClock.now
      if (try? await ledger.signOn(holder, self)) != nil {
        state.withLock { $0.isOpen = true }
        onSignOn(start)
        continuation.yield(.signedOn)
        await withTaskCancellationHandler {
          await waitForEnd()
        } onCancel: {
          replace()
        }
        ledger.ended(holder, self)
      }
      let clock = ledger.monotonicClock
      try? await clock.sleep(until: clock.now + Self.reconnectDelay, tolerance: nil)
    }
    continuation.finish()
  }

  private func waitForEnd() async {
    await withCheckedContinuation { continuation in
      let hasEnded = state.withLock { state in
        if state.isOpen { state.waiter = continuation }
        return !state.isOpen
      }
      if hasEnded { continuation.resume() }
    }
  }

  func replace() {
    let waiter = state.withLock { state in
      defer { state = State() }
      return state.waiter
    }
    waiter?.resume()
  }

  func heartbeat(_ report: Holder.Report) async throws -> Holder.Standing {
    guard isOpen else { throw InMemoryFault(faultKind: .unreachable, statement: "heartbeat") }
    return try await ledger.heartbeat(holder.id, report)
  }

  func signOn() async throws {
    guard isOpen else { throw InMemoryFault(faultKind: .unreachable, statement: "sign_on") }
    try await ledger.signOn(holder, self)
  }
}

extension InMemoryLedger {
  /// Ends all open sessions, as a cut of the network does; their holders sign on again.
  package func cutSessions() {
    let sessions = try? change { tables -> [InMemorySession] in
      for holder in tables.holders.keys { tables.holders[holder]?.endSessions() }
      return tables.sessionsInOrder
    }
    for session in sessions ?? [] { session.replace() }
  }

  /// Ends all sessions of one holder, as the end of its process does.
  package func cutSessions(of holder: Holder.ID) {
    let session = try? change { tables -> InMemorySession? in
      tables.holders[holder]?.endSessions()
      return tables.sessions.removeValue(forKey: holder)
    }
    session?.replace()
  }
}
