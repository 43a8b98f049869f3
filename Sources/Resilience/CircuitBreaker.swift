/// Decides whether a target may be called, from the results of the calls before. A pure machine: time comes in, answers
/// come out; `Circuit` is the same for many tasks at once.
///
/// *Closed*: every call is admitted. After `threshold` outages in a row, or at once by `trip`, it is *open*: every call is
/// refused until its time is over. Then it is *half-open*: one call is admitted as the probe, and the others are refused
/// until the probe's answer is in. A success closes, an outage opens again, for longer.
///
/// An outage is a target that cannot be reached or cannot serve; an answer that faults the request is a success here.
///
/// Known weakness: answers carry no name, so a call from before the opening that fails while the probe is under way counts as the
/// probe's answer. It opens the circuit once more; the next probe corrects it. While the circuit is open, such late answers
/// change nothing: a hundred calls that fail together count as one opening, and a straggler's success proves nothing.
public struct CircuitBreaker: Sendable {
  /// A moment of the clock that runs while the machine sleeps.
  public typealias Instant = ContinuousClock.Instant

  /// What the circuit does with calls.
  public enum State: Sendable, Hashable {
    /// Every call is admitted.
    case closed
    /// Every call is refused until then; the next one after it is the probe.
    case open(until: Instant)
    /// The probe is under way; when it has not reported by then, another call becomes the probe.
    case halfOpen(until: Instant)
  }

  /// The answer to a call that wants to be made.
  public enum Admission: Sendable, Hashable {
    /// Make the call, and report its result.
    case admitted
    /// Make the call, and report its result: this one decides for all others.
    case probe
    /// Do not make the call; asking again makes sense at that time, or when the probe has reported.
    case refused(until: Instant)
  }

  /// What the circuit does with calls at present.
  public private(set) var state: State = .closed
  /// Outages in a row at which the circuit opens, at least 1.
  public let threshold: Int
  /// How long it stays open: half of the ceiling for certain, the other half by chance; it doubles with every opening.
  public let openTime: Backoff
  /// How long the probe may take to report before another call becomes the probe.
  public let probeTimeout: Duration
  /// The longest that a target may ask us to stay away.
  public let tripMax: Duration

  /// Whether the target itself has asked to be left alone until the end of the present open time.
  public private(set) var isLeftAlone = false

  private var outages = 0
  private var openings = 0

  /// - Parameters:
  ///   - threshold: outages in a row at which it opens, at least 1.
  ///   - openTime: how long it stays open; the base is for the first opening.
  ///   - probeTimeout: more than a call's own deadline.
  ///   - tripMax: the bound on `trip(for:)`, as the time comes from the peer.
  public init(
    threshold: Int = 5, openTime: Backoff = Backoff(base: .seconds(1), max: .seconds(30)),
    probeTimeout: Duration = .seconds(60), tripMax: Duration = .seconds(3600)
  ) {
    precondition(threshold >= 1, "a circuit needs at least one outage to open")
    self.threshold = threshold
    self.openTime = openTime
    self.probeTimeout = probeTimeout
    self.tripMax = tripMax
  }

  /// Asks for one call, and takes the probe if it is free.
  public mutating func admit(at now: Instant) -> Admission {
    if let until = refusedUntil(at: now) { return .refused(until: until) }
    if case .closed = state { return .admitted }
    state = .halfOpen(until: now + probeTimeout)
    return .probe
  }

  /// Until when a call would be refused; `nil` when it would be admitted. Takes nothing.
  public func refusedUntil(at now: Instant) -> Instant? {
    switch state {
    case .closed: nil
    case .open(let until), .halfOpen(let until): until > now ? until : nil
    }
  }

  /// The target answered. Closes a half-open circuit, or an open one whose time is over.
  /// - Returns: whether this closed the circuit.
  @discardableResult
  public mutating func succeeded(at now: Instant) -> Bool {
    switch state {
    case .open(let until) where until > now: return false
    case .closed:
      outages = 0
      return false
    case .open, .halfOpen:
      state = .closed
      (outages, openings) = (0, 0)
      return true
    }
  }

  /// The target was unavailable.
  /// - Parameters:
  ///   - now: the clock's time.
  ///   - retryAfter: how long it asked to be left alone; opens the circuit at once.
  /// - Returns: whether this opened the circuit.
  @discardableResult
  public mutating func failed(at now: Instant, retryAfter: Duration? = nil) -> Bool {
    var generator = SystemRandomNumberGenerator()
    return failed(at: now, retryAfter: retryAfter, using: &generator)
  }

  /// The target was unavailable; the open time is drawn from a given source of chance.
  @discardableResult
  public mutating func failed(
    at now: Instant, retryAfter: Duration? = nil, using generator: inout some RandomNumberGenerator
  ) -> Bool {
    if let retryAfter { return trip(for: retryAfter, at: now) }
    switch state {
    case .open: return false
    case .halfOpen: break
    case .closed:
      outages += 1
      guard outages >= threshold else { return false }
    }
    state = .open(until: now + openTime.atLeastHalf(attempt: openings, using: &generator))
    openings += 1
    isLeftAlone = false
    return true
  }

  /// The target may be back: the time of an open circuit is over, unless the target has asked for it.
  public mutating func mayAnswer(at now: Instant) {
    if case .open(let until) = state, until > now, !isLeftAlone { state = .open(until: now) }
  }

  /// Opens the circuit for a given time, at most `tripMax`; one that is open already stays so until the later end.
  /// - Returns: whether this opened the circuit.
  @discardableResult
  public mutating func trip(for duration: Duration, at now: Instant) -> Bool {
    let until = now + min(max(duration, .zero), tripMax)
    isLeftAlone = true
    if case .open(let present) = state {
      state = .open(until: max(present, until))
      return false
    }
    state = .open(until: until)
    return true
  }
}
