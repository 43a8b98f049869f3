/// How long to wait before trying again: exponential, with full jitter, so that many clients that failed together do not
/// come back together.
public struct Backoff: Sendable, Hashable {
  /// The ceiling of the first wait.
  public var base: Duration
  /// The ceiling of every wait.
  public var max: Duration

  /// - Parameters:
  ///   - base: the ceiling of the first wait; a negative one counts as zero.
  ///   - max: the ceiling that doubling stops at; a negative one counts as zero.
  public init(base: Duration, max: Duration) {
    self.base = Swift.max(base, .zero)
    self.max = Swift.max(max, .zero)
  }

  /// A wait drawn evenly from zero to `ceiling(attempt:)`.
  /// - Parameter attempt: how many attempts have failed before this wait, less one: 0 for the first wait.
  public func delay(attempt: Int) -> Duration {
    var generator = SystemRandomNumberGenerator()
    return delay(attempt: attempt, using: &generator)
  }

  /// A wait drawn evenly from zero to `ceiling(attempt:)` with a given source of chance.
  public func delay(attempt: Int, using generator: inout some RandomNumberGenerator) -> Duration {
    // Scaling one number, as `Int64.random` draws again and again and never ends with a source that is constant. Its bias
    // is below one in a thousand million.
    let span = UInt64(Self.nanoseconds(ceiling(attempt: attempt))) + 1
    return .nanoseconds(Int64(span.multipliedFullWidth(by: generator.next()).high))
  }

  /// A wait of which one half of `ceiling(attempt:)` is certain and the other half is chance: for what must not come back at once, nor together
  /// with others.
  /// - Parameter attempt: as for `delay(attempt:)`.
  public func atLeastHalf(attempt: Int) -> Duration {
    var generator = SystemRandomNumberGenerator()
    return atLeastHalf(attempt: attempt, using: &generator)
  }

  /// A wait of which one half of `ceiling(attempt:)` is certain and the other half is chance, with a given source of chance.
  public func atLeastHalf(attempt: Int, using generator: inout some RandomNumberGenerator) -> Duration {
    let half = ceiling(attempt: attempt) / 2
    return half + Backoff(base: half, max: half).delay(attempt: 0, using: &generator)
  }

  /// The longest wait of an attempt: `base * 2^attempt`, at most `max`; it saturates and never traps.
  public func ceiling(attempt: Int) -> Duration {
    var ceiling = Swift.min(base, max)
    // A base above zero reaches any limit after 190 doublings; a zero base never does.
    for _ in 0..<Swift.min(Swift.max(attempt, 0), 190) where ceiling < max {
      ceiling = ceiling > max / 2 ? max : ceiling * 2
    }
    return ceiling
  }

  /// Whole nanoseconds, at most 2^63 - 1 of them (292 years).
  private static func nanoseconds(_ duration: Duration) -> Int64 {
    let (seconds, attoseconds) = duration.components
    let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    guard !overflow else { return .max }
    let (sum, over) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
    return over ? .max : sum
  }
}
