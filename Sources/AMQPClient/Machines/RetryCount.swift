internal import Resilience

/// Counts attempts for a backoff: what has lasted a while begins anew, what fails at once waits longer and longer.
struct RetryCount {
  private let backoff: Backoff
  private var attempt = 0
  private var startedAt: ContinuousClock.Instant?

  init(_ backoff: Backoff) { self.backoff = backoff }

  /// It works now.
  mutating func succeeded(at now: ContinuousClock.Instant) { startedAt = now }

  /// It failed, or is over.
  /// - Returns: how long to wait before trying again.
  mutating func failed(at now: ContinuousClock.Instant) -> Duration {
    if let startedAt, now - startedAt >= backoff.max { attempt = 0 }
    startedAt = nil
    defer { attempt += 1 }
    return backoff.delay(attempt: attempt)
  }
}
