/// Does everything that is due, waits, and does so again, until the task is cancelled, whatever fails.
public struct PeriodicLoop: Sendable {
  private let interval: Duration
  private let wakeup: Wakeup
  private let random: RandomSource

  /// Waits after passes that fail, unless the interval is shorter: most obstacles are over in a moment.
  private static let retry = Backoff(base: .milliseconds(200), max: .seconds(1))

  /// - Parameters:
  ///   - interval: between the end of a pass and the next.
  ///   - wakeup: ends the wait early; also one that came during the pass. Its clock is the one of the waits.
  ///   - random: decides a part of the waits after a failure.
  public init(interval: Duration, wakeup: Wakeup = Wakeup(), random: RandomSource = RandomSource()) {
    self.interval = interval
    self.wakeup = wakeup
    self.random = random
  }

  /// Passes, one after another.
  /// - Parameters:
  ///   - pass: what is thrown ends this pass; the next begins within a second.
  ///   - onNewFailure: gets an error that is worth a line in the log: one whose text is new since passes last succeeded for a while, as
  ///     ``FaultNotice`` decides. What a pass throws because the task is cancelled is no failure.
  public func run(_ pass: () async throws -> Void, onNewFailure: (any Error) -> Void) async {
    await runPaced(
      {
        try await pass()
        return interval
      }, onNewFailure: onNewFailure)
  }

  /// Passes, one after another; each says how soon the next one is due.
  /// - Parameters:
  ///   - pass: returns the time until the next; longer than the interval counts as the interval.
  ///   - onNewFailure: as in ``run(_:onNewFailure:)``.
  public func runPaced(_ pass: () async throws -> Duration, onNewFailure: (any Error) -> Void) async {
    var failures = 0
    var notice = FaultNotice()
    while !Task.isCancelled {
      let wait: Duration
      do {
        wait = try await pass()
        failures = 0
        _ = notice.worked(at: wakeup.clock.now)
      } catch {
        if !Task.isCancelled, notice.failed("\(error)", at: wakeup.clock.now) { onNewFailure(error) }
        wait = Self.retry.delay(attempt: failures, from: random)
        failures += 1
      }
      _ = try? await wakeup.wait(until: wakeup.clock.now + min(wait, interval))
    }
  }
}
