/// Does all there is to do, waits, and does so again, until the task is cancelled, whatever fails meanwhile.
public struct PassLoop: Sendable {
  private let interval: Duration
  private let wakeup: Wakeup

  /// - Parameters:
  ///   - interval: between the end of a pass and the next.
  ///   - wakeup: ends the wait early; also one that came during the pass.
  public init(interval: Duration, wakeup: Wakeup = Wakeup()) {
    self.interval = interval
    self.wakeup = wakeup
  }

  /// Passes, one after another.
  /// - Parameters:
  ///   - pass: what is thrown ends this pass; the next begins after the interval as ever.
  ///   - onFirstFailure: gets the error of the first of several passes in a row that fail: the time to log it. What a pass throws
  ///     because the task is cancelled is no failure.
  public func run(_ pass: () async throws -> Void, onFirstFailure: (any Error) -> Void) async {
    var isFailing = false
    while !Task.isCancelled {
      do {
        try await pass()
        isFailing = false
      } catch {
        if !isFailing, !Task.isCancelled { onFirstFailure(error) }
        isFailing = true
      }
      _ = try? await wakeup.wait(until: .now + interval)
    }
  }
}
