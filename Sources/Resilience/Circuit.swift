internal import Synchronization

/// The circuit breaker of one target, for many tasks at once.
///
/// A call asks `admit()`, and reports with `succeeded()` or `failed(retryAfter:reason:)`. One that is refused while another probes the
/// target waits with `waitWhileProbed()`. A probe that was cancelled need not report: after the breaker's `probeTimeout` another call becomes
/// the probe.
public final class Circuit: Sendable {
  /// A moment of the clock that runs while the machine sleeps.
  public typealias Instant = CircuitBreaker.Instant
  /// The answer to a call that wants to be made.
  public typealias Admission = CircuitBreaker.Admission
  /// What the circuit does with calls.
  public typealias State = CircuitBreaker.State

  private struct Shared {
    var breaker: CircuitBreaker
    var nextID: UInt64 = 0
    var waiters: [UInt64: Wakeup] = [:]
    var reason: String?
    /// When it was last closed; nil while it is.
    var openSince: Instant?
  }

  /// What keeps calls from a target.
  public struct Outage: Sendable {
    /// When the circuit opened.
    public let since: Instant
    /// What happened, in the caller's words.
    public let reason: String?
  }

  /// If no call has come to probe a target for this time after it could have, its state is not known.
  private static let memory: Duration = .seconds(300)

  /// The target's name, for logs and metrics.
  public let name: String
  private let clock: any MonotonicClock
  private let random: RandomSource
  private let shared: Mutex<Shared>

  /// Creates a closed circuit, or takes over the breaker's state.
  /// - Parameters:
  ///   - name: of its target, for messages.
  ///   - breaker: when it opens, and for how long.
  ///   - clock: of its times.
  ///   - random: decides a part of how long it stays open.
  public init(
    name: String, breaker: CircuitBreaker = CircuitBreaker(), clock: any MonotonicClock = ContinuousClock(),
    random: RandomSource = RandomSource()
  ) {
    self.name = name
    self.clock = clock
    self.random = random
    shared = Mutex(Shared(breaker: breaker))
  }

  /// What the circuit does with calls at present.
  public var state: State { shared.withLock { $0.breaker.state } }

  /// How long calls are refused from now on; `nil` when one would be admitted.
  public var openFor: Duration? {
    let now = clock.now
    return shared.withLock { $0.breaker.refusedUntil(at: now) }.map { now.duration(to: $0) }
  }

  /// What keeps calls from the target, until a probe has succeeded; nil while the circuit is closed, and if no call has probed the target for
  /// so long that its state is not known.
  public func outage() -> Outage? {
    let now = clock.now
    return shared.withLock { shared in
      guard let since = shared.openSince else { return nil }
      switch shared.breaker.state {
      case .closed: return nil
      case .open(let until), .halfOpen(let until):
        return until + Self.memory < now ? nil : Outage(since: since, reason: shared.reason)
      }
    }
  }

  /// What the last outage was, in the caller's words; nil since the target has answered.
  public var reason: String? { shared.withLock(\.reason) }

  /// Asks for one call, and takes the probe if it is free.
  public func admit() -> Admission {
    change { $0.breaker.admit(at: clock.now) }
  }

  /// The target answered, whatever it said.
  /// - Returns: whether this closed the circuit: the time to log it.
  @discardableResult
  public func succeeded() -> Bool {
    change { shared in
      shared.reason = nil
      return shared.breaker.succeeded(at: clock.now)
    }
  }

  /// The target was unavailable.
  /// - Parameters:
  ///   - retryAfter: how long it asked to be left alone; opens the circuit at once.
  ///   - reason: what happened, for the callers that are refused until then.
  /// - Returns: whether this opened the circuit: the time to log it.
  @discardableResult
  public func failed(retryAfter: Duration? = nil, reason: String? = nil) -> Bool {
    change { shared in
      shared.reason = reason
      var drawing = random.drawing
      return shared.breaker.failed(at: clock.now, retryAfter: retryAfter, using: &drawing)
    }
  }

  /// Whether the circuit is open because of failures, and not because the target has asked to be left alone.
  public var isOpenByFailures: Bool {
    shared.withLock { shared in
      guard case .open(let until) = shared.breaker.state else { return false }
      return until > clock.now && !shared.breaker.isLeftAlone
    }
  }

  /// The target may be back: the next call is the probe, although the circuit would be open for longer. Nothing changes if the target has asked
  /// to be left alone for that time.
  public func mayAnswer() {
    change { $0.breaker.mayAnswer(at: clock.now) }
  }

  /// Waits while another call probes the target: until that call has reported, or another may become the probe. Returns at once if the
  /// circuit is closed or open. Takes nothing: ask `admit()` next.
  /// - Throws: `CancellationError`.
  public func waitWhileProbed() async throws {
    let wakeup = Wakeup(clock: clock)
    let id = shared.withLock { shared in
      shared.nextID += 1
      shared.waiters[shared.nextID] = wakeup
      return shared.nextID
    }
    defer { shared.withLock { _ = $0.waiters.removeValue(forKey: id) } }
    try Task.checkCancellation()
    while case .halfOpen(let until) = state, until > clock.now {
      try await wakeup.wait(until: until)
    }
  }

  /// Changes the breaker and what is reported with it; if that changes the breaker's state, wakes all waiting tasks to look again.
  private func change<Answer: Sendable>(_ body: (inout Shared) -> Answer) -> Answer {
    let (answer, wakeups) = shared.withLock { shared -> (Answer, [Wakeup]) in
      let before = shared.breaker.state
      let answer = body(&shared)
      shared.openSince = shared.breaker.state == .closed ? nil : shared.openSince ?? clock.now
      guard shared.breaker.state != before else { return (answer, []) }
      return (answer, shared.waiters.sorted { $0.key < $1.key }.map(\.value))
    }
    for wakeup in wakeups { wakeup.wake() }
    return answer
  }
}
