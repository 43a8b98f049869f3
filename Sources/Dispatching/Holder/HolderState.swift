package import Resilience
internal import ReviewStore
internal import Synchronization

/// Whether this process is signed on as a holder: registered in `baton_holders`, with a connection to Postgres of its own (its *session*) that
/// holds its advisory lock and listens for notifications, and with heartbeats that arrive.
///
/// Every role asks before it takes new work. A process that is not signed on keeps what it has: its heartbeats go through the pool,
/// and a holder with a fresh heartbeat is alive.
package final class HolderState: Sendable {
  private struct State {
    var session: (any LedgerSession)?
    /// Whether the holder has signed on, and no loss of that session was noticed since.
    var isHere = false
    var awaySince: ContinuousClock.Instant?
    var wasSignedOn = false
    var heardAt: ContinuousClock.Instant?
    var answeredAt: ContinuousClock.Instant?
    var roundTrip: Duration?
    /// Until a heartbeat has said so, it may be.
    var isAsked = true
    /// From the last heartbeat on the session to the next.
    var pause: Duration = .milliseconds(500)
  }

  /// For how long the session may be disconnected before deliveries are paused: a reconnect usually takes less.
  package static let awayMax: Duration = .seconds(3)

  private let state: Mutex<State>
  private let timeout: Duration
  private let clock: any MonotonicClock

  /// - Parameters:
  ///   - timeout: BATON_LEASE: without a heartbeat for so long, other processes consider this one dead.
  ///   - clock: of all times here.
  package init(timeout: Duration, clock: any MonotonicClock = ContinuousClock()) {
    self.timeout = timeout
    self.clock = clock
    state = Mutex(State(awaySince: clock.now))
  }

  /// Whether new work may be taken now.
  package var isSignedOn: Bool {
    look { state in
      guard state.isHere, let heardAt = state.heardAt else { return false }
      return clock.now - heardAt < timeout
    }
  }

  /// No process counts as dead so soon after its last heartbeat, also if its lock is free and all its connections are gone.
  private static let soonestDeath = HolderTimes.gone - .milliseconds(100)

  /// Whether the others certainly count this process as alive: none of them has taken a lease from it.
  var countsAsAlive: Bool {
    look { state in state.heardAt.map { clock.now - $0 < min(Self.soonestDeath, timeout * 3 / 4) } ?? false }
  }

  /// Whether this process has signed on at least once: a holder without a row counts as dead, and a lease of its own as lost.
  var hasSignedOn: Bool { look(\.wasSignedOn) }

  /// Whether this process has not been signed on for so long that deliveries should wait until it is.
  package var isAway: Bool { !isSignedOn && awayFor.map { $0 > Self.awayMax } ?? true }

  /// For how long there has been no session; nil while there is one.
  private var awayFor: Duration? { look { $0.awaySince.map { clock.now - $0 } } }

  /// What is wrong, for `/readyz`; nil if nothing is.
  package var fault: String? {
    let (away, wasSignedOn) = (awayFor, look(\.wasSignedOn))
    if let away {
      return wasSignedOn
        ? "the session that holds this process's lock and listens was lost \(away.components.seconds) s ago; nothing new is taken"
        : "this process has not signed on as a holder yet; nothing is taken"
    }
    return isSignedOn ? nil : "no heartbeat has reached Postgres for longer than BATON_LEASE; nothing new is taken"
  }

  /// What the last heartbeat on the session took.
  package var roundTrip: Duration? { look(\.roundTrip) }

  func beat(took duration: Duration) { state.withLock { $0.roundTrip = duration } }

  /// Whether the session is open.
  var hasSession: Bool { look(\.isHere) }

  /// Since the last answer on the session; nil without a session.
  var sessionSilence: Duration? { look { state in state.isHere ? state.answeredAt.map { clock.now - $0 } : nil } }

  /// Whose losses are noticed from now on.
  func follow(_ session: any LedgerSession) { state.withLock { $0.session = session } }

  /// The holder has signed on, on its session.
  /// - Parameter start: when that began: the row's time in the database is not earlier. nil for now.
  func signedOn(since start: ContinuousClock.Instant? = nil) {
    let now = clock.now
    state.withLock { state in
      state = State(session: state.session, isHere: true, wasSignedOn: true, heardAt: start ?? now, answeredAt: now)
    }
  }

  /// A heartbeat was written.
  /// - Parameter start: when its statement began: its time in the database is not earlier.
  func heard(since start: ContinuousClock.Instant) { state.withLock { $0.heardAt = start } }

  /// From the last heartbeat on the session to the next: for so long the session has nothing to answer.
  var pause: Duration {
    get { look(\.pause) }
    set { state.withLock { $0.pause = newValue } }
  }

  /// Whether a reaper waits for this process's answer to a roll call, as the last heartbeat found it.
  var isAsked: Bool {
    get { look(\.isAsked) }
    set { state.withLock { $0.isAsked = newValue } }
  }

  /// The session's silence counts from now on: it has answered, whatever it said, or another one takes its place.
  func restartSilence() { state.withLock { $0.answeredAt = clock.now } }

  /// Reads the state after the loss of the session was noticed.
  private func look<Result: Sendable>(_ read: (State) -> Result) -> Result {
    state.withLock { state in
      if state.isHere, state.session?.isOpen != true {
        state.isHere = false
        state.awaySince = clock.now
      }
      return read(state)
    }
  }
}
