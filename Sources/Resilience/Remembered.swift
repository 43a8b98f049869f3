internal import Synchronization

/// An answer that costs something, made once for all who ask within a short time: one call is under way at a time, and its answer, or its
/// error, is given to those who ask up to `lifetime` after it. However many ask, there is no more than one call in that time.
public final class Remembered<Value: Sendable>: Sendable {
  private struct Answer {
    let result: Result<Value, any Error>
    let until: ContinuousClock.Instant
  }

  private let lifetime: Duration
  private let clock: any MonotonicClock
  private let make: @Sendable () async throws -> Value
  private let flight = SingleFlight<Int, Result<Value, any Error>>()
  private let answer = Mutex<Answer?>(nil)

  /// - Parameters:
  ///   - lifetime: how old an answer may be.
  ///   - clock: by which it is.
  ///   - make: bounds its own time.
  public init(
    for lifetime: Duration = .seconds(1), clock: any MonotonicClock = ContinuousClock(),
    _ make: @escaping @Sendable () async throws -> Value
  ) {
    self.lifetime = lifetime
    self.clock = clock
    self.make = make
  }

  private var fresh: Result<Value, any Error>? {
    answer.withLock { answer in answer.flatMap { $0.until > clock.now ? $0.result : nil } }
  }

  /// The last answer while it is fresh, or a new one.
  /// - Throws: what the call throws; `CancellationError` for this caller alone.
  public func value() async throws -> Value {
    if let fresh { return try fresh.get() }
    return try await flight.run(0) { [self] in
      // Another call may have ended just before this one began.
      if let fresh { return fresh }
      let result: Result<Value, any Error>
      do { result = .success(try await make()) } catch { result = .failure(error) }
      // Nothing is learnt from a call that all have left.
      if !Task.isCancelled { answer.withLock { $0 = Answer(result: result, until: clock.now + lifetime) } }
      return result
    }.get()
  }
}
